"""Tail probabilities of ``Q = sum_i w_i chi^2_1``, with independent terms and non-negative weights."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

POINTS = 4
BISECTIONS = 60


def chi_square_mixture_tail(weights: Float[Array, " k"], value: Float[Array, ""]) -> Float[Array, ""]:
    """``P(Q > value)`` by matching eight moments, or three if the equations of eight are singular.

    Lindsay, Pilla and Basak (2000) replace Q by a mixture of four gamma distributions of one shape; its parameters
    follow from Q's first eight moments. Equal weights (Q is gamma itself), fewer than four of them, or float32 leave
    those equations singular; then three moments serve (Hall, 1983; Buckley and Eagleson, 1988), exactly so for equal
    weights.

    Args:
        weights: The weights w; values below zero, which come from rounding, count as zero.
        value: The point where the tail begins.

    >>> import jax.numpy as jnp
    >>> round(float(chi_square_mixture_tail(jnp.array([2.0, 2.0]), jnp.array(4.0))), 4)  # 2 chi^2_2: exp(-4 / 4)
    0.3679
    """
    weights = jnp.maximum(weights, 0.0)
    total = jnp.sum(weights)
    weights, value = weights / total, value / total  # Q has mean 1
    four, three = _gamma_mixture(weights, value), _three_moments(weights, value)
    tail = jnp.where(jnp.isfinite(four), four, three)
    return jnp.where(value > 0, jnp.clip(tail, 0.0, 1.0), jnp.where(jnp.isnan(value), value, 1.0))


def _three_moments(weights: Float[Array, " k"], value: Float[Array, ""]) -> Float[Array, ""]:
    """A shifted and scaled chi-square with Q's mean, variance and skewness."""
    variance, third = 2.0 * jnp.sum(weights**2), 8.0 * jnp.sum(weights**3)
    df = 8.0 * variance**3 / third**2
    return jax.scipy.special.gammaincc(df / 2, (df + jnp.sqrt(2.0 * df / variance) * (value - 1.0)) / 2)


def _gamma_mixture(weights: Float[Array, " k"], value: Float[Array, ""]) -> Float[Array, ""]:
    """Lindsay, Pilla and Basak's approximation; NaN if its equations have no solution."""
    moments = _moments(weights, 2 * POINTS)
    # Each root of a Hankel determinant lies below the one before; the last gives the common shape 1 / dispersion.
    dispersion = moments[2] - 1.0
    for size in range(2, POINTS + 1):
        dispersion = _root(moments, size, dispersion)
    mixing = _mixing_moments(moments, dispersion)
    # The mixing distribution has four points: a Gauss quadrature of its moments.
    index = jnp.arange(POINTS)
    lower = jnp.linalg.cholesky(mixing[index[:, None] + index])
    shifted = mixing[index[:, None] + index + 1]
    half = jax.scipy.linalg.solve_triangular(lower, shifted, lower=True)
    jacobi = jax.scipy.linalg.solve_triangular(lower, half.T, lower=True)
    scales, vectors = jnp.linalg.eigh((jacobi + jacobi.T) / 2)
    shares = vectors[0] ** 2
    sound = jnp.all(scales > 0) & (dispersion > 0)
    safe = jnp.where(scales > 0, scales, 1.0)
    tails = jax.scipy.special.gammaincc(1.0 / dispersion, value / (dispersion * safe))
    return jnp.where(sound, jnp.sum(shares * tails), jnp.nan)


def _moments(weights: Float[Array, " k"], order: int) -> Float[Array, " order+1"]:
    """Raw moments 0 to ``order``, from the cumulants ``2^{r-1} (r-1)! sum w^r``."""
    cumulants, factor = [], 1.0
    for r in range(1, order + 1):
        cumulants.append(factor * jnp.sum(weights**r))
        factor *= 2.0 * r
    moments = [jnp.ones_like(cumulants[0])]
    for r in range(1, order + 1):
        term, binomial = 0.0, 1.0
        for i in range(r):
            term = term + binomial * cumulants[r - i - 1] * moments[i]
            binomial *= (r - 1 - i) / (i + 1)
        moments.append(term)
    return jnp.stack(moments)


def _mixing_moments(moments: Float[Array, " order+1"], dispersion: Float[Array, ""]) -> Float[Array, " order+1"]:
    """Moments of the scales of a mixture of gammas with shape ``1 / dispersion`` and Q's moments."""
    factors = 1.0 + jnp.arange(len(moments) - 1) * dispersion
    return moments / jnp.concatenate([jnp.ones(1, moments.dtype), jnp.cumprod(factors)])


def _root(moments: Float[Array, " order+1"], size: int, high: Float[Array, ""]) -> Float[Array, ""]:
    """Smallest root in (0, ``high``) of the Hankel determinant of the mixing moments, by bisection."""
    index = jnp.arange(size + 1)

    def body(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        positive = jnp.linalg.det(_mixing_moments(moments, middle)[index[:, None] + index]) > 0
        return jnp.where(positive, middle, low), jnp.where(positive, high, middle)

    low, high = jax.lax.fori_loop(0, BISECTIONS, body, (jnp.zeros_like(high), high))
    return (low + high) / 2
