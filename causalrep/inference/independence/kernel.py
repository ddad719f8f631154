"""Tests of independence of two numerical variables: kernel tests, and a fast variant with random features.

The tests are pure functions, which ``vmap`` over samples. All detect dependence of any shape, given enough rows; their
p-values come from approximate null distributions, which are valid only for independent rows. The widths and constants
are those of the PersonaX code (Li et al. 2026); :mod:`causalrep.inference.independence.categorical` has the tests for
categories.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from causalrep.base.checks import as_numbers, is_concrete
from causalrep.base.validation import check_count, check_index_alignment, check_rows
from causalrep.errors import InputError
from causalrep.inference.independence.chi_square_mixture import chi_square_mixture_tail
from causalrep.linalg import centered_kernel, hsic_statistic, varies
from causalrep.precision import full_products, keep_float64

MEDIAN_ROWS = 500
# The variance of hsic's null is defined from this number of rows on.
FEWEST_ROWS = 6


class Independence(NamedTuple):
    """A test of independence.

    Attributes:
        statistic: The test statistic.
        p_value: Probability, under independence, of a statistic at least as large; NaN if a variable is constant.
    """

    statistic: Float[Array, ""]
    p_value: Float[Array, ""]


@keep_float64
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

    Raises:
        InputError: If fewer than six rows are used, numbers of rows differ or values in use are not finite.

    >>> x = jnp.linspace(-1.0, 1.0, 50)
    >>> bool(kci(x, 1e6 * x**2).p_value < 0.01)
    True

    Source: Zhang, Peters, Janzing and Schoelkopf (2011), theorem 4 and proposition 5; the widths of causal-learn.
    """
    x, y, used, n = _prepare(x, y, rows)
    constant = _constant(x, y)
    width = jnp.where(n < 200, 0.8, jnp.where(n < 1200, 0.5, 0.3)).astype(x.dtype)
    kernels = [centered_kernel(_gaussian_kernel(_standardized(v, used), 0.5 / width**2), used) for v in (x, y)]
    statistic = jnp.sum(kernels[0] * kernels[1])
    mean = jnp.trace(kernels[0]) * jnp.trace(kernels[1]) / n
    variance = 2.0 * jnp.sum(kernels[0] ** 2) * jnp.sum(kernels[1] ** 2) / n**2
    return _unless(constant, statistic, _gamma_tail(statistic, mean, variance))


@keep_float64
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

    Raises:
        InputError: As for :func:`kci`.

    >>> x = jnp.linspace(-1.0, 1.0, 50)
    >>> bool(hsic(x, 1e6 * x**2).p_value < 0.01)
    True

    Source: Gretton, Fukumizu, Teo, Song, Schoelkopf and Smola (2008), section 3.
    """
    x, y, used, n = _prepare(x, y, rows)
    constant = _constant(x, y)
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
    return _unless(constant, statistic, _gamma_tail(statistic, mean, variance))


@keep_float64
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
    median distance of 500 rows at equal steps. The null distribution is a weighted sum of chi-squares. The p-value
    depends on the key: report its spread over several keys.

    Args:
        key: Random key of the features.
        x: One variable, or several columns.
        y: The other variable.
        features: Number of random features per variable.
        rows: Mask of the rows to use; all by default.

    Raises:
        InputError: As for :func:`kci`; or if ``features`` is not a count.

    >>> x = jnp.linspace(-1.0, 1.0, 100)
    >>> bool(rit(jax.random.key(0), x, 1e6 * x**3).p_value < 0.01)
    True

    Source: Strobl, Zhang and Visweswaran (2019), "Approximate kernel-based conditional independence tests for fast
    non-parametric causal discovery".
    """
    check_count("features", features)
    x, y, used, n = _prepare(x, y, rows)
    constant = _constant(x, y)
    codes = [
        _standardized(_fourier_features(own, _standardized(v, used), used, features), used)
        for own, v in zip(jax.random.split(key), (x, y), strict=True)
    ]
    products = (codes[0][:, :, None] * codes[1][:, None, :]).reshape(len(x), -1)
    covariance = jnp.sum(products, axis=0) / (n - 1)
    statistic = n * jnp.sum(covariance**2)
    spread = (products - covariance * used[:, None]).T @ (products - covariance * used[:, None]) / n
    return _unless(constant, statistic, chi_square_mixture_tail(jnp.linalg.eigvalsh(spread), statistic))


def _prepare(x: Any, y: Any, rows: Any) -> tuple[Array, Array, Array, Array]:
    """Both variables as columns, in masked rows their first value in use; the mask as 0/1 numbers; the rows in use."""
    check_index_alignment(x=x, y=y, rows=rows)
    x, y = (as_numbers(name, v, allowed="finite" if rows is None else "any") for name, v in (("x", x), ("y", y)))
    x, y = (v[:, None] if v.ndim == 1 else v for v in (x, y))
    for name, v in (("x", x), ("y", y)):
        if v.ndim != 2:
            raise InputError(name, found=f"an array of shape {v.shape}", expected="a vector or a matrix")
    check_rows("y", len(y), rows=len(x), of="x")
    dtype = jnp.promote_types(x.dtype, y.dtype)
    x, y = x.astype(dtype), y.astype(dtype)
    if rows is None:
        used = jnp.ones(len(x), dtype)
    else:
        check_rows("rows", len(rows), rows=len(x), of="x")
        used = (jnp.asarray(rows) != 0).astype(dtype)
        first = jnp.argmax(used)
        if is_concrete(x, y, used):
            for name, v in (("x", x), ("y", y)):
                as_numbers(name, np.where(np.asarray(used)[:, None] > 0, np.asarray(v), 0.0))
        x, y = (jnp.where(used[:, None] > 0, v, v[first]) for v in (x, y))
    count = int(np.asarray(used).sum()) if is_concrete(used) else len(x)
    if count < FEWEST_ROWS:
        raise InputError("x" if rows is None else "rows", found=f"{count} rows", expected=f"at least {FEWEST_ROWS}")
    return x, y, used, jnp.sum(used)


def _constant(x: Float[Array, "n d"], y: Float[Array, "n e"]) -> Bool[Array, ""]:
    return ~(jnp.any(varies(x)) & jnp.any(varies(y)))


def _unless(constant: Bool[Array, ""], statistic: Float[Array, ""], p_value: Float[Array, ""]) -> Independence:
    """No statistic and no p-value of what is constant: both would be those of rounding errors."""
    return Independence(*(jnp.where(constant, jnp.nan, value) for value in (statistic, p_value)))


def _standardized(x: Float[Array, "n d"], used: Float[Array, " n"]) -> Float[Array, "n d"]:
    """Mean 0 and standard deviation 1 (divisor n - 1) over the rows in use; 0 in the others and in constant columns."""
    n, varying = jnp.sum(used), varies(x)
    # Less its first entry and divided by its largest deviation, a column has squares of ordinary size.
    x = x - x[0]
    x = x / jnp.where(varying, jnp.max(jnp.abs(x), axis=0), 1.0)
    x = (x - used @ x / n) * used[:, None]
    return x / jnp.where(varying, jnp.sqrt(jnp.sum(x**2, axis=0) / (n - 1)), jnp.inf)


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
    # At equal steps: the first rows of a sorted file are all alike.
    some = min(MEDIAN_ROWS, len(x))
    positions = np.linspace(0, len(x) - 1, some).round().astype(int)
    chosen, counted = x[positions], used[positions] > 0
    squared = jnp.sum((chosen[:, None, :] - chosen) ** 2, axis=2)
    pairs = (counted[:, None] & counted) & jnp.triu(jnp.ones((some, some), bool), 1)
    median = jnp.sqrt(jnp.nanmedian(jnp.where(pairs, squared, jnp.nan)))
    weight_key, phase_key = jax.random.split(key)
    # More than half of the pairs may be ties of a variable with few values.
    weights = jax.random.normal(weight_key, (x.shape[1], count), x.dtype) / jnp.where(median > 0, median, 1.0)
    phases = jax.random.uniform(phase_key, (count,), x.dtype, maxval=2.0 * jnp.pi)
    return jnp.sqrt(2.0) * jnp.cos(x @ weights + phases)
