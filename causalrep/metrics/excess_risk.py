"""Causal excess risk of a linear hypothesis, plain and normalized.

Source: IVL paper (arXiv 2510.25128), section 2 (CER) and section 5 (nCER). The paper's theorems use the norm of the
treatment's covariance, its figures the Euclidean norm. The two can order methods differently, so the norm is an
argument here.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.base.checks import as_numbers, as_rows
from causalrep.errors import InputError
from causalrep.precision import full_products, keep_float64


@keep_float64
@full_products
def causal_excess_risk(
    h: Float[Array, " m"], f: Float[Array, " m"], covariance: Float[Array, "m m"] | None = None
) -> Float[Array, ""]:
    """``CER(h) = CR(h) - CR(f) = ||h - f||^2_Sigma`` for squared loss and linear hypotheses.

    Args:
        h: Estimated effect (m,).
        f: True effect (m,).
        covariance: Covariance Sigma_X of the treatment (m, m); None is the Euclidean norm.

    Raises:
        InputError: If ``h`` and ``f`` are not vectors of one length, or the covariance is not (m, m).

    >>> import jax.numpy as jnp
    >>> float(causal_excess_risk(jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])))
    4.0
    """
    return _risk(*_checked(h, f, covariance))


@keep_float64
@full_products
def normalized_excess_risk(
    h: Float[Array, " m"], f: Float[Array, " m"], covariance: Float[Array, "m m"] | None = None
) -> Float[Array, ""]:
    """``nCER(h) = CER(h) / (CER(h) + CER(0))``: 0 is the truth, 0.5 the null effect, 1 pure confounding.

    Args:
        h: Estimated effect (m,).
        f: True effect (m,).
        covariance: Covariance Sigma_X of the treatment (m, m); None is the Euclidean norm of the paper's figures and
            tables.

    Returns:
        The risk; 0 if both vectors are zero.

    Raises:
        InputError: As for :func:`causal_excess_risk`.

    >>> import jax.numpy as jnp
    >>> float(normalized_excess_risk(jnp.zeros(2), jnp.array([1.0, 3.0])))
    0.5
    """
    h, f, covariance = _checked(h, f, covariance)
    return _ratio(h, f, covariance)


@jax.jit
def _ratio(h: Array, f: Array, covariance: Array | None) -> Array:
    # A ratio does not depend on the units of the effects, so their squares need not overflow or vanish.
    size = jnp.maximum(jnp.max(jnp.abs(h)), jnp.max(jnp.abs(f)))
    h, f = (v / jnp.where(size > 0, size, 1.0) for v in (h, f))
    risk, null = _risk(h, f, covariance), _risk(jnp.zeros_like(f), f, covariance)
    return jnp.where(size > 0, risk / jnp.where(size > 0, risk + null, 1.0), 0.0)


def _checked(h: Any, f: Any, covariance: Any) -> tuple[Array, Array, Array | None]:
    h, f = as_rows(1, 1, h=h, f=f)
    if covariance is None:
        return h, f, None
    covariance = as_numbers("covariance", covariance, ndim=2)
    if covariance.shape != (len(f), len(f)):
        raise InputError("covariance", found=f"shape {covariance.shape}", expected=f"shape ({len(f)}, {len(f)})")
    return h, f, covariance


def _risk(h: Array, f: Array, covariance: Array | None) -> Array:
    error = h - f
    return error @ error if covariance is None else error @ covariance @ error
