"""Tests of independence of two categorical variables: Pearson's chi-square and the likelihood ratio G."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from causalrep.inference.independence.kernel import Independence


def chi_square(
    x: Int[Array, " n"], y: Int[Array, " n"], *, levels: tuple[int, int], rows: Bool[Array, " n"] | None = None
) -> Independence:
    """Pearson's test, ``sum (observed - expected)^2 / expected``, without continuity correction.

    Args:
        x: One variable, coded 0 to ``levels[0] - 1``.
        y: The other variable, coded likewise.
        levels: Numbers of levels; levels without rows do not enter the degrees of freedom.
        rows: Mask of the rows to use; all by default.

    >>> import jax.numpy as jnp
    >>> x, y = jnp.array([0, 0, 1, 1, 1]), jnp.array([0, 0, 1, 1, 0])
    >>> round(float(chi_square(x, y, levels=(2, 2)).statistic), 4)
    2.2222
    """
    observed = contingency_table(x, y, levels, rows)
    expected = _expected(observed)
    terms = jnp.where(expected > 0, (observed - expected) ** 2 / jnp.where(expected > 0, expected, 1.0), 0.0)
    return _compared(jnp.sum(terms), observed)


def g_square(
    x: Int[Array, " n"], y: Int[Array, " n"], *, levels: tuple[int, int], rows: Bool[Array, " n"] | None = None
) -> Independence:
    """The likelihood-ratio test, ``2 sum observed log(observed / expected)``; arguments as for :func:`chi_square`."""
    observed = contingency_table(x, y, levels, rows)
    expected = _expected(observed)
    seen = observed > 0
    ratio = jnp.where(seen, observed, 1.0) / jnp.where(seen, expected, 1.0)
    return _compared(2.0 * jnp.sum(observed * jnp.log(ratio)), observed)


def contingency_table(
    x: Int[Array, " n"], y: Int[Array, " n"], levels: tuple[int, int], rows: Bool[Array, " n"] | None = None
) -> Float[Array, "a b"]:
    """Counts of each pair of levels among the rows in use."""
    cell = x * levels[1] + y
    counted = jnp.ones(len(x)) if rows is None else rows.astype(jnp.result_type(float))
    cell = cell if rows is None else jnp.where(rows, cell, 0)
    return jnp.zeros(levels[0] * levels[1], counted.dtype).at[cell].add(counted).reshape(levels)


def _expected(observed: Float[Array, "a b"]) -> Float[Array, "a b"]:
    return jnp.sum(observed, axis=1, keepdims=True) * jnp.sum(observed, axis=0) / jnp.sum(observed)


def _compared(statistic: Float[Array, ""], observed: Float[Array, "a b"]) -> Independence:
    df = (jnp.sum(jnp.sum(observed, axis=1) > 0) - 1) * (jnp.sum(jnp.sum(observed, axis=0) > 0) - 1)
    tail = jax.scipy.special.gammaincc(jnp.maximum(df, 1) / 2, statistic / 2)
    return Independence(statistic, jnp.where(df > 0, tail, jnp.nan))
