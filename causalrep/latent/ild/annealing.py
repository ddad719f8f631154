"""A stronger optimizer for ILD models (ours): smoothed kinks that sharpen, monotone mechanisms, and a local search.

The released procedure stops about 1 nat short of the likelihood's maximum, for this reason. The density of
``x = G a(z) + c`` jumps where a latent changes sign, by the ratio of the leaky ReLU's slopes. When parameters move,
rows cross such a jump and the likelihood of the sample changes by as much; between crossings it does not, so its
gradient, computed row by row, has no part from the jumps. Gradient ascent does not see the one feature that tells where
the kinks are.

The cure is a continuation. The inverse of the leaky ReLU gets a smooth kink of width tau, which is a model of its own
with an exact likelihood and a gradient that sees the kink; tau falls geometrically until the kink is sharp.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from causalrep.errors import InputError
from causalrep.latent.ild.family import ILDFamily, ILDParams
from causalrep.latent.ild.fit import shuffled_blocks
from causalrep.latent.ild.objective import ILDRows, negative_log_likelihood
from causalrep.training import Objective, Schedule, fit
from causalrep.training.optimizers import adam

DEFAULT = Schedule(steps=2000, batch_size=500, learning_rate=0.02)
SPREAD = 0.3
COOLING = 0.8  # share of the steps over which tau falls
REHEATED = 0.5  # tau at the start of a later round, as a share of the first round's
EXCHANGED = 0.3  # share of the local moves that exchange two latents; the others flip the sign of one


class Annealed(NamedTuple):
    """The best of all starts.

    Attributes:
        params: The parameters with the lowest validation loss.
        best_loss: That loss: mean negative log-likelihood of the validation rows, in nats.
        losses: The loss of every start (rounds, starts); infinite where it diverged.
    """

    params: ILDParams
    best_loss: Float[Array, ""]
    losses: Float[Array, "rounds starts"]


class Search(NamedTuple):
    """The arguments of :func:`fit_ild_annealed` that choose the compiled program."""

    starts: int
    rounds: int
    schedule: Schedule
    hot: float
    cold: float


class Tempered(NamedTuple):
    """Parameters of the smoothed model."""

    params: ILDParams
    log_temperature: Float[Array, ""]


def fit_ild_annealed(
    key: Key[Array, ""],
    family: ILDFamily,
    train: ILDRows,
    validation: ILDRows,
    *,
    starts: int = 8,
    rounds: int = 8,
    schedule: Schedule = DEFAULT,
    hot: float = 1.0,
    cold: float = 0.01,
) -> Annealed:
    """Maximum likelihood with annealed kinks and a local search over what gradients do not reach.

    The first round anneals from random starts. In every later round each start changes the best model so far in another
    way (it flips the sign of a latent, or swaps two latents, one of which may be domain-specific) and anneals again
    from a lower temperature. The exact likelihood of the validation rows decides.

    Args:
        key: Random key.
        family: The family of models; ``monotone=True`` is what the theory assumes.
        train: Rows to fit, domains pooled.
        validation: Rows that decide between starts.
        starts: Starts per round, run side by side.
        rounds: Number of rounds.
        schedule: Updates of each start, batch size, and Adam's first learning rate, which falls to zero along a cosine.
        hot: Width of the kinks at the start of the first round, in units of the latents.
        cold: Width of the kinks after 80% of the steps.
    """
    if family.depth:
        raise InputError("family", found="a RealNVP mixing", expected="a leaky ReLU, whose kinks are annealed")
    search = Search(starts, rounds, schedule.over(DEFAULT), hot, cold)
    return _search(family, search, key, train, validation)


@partial(jax.jit, static_argnums=(0, 1))
def _search(family: ILDFamily, search: Search, key: Key[Array, ""], train: ILDRows, validation: ILDRows) -> Annealed:
    order_key, first_key, rounds_key = jax.random.split(key, 3)
    steps, batch_size = search.schedule.steps, search.schedule.batch_size
    blocks, size = shuffled_blocks(order_key, train, batch_size)

    def anneal(key: Key[Array, ""], start: ILDParams, hot: float) -> tuple[ILDParams, Array]:
        objective, optimizer = _objective(family, start, hot), _optimizer(search, hot)
        result = fit(objective, optimizer, blocks, key, steps=steps, batch_size=batch_size // size)
        params = result.params.params
        loss = negative_log_likelihood(family, params, validation)
        return params, jnp.where(jnp.isfinite(loss), loss, jnp.inf)

    def first(key: Key[Array, ""]) -> tuple[ILDParams, Array]:
        return anneal(key, random_start(key, family, train.x), search.hot)

    def again(best: tuple[ILDParams, Array], key: Key[Array, ""]) -> tuple[tuple[ILDParams, Array], Array]:
        one = jax.vmap(lambda key: anneal(key, changed(key, family, best[0]), REHEATED * search.hot))
        candidate, losses = _best(*one(jax.random.split(key, search.starts)))
        better = candidate[1] < best[1]
        return jax.tree.map(lambda new, old: jnp.where(better, new, old), candidate, best), losses

    best, losses = _best(*jax.vmap(first)(jax.random.split(first_key, search.starts)))
    best, later = jax.lax.scan(again, best, jax.random.split(rounds_key, search.rounds - 1))
    params, loss = best
    return Annealed(params, loss, jnp.concatenate([losses[None], later]))


def random_start(key: Key[Array, ""], family: ILDFamily, x: Float[Array, "n m"]) -> ILDParams:
    """Mechanisms near the identity, and a mixing that gives the latents unit covariance in a random rotation."""
    rotation_key, params_key = jax.random.split(key)
    params = family.init(params_key, SPREAD)
    values, vectors = jnp.linalg.eigh(jnp.cov(x, rowvar=False))
    rotation = jnp.linalg.qr(jax.random.normal(rotation_key, params.matrix.shape))[0]
    root = vectors * jnp.sqrt(jnp.maximum(values, 0.0)) @ vectors.T
    return params._replace(matrix=root @ rotation, mixing_shift=params.mixing_shift + jnp.mean(x, axis=0))


def changed(key: Key[Array, ""], family: ILDFamily, params: ILDParams) -> ILDParams:
    """A random local move: flip the sign of one latent and adjust the mechanisms, or swap two latents.

    A swap re-initializes the mechanisms.
    """
    one_key, other_key, kind_key, init_key = jax.random.split(key, 4)
    m, shared = family.latents, family.latents - family.specific
    one = jax.random.randint(one_key, (), 0, m)
    other = (one + jax.random.randint(other_key, (), 1, m)) % m
    # With D = diag(sign), z' = D z and eps' = D eps turn L into D L D, b into D b and G into G D; S stays. For slope 1
    # this is the same model; otherwise the kink of that latent points the other way.
    sign = jnp.where(jnp.arange(m) == one, -1.0, 1.0)
    flipped = params._replace(
        shared_weights=params.shared_weights * sign[:shared, None] * sign,
        shared_shifts=params.shared_shifts * sign[:shared],
        weights=params.weights * sign[shared:, None] * sign,
        shifts=params.shifts * sign[shared:],
        matrix=params.matrix * sign,
    )
    order = jnp.arange(m).at[one].set(other).at[other].set(one)
    swapped = family.init(init_key, SPREAD)._replace(
        matrix=params.matrix[:, :, order], mixing_shift=params.mixing_shift
    )
    swap = jax.random.bernoulli(kind_key, EXCHANGED)
    return jax.tree.map(lambda a, b: jnp.where(swap, a, b), swapped, flipped)


def _best(params: ILDParams, losses: Float[Array, " starts"]) -> tuple[tuple[ILDParams, Array], Array]:
    least = jnp.argmin(losses)
    return (jax.tree.map(lambda leaf: leaf[least], params), losses[least]), losses


def _objective(family: ILDFamily, start: ILDParams, hot: float) -> Objective:
    def init(key: Key[Array, ""], batch: ILDRows) -> Tempered:
        return Tempered(start, jnp.asarray(math.log(hot), start.matrix.dtype))

    def loss(tempered: Tempered, key: Key[Array, ""], batch: ILDRows) -> tuple[Array, dict]:
        temperature = jnp.exp(tempered.log_temperature)
        return negative_log_likelihood(family, tempered.params, batch, temperature), {}

    return Objective(init, loss)


def _optimizer(search: Search, hot: float) -> optax.GradientTransformation:
    steps = search.schedule.steps
    learning = adam(search.schedule.learning_rate, b2=0.99, cosine_steps=steps)
    # The temperature is a parameter that follows a timetable instead of its gradient.
    cooling = _cooling(math.log(search.cold / hot), round(COOLING * steps))
    labels: Any = ("adam", "cooling")
    return optax.partition({"adam": learning, "cooling": cooling}, Tempered(*labels))


def _cooling(change: float, steps: int) -> optax.GradientTransformation:
    """Adds ``change`` in equal parts over the first ``steps`` updates, whatever the gradient."""

    def update(gradients: optax.Updates, count: jax.Array, params: optax.Params | None = None) -> tuple:
        rate = jnp.where(count < steps, change / steps, 0.0)
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, rate), gradients), count + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)
