"""Causal excess risk of a linear hypothesis, plain and normalized.

Source: IVL paper (arXiv 2510.25128), section 2 (CER) and section 5 (nCER). The paper's theorems use the norm of the
treatment's covariance, its figures the Euclidean norm. The two can order methods differently, so the norm is an
argument here.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.precision import full_products


@full_products
def causal_excess_risk(
    h: Float[Array, " m"], f: Float[Array, " m"], covariance: Float[Array, "m m"] | None = None
) -> Float[Array, ""]:
    """``CER(h) = CR(h) - CR(f) = ||h - f||^2_Sigma`` for squared loss and linear hypotheses.

    Args:
        h: Estimated effect (m,).
        f: True effect (m,).
        covariance: Covariance Sigma_X of the treatment (m, m); None is the Euclidean norm.

    >>> import jax.numpy as jnp
    >>> float(causal_excess_risk(jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])))
    4.0
    """
    error = h - f
    return error @ error if covariance is None else error @ covariance @ error


def normalized_excess_risk(
    h: Float[Array, " m"], f: Float[Array, " m"], covariance: Float[Array, "m m"] | None = None
) -> Float[Array, ""]:
    """``nCER(h) = CER(h) / (CER(h) + CER(0))``: 0 is the truth, 0.5 the null effect, 1 pure confounding.

    Args:
        h: Estimated effect (m,).
        f: True effect (m,).
        covariance: Covariance Sigma_X of the treatment (m, m); None is the Euclidean norm of the paper's figures and
            tables.

    >>> import jax.numpy as jnp
    >>> float(normalized_excess_risk(jnp.zeros(2), jnp.array([1.0, 3.0])))
    0.5
    """
    risk = causal_excess_risk(h, f, covariance)
    null = causal_excess_risk(jnp.zeros_like(f), f, covariance)
    return risk / (risk + null)
