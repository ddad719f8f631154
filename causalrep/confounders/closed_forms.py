"""Posteriors in closed form: checks on the amortized ones, and replacements for them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.linalg import generalized_residual


def affine_posterior(
    loc: Float[Array, "n k"],
    variance: Float[Array, "n k"],
    residual: Float[Array, " n"],
    slopes: Float[Array, "n k"],
    scale: Float[Array, " n"],
) -> tuple[Float[Array, "n k"], Float[Array, "n k k"]]:
    """The law of ``u | y``, where ``u ~ N(loc, diag variance)`` and ``y - m = slopes' u + N(0, scale^2)``.

    ``Sigma^-1 = diag(1/variance) + c c' / s^2`` and ``mean = Sigma (loc / variance + c (y - m) / s^2)``, by the
    rank-one (Sherman-Morrison) form of that inverse: ``mean = loc + gain (y - m - c' loc)``.

    Args:
        loc: Means before y is observed.
        variance: Variances before y is observed.
        residual: ``y - m_t(x)``.
        slopes: ``c_t(x)``.
        scale: ``s_t``.

    Returns:
        Means (n, k) and covariances (n, k, k).
    """
    spread = variance * slopes
    gain = spread / (scale**2 + jnp.sum(slopes * spread, axis=-1))[:, None]
    mean = loc + gain * (residual - jnp.sum(slopes * loc, axis=-1))[:, None]
    covariance = jnp.eye(loc.shape[1], dtype=loc.dtype) * variance[:, None, :] - gain[:, :, None] * spread[:, None, :]
    return mean, covariance


def inverse_mills(
    index: Float[Array, " n"], slope: float | Float[Array, " n"], t: Float[Array, " n"]
) -> Float[Array, " n"]:
    """``E[u | x, t]`` for ``u ~ N(0, 1)`` and ``t = 1[index + slope u + e > 0]``, ``e ~ N(0, 1)``.

    Equal to ``rho (2t - 1) phi(a') / Phi((2t - 1) a')`` with ``a' = index / sqrt(1 + slope^2)`` and
    ``rho = slope / sqrt(1 + slope^2)``: the control function of Heckman (1979), "Sample Selection Bias as a
    Specification Error".
    """
    spread = jnp.sqrt(1.0 + jnp.square(slope))
    return slope / spread * generalized_residual(index / spread, t)
