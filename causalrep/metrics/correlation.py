"""Mean correlation coefficients (MCC): are the latents recovered up to order and scale, or up to an affine map?

Rows must be exchangeable: the assignment of codes to latents is chosen on the even rows and scored on the odd ones. On
the rows that chose the assignment, even unrelated codes look related, the more so the more latents there are. Another
order of the rows is another random split; only with ``held_out=False`` the order does not matter.

Columns are standardized, so units do not matter, and the scores compute in at least float32.
"""

from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from causalrep.base.checks import as_rows
from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.linalg import min_norm_solve, standardized, standardizer, varies
from causalrep.precision import full_products, keep_float64

Kind = Literal["pearson", "spearman"]
# Two rows in each half.
FEWEST_ROWS = 4


@keep_float64
@full_products
def mcc(
    z: Float[Array, "n d"], z_hat: Float[Array, "n k"], kind: Kind = "pearson", *, held_out: bool = True
) -> Float[Array, ""]:
    """Mean correlation coefficient: the best one-to-one match of codes to latents, 1 if the match is perfect.

    It tests recovery up to permutation and scale (Pearson) or up to permutation and a monotone map of each latent
    (Spearman). Compare it with :func:`causalrep.metrics.chance_level`: a random rotation of 5 independent latents has
    an MCC of 0.73.

    Args:
        z: True latents, at least four rows.
        z_hat: Codes, at least as many as latents; surplus codes stay unmatched.
        kind: ``"spearman"`` correlates ranks.
        held_out: Choose the match on even rows and score it on odd ones; ``False`` uses all rows for both.

    Returns:
        The mean over latents of the absolute correlation with the matched code, at most 1. A column that is constant
        up to rounding has correlation 0.

    Raises:
        InputError: If there are fewer codes than latents, numbers of rows differ, values are not finite, or ``kind`` is
            unknown.

    >>> z = jax.random.normal(jax.random.key(0), (100, 2))
    >>> round(float(mcc(z, z[:, ::-1] * jnp.array([1e-6, -1e6]))), 4)
    1.0
    """
    z, z_hat = _checked(z, z_hat, kind)
    if z_hat.shape[1] < z.shape[1]:
        found = f"{z_hat.shape[1]} codes for {z.shape[1]} latents"
        raise InputError("z_hat", found=found, expected="at least as many codes as latents")
    (z_fit, codes_fit), (z_score, codes_score) = halves(z, z_hat) if held_out else ((z, z_hat), (z, z_hat))
    chosen_by = _correlations(z_fit, codes_fit, kind)
    latents, matched = optax.assignment.hungarian_algorithm(-chosen_by)
    scored = _correlations(z_score, codes_score, kind) if held_out else chosen_by
    return jnp.mean(scored[latents, matched])


@keep_float64
@full_products
def weak_mcc(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], kind: Kind = "pearson") -> Float[Array, ""]:
    """MCC after the best affine map of the codes, fitted by least squares on the even rows; scored on the odd ones.

    It tests recovery up to an affine map: every rotation of the latents scores 1, in whatever units the codes are.

    Args:
        z: True latents, at least four rows.
        z_hat: Any number of codes.
        kind: ``"spearman"`` correlates ranks.

    Raises:
        InputError: As for :func:`mcc`, but any number of codes is accepted.

    >>> z = jax.random.normal(jax.random.key(0), (100, 2))
    >>> round(float(weak_mcc(z, z @ jnp.array([[1.0, 1e-3], [1.0, -1e-3]]))), 4)
    1.0
    """
    z, z_hat = _checked(z, z_hat, kind)
    (z_fit, codes_fit), (z_score, codes_score) = halves(z, z_hat)
    scaled = standardizer(codes_fit)
    slope = affine_slope(scaled(codes_fit), standardized(z_fit))
    return jnp.mean(jnp.diagonal(_correlations(z_score, scaled(codes_score) @ slope, kind)))


@keep_float64
@full_products
def correlations(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], kind: Kind = "pearson") -> Float[Array, "d k"]:
    """Absolute correlation of every latent with every code; 0 where a column is constant up to rounding.

    Raises:
        InputError: If numbers of rows differ, values are not finite, or ``kind`` is unknown.

    >>> x = jnp.array([[0.0], [1.0], [2.0]])
    >>> correlations(x, jnp.column_stack([2 * x, jnp.ones(3)])).round(3).tolist()
    [[1.0, 0.0]]
    """
    return _correlations(*_checked(z, z_hat, kind, least=2), kind)


def halves(*blocks: Float[Array, "n _"]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Even rows, to fit on, and odd rows, to score on."""
    return tuple(block[::2] for block in blocks), tuple(block[1::2] for block in blocks)


def affine_slope(x: Float[Array, "n k"], y: Float[Array, "n d"]) -> Float[Array, "k d"]:
    """Least squares on standardized columns, of minimum norm if they are collinear.

    The cut-off for singular values does not grow with n: after the QR factorization they are exact to a few units in
    the last place, however many rows there are.
    """
    return min_norm_solve(x, y, rcond=10 * x.shape[1] * float(jnp.finfo(x.dtype).eps))


def _checked(z: Any, z_hat: Any, kind: Kind, least: int = FEWEST_ROWS) -> list[Array]:
    check_choice("kind", kind, get_args(Kind))
    return as_rows(2, 2, least=least, z=z, z_hat=z_hat)


@partial(jax.jit, static_argnames="kind")
def _correlations(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], kind: Kind = "pearson") -> Float[Array, "d k"]:
    if kind == "spearman":
        # Ranks of a column of rounding errors would vary.
        z, z_hat = (
            jnp.where(varies(block), jax.scipy.stats.rankdata(block, axis=0).astype(block.dtype), 0.0)
            for block in (z, z_hat)
        )
    return jnp.minimum(jnp.abs(standardized(z).T @ standardized(z_hat)) / len(z), 1.0)
