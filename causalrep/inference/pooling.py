"""Pooling estimates over completed data sets: Rubin's rules."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.checks import as_alike, is_concrete
from causalrep.errors import InputError
from causalrep.precision import keep_float64


class Pooled(NamedTuple):
    """An estimate pooled over S completed data sets.

    Attributes:
        value: Mean of the estimates.
        se: ``sqrt(within + (1 + 1/S) between)``.
        within: Mean of the estimates' own variances.
        between: Variance of the estimates over the data sets.
        df: Degrees of freedom of the t distribution of ``(value - truth) / se``.
    """

    value: Float[Array, "..."]
    se: Float[Array, "..."]
    within: Float[Array, "..."]
    between: Float[Array, "..."]
    df: Float[Array, "..."]


@keep_float64
def pool(values: Float[Array, "S ..."], variances: Float[Array, "S ..."]) -> Pooled:
    """Pool S estimates, one from each completed data set, with their sampling variances.

    Args:
        values: Estimates; S is at least 2.
        variances: Squared standard errors of the estimates, each from its own data set.

    Raises:
        InputError: If there is one estimate, shapes differ, values are not finite or variances are negative.

    Source: Rubin (1987), "Multiple Imputation for Nonresponse in Surveys", section 3.1.

    >>> import jax.numpy as jnp
    >>> pooled = pool(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0]))
    >>> float(pooled.value), float(pooled.se)
    (2.0, 2.0)
    """
    values, variances = as_alike(values=values, variances=variances)
    if values.ndim == 0 or len(values) < 2:
        raise InputError("values", found=f"shape {values.shape}", expected="estimates from at least two data sets")
    if is_concrete(variances) and (np.asarray(variances) < 0).any():
        raise InputError("variances", found="negative values", expected="at least 0")
    return _pooled(values, variances)


@jax.jit
def _pooled(values: Float[Array, "S ..."], variances: Float[Array, "S ..."]) -> Pooled:
    draws = values.shape[0]
    within, between = jnp.mean(variances, axis=0), jnp.var(values, axis=0, ddof=1)
    inflated = (1 + 1 / draws) * between
    # If the estimates agree, only the within variance remains, and no degrees of freedom are lost.
    df = jnp.where(inflated > 0, (draws - 1) * (1 + within / jnp.where(inflated > 0, inflated, 1.0)) ** 2, jnp.inf)
    return Pooled(jnp.mean(values, axis=0), jnp.sqrt(within + inflated), within, between, df)
