"""Tests of independence of two numerical variables: kernel tests, and a fast variant with random features.

The tests are pure functions, which ``vmap`` over samples. All detect dependence of any shape, given enough rows; their
p-values come from approximate null distributions, which are valid only for independent rows. The widths and constants
are those of the PersonaX code (Li et al. 2026); :mod:`causalrep.inference.independence.categorical` has the tests for
categories.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from causalrep.inference.independence.chi_square_mixture import chi_square_mixture_tail
from causalrep.linalg import centered_kernel, hsic_statistic
from causalrep.precision import full_products

MEDIAN_ROWS = 500


class Independence(NamedTuple):
    """A test of independence.

    Attributes:
        statistic: The test statistic.
        p_value: Probability, under independence, of a statistic at least as large; NaN if a variable is constant.
    """

    statistic: Float[Array, ""]
    p_value: Float[Array, ""]


@full_products
def kci(x: Float[Array, "n *d"], y: Float[Array, "n *e"], *, rows: Bool[Array, " n"] | None = None) -> Independence:
    """Kernel test of independence (KCI with nothing to condition on).

    ``T = sum(K_x * K_y)`` of centered Gaussian kernels of standardized variables, whose width is 0.8, 0.5 or 0.3 below
    200, below 1200 and from 1200 rows. T is compared with a gamma distribution of the null's mean and variance.
    Memory is quadratic in n: 0.7 GB per kernel at 9,000 rows in float64.

    Args:
        x: One variable, or several columns.
        y: The other variable.
        rows: Mask of the rows to use, all by default: missing values are left out without a change of shape.

    Source: Zhang, Peters, Janzing and Schoelkopf (2011), theorem 4 and proposition 5; the widths of causal-learn.
    """
    x, y, used, n = _prepare(x, y, rows)
    width = jnp.where(n < 200, 0.8, jnp.where(n < 1200, 0.5, 0.3)).astype(x.dtype)
    kernels = [centered_kernel(_gaussian_kernel(_standardized(v, used), 0.5 / width**2), used) for v in (x, y)]
    statistic = jnp.sum(kernels[0] * kernels[1])
    mean = jnp.trace(kernels[0]) * jnp.trace(kernels[1]) / n
    variance = 2.0 * jnp.sum(kernels[0] ** 2) * jnp.sum(kernels[1] ** 2) / n**2
    return Independence(statistic, _gamma_tail(statistic, mean, variance))


@full_products
def hsic(
    x: Float[Array, "n *d"],
    y: Float[Array, "n *e"],
    *,
    standardize: bool = True,
    rows: Bool[Array, " n"] | None = None,
) -> Independence:
    """Hilbert-Schmidt independence criterion with the kernel ``exp(-distance^2)`` and a gamma null.

    Args:
        x: One variable, or several columns.
        y: The other variable.
        standardize: ``False`` takes the variables in their own units, as the PersonaX code does. In centimetres or
            years the kernel is then almost the identity and the test almost blind.
        rows: Mask of the rows to use; all by default.

    Source: Gretton, Fukumizu, Teo, Song, Schoelkopf and Smola (2008), section 3.
    """
    x, y, used, n = _prepare(x, y, rows)
    if standardize:
        x, y = _standardized(x, used), _standardized(y, used)
    pairs = used[:, None] * used
    plain = [_gaussian_kernel(v, jnp.ones((), v.dtype)) * pairs for v in (x, y)]
    near_x, near_y = ((jnp.sum(k) - n) / (n * (n - 1)) for k in plain)
    centered_x, centered_y = (centered_kernel(k, used) for k in plain)
    product = centered_x * centered_y
    statistic = hsic_statistic(centered_x, centered_y, n)
    mean = (1.0 + near_x * near_y - near_x - near_y) / n
    off_diagonal = jnp.sum(product**2) - jnp.sum(jnp.diagonal(product) ** 2)
    variance = 2.0 * (n - 4) * (n - 5) / (n * (n - 1) * (n - 2) * (n - 3)) * off_diagonal / n**2
    return Independence(statistic, _gamma_tail(statistic, mean, variance))


@full_products
def rit(
    key: Key[Array, ""],
    x: Float[Array, "n *d"],
    y: Float[Array, "n *e"],
    *,
    features: int = 5,
    rows: Bool[Array, " n"] | None = None,
) -> Independence:
    """Randomized independence test (RCIT with nothing to condition on): linear in n, random in its features.

    ``T = n |cov(f(x), f(y))|^2`` with random Fourier features f of standardized variables, whose kernel width is the
    median distance of the first 500 rows. The null distribution is a weighted sum of chi-squares. The p-value depends
    on the key: report its spread over several keys.

    Args:
        key: Random key of the features.
        x: One variable, or several columns.
        y: The other variable.
        features: Number of random features per variable.
        rows: Mask of the rows to use; all by default.

    Source: Strobl, Zhang and Visweswaran (2019), "Approximate kernel-based conditional independence tests for fast
    non-parametric causal discovery".
    """
    x, y, used, n = _prepare(x, y, rows)
    codes = [
        _standardized(_fourier_features(own, _standardized(v, used), used, features), used)
        for own, v in zip(jax.random.split(key), (x, y), strict=True)
    ]
    products = (codes[0][:, :, None] * codes[1][:, None, :]).reshape(len(x), -1)
    covariance = jnp.sum(products, axis=0) / (n - 1)
    statistic = n * jnp.sum(covariance**2)
    spread = (products - covariance * used[:, None]).T @ (products - covariance * used[:, None]) / n
    return Independence(statistic, chi_square_mixture_tail(jnp.linalg.eigvalsh(spread), statistic))


def _prepare(x: Array, y: Array, rows: Array | None) -> tuple[Array, Array, Array, Array]:
    """Both variables as columns, 0 in masked rows; the mask as 0/1 numbers; and the number of rows in use."""
    x, y = (v[:, None] if v.ndim == 1 else v for v in (x, y))
    used = jnp.ones(len(x), x.dtype) if rows is None else rows.astype(x.dtype)
    x, y = (jnp.where(used[:, None] > 0, v, 0.0) for v in (x, y))
    return x, y, used, jnp.sum(used)


def _standardized(x: Float[Array, "n d"], used: Float[Array, " n"]) -> Float[Array, "n d"]:
    """Mean 0 and standard deviation 1 (divisor n - 1) over the rows in use; 0 in the others."""
    n = jnp.sum(used)
    x = (x - used @ x / n) * used[:, None]
    return x / jnp.sqrt(jnp.sum(x**2, axis=0) / (n - 1))


def _gaussian_kernel(x: Float[Array, "n d"], precision: Float[Array, ""]) -> Float[Array, "n n"]:
    # Differences, not the expanded square: a few columns, and no cancellation in float32.
    squared = sum((x[:, j, None] - x[:, j]) ** 2 for j in range(x.shape[1]))
    return jnp.exp(-precision * squared)


def _gamma_tail(statistic: Array, mean: Array, variance: Array) -> Float[Array, ""]:
    return jax.scipy.special.gammaincc(mean**2 / variance, statistic * mean / variance)


def _fourier_features(
    key: Key[Array, ""], x: Float[Array, "n d"], used: Float[Array, " n"], count: int
) -> Float[Array, "n count"]:
    """``sqrt(2) cos(x'w + b)``, with w as wide as the inverse of the median distance."""
    some = min(MEDIAN_ROWS, len(x))
    first, counted = x[:some], used[:some] > 0
    squared = jnp.sum((first[:, None, :] - first) ** 2, axis=2)
    pairs = (counted[:, None] & counted) & jnp.triu(jnp.ones((some, some), bool), 1)
    median = jnp.sqrt(jnp.nanmedian(jnp.where(pairs, squared, jnp.nan)))
    weight_key, phase_key = jax.random.split(key)
    # More than half of the pairs may be ties of a variable with few values.
    weights = jax.random.normal(weight_key, (x.shape[1], count), x.dtype) / jnp.where(median > 0, median, 1.0)
    phases = jax.random.uniform(phase_key, (count,), x.dtype, maxval=2.0 * jnp.pi)
    return jnp.sqrt(2.0) * jnp.cos(x @ weights + phases)
