"""The score that a metric gives to random encoders: the level that a result must beat."""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.base.checks import as_numbers
from causalrep.base.validation import check_choice, check_count
from causalrep.errors import InputError
from causalrep.linalg import standardized as standardized_columns
from causalrep.precision import keep_float64

Encoder = Literal["orthogonal", "gaussian", "unrelated"]
Score = Callable[[Array, Array], Array]


class Chance(NamedTuple):
    """Mean and standard deviation of a score over random encoders, each of the shape of the score."""

    mean: Array
    sd: Array


@keep_float64
def chance_level(
    score: Score,
    key: Array,
    z: Float[Array, "n d"],
    *,
    draws: int = 20,
    encoder: Encoder = "orthogonal",
) -> Chance:
    """The level of a score for random encoders of the same latents.

    Always report it: at two latents a random rotation has an MCC of 0.90, at five 0.73; correlated latents raise it.

    Args:
        score: ``(z, z_hat) -> number``, for instance :func:`causalrep.metrics.mcc`, or a lambda with its options.
        key: Random key.
        z: True latents; they are standardized before they are mixed.
        draws: Number of random encoders, at least two.
        encoder: ``"orthogonal"``, a random rotation of the latents; ``"gaussian"``, a random linear map; or
            ``"unrelated"``, noise.

    Raises:
        InputError: If the latents are not a finite matrix, there are fewer than two draws or ``encoder`` is unknown.

    >>> from causalrep.metrics import mcc
    >>> z = jax.random.normal(jax.random.key(0), (4000, 5))
    >>> 0.7 < float(chance_level(mcc, jax.random.key(1), z).mean) < 0.77
    True
    """
    check_choice("encoder", encoder, get_args(Encoder))
    check_count("draws", draws, at_least=2)
    z = as_numbers("z", z, ndim=2)
    standardized = standardized_columns(z)

    def draw(key: Array) -> Array:
        if encoder == "unrelated":
            return score(z, jax.random.normal(key, z.shape, z.dtype))
        mixing = jax.random.normal(key, (z.shape[1], z.shape[1]), z.dtype)
        if encoder == "orthogonal":
            mixing = jnp.linalg.qr(mixing)[0]
        return score(z, standardized @ mixing)

    # One after the other: scores factorize matrices, and batched factorizations are slow on CPUs.
    return _summarize(jax.lax.map(draw, jax.random.split(key, draws)))


def graph_chance_level(score: Score, key: Array, truth: Array, *, draws: int = 100) -> Chance:
    """The level of a distance between graphs when the nodes of the true graph are relabeled at random.

    This is the score of an estimate with the right shape but random node labels.

    Args:
        score: ``(truth, estimate) -> number``: :func:`causalrep.metrics.shd` or :func:`causalrep.metrics.sid`.
        key: Random key.
        truth: The true graph.
        draws: Number of relabelings, at least two.

    Raises:
        InputError: If the graph is not a square matrix, or there are fewer than two draws.

    >>> from causalrep.metrics import shd
    >>> chain = jnp.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> 0 < float(graph_chance_level(shd, jax.random.key(0), chain).mean) < 4
    True
    """
    check_count("draws", draws, at_least=2)
    matrix = as_numbers("truth", truth, ndim=2)
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError("truth", found=f"shape {matrix.shape}", expected="a square matrix")
    truth = jnp.asarray(truth)

    def draw(key: Array) -> Array:
        order = jax.random.permutation(key, len(truth))
        return score(truth, truth[order][:, order])

    return _summarize(jax.lax.map(draw, jax.random.split(key, draws)))


def _summarize(scores: Array) -> Chance:
    scores = scores.astype(jnp.result_type(float))
    return Chance(jnp.mean(scores, axis=0), jnp.std(scores, axis=0, ddof=1))
