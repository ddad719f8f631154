"""The reduced form: all that tests with instruments know about the data.

With controls c partialled out and the excluded instruments z replaced by an orthonormal basis q of their
column space, every test of this room is a function of the coefficients ``q^T [y x]`` and of their covariance.
The homoskedastic tests need only the two Gram matrices of :class:`Moments`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.errors import InputError
from causalrep.linalg import orthonormal_basis, project, residualize
from causalrep.precision import full_products

COVARIANCES = ("homoskedastic", "HC0", "HC1", "cluster")


class Moments(NamedTuple):
    """Gram matrices of ``w = [y x]`` within and outside the span of the instruments, given the controls.

    Attributes:
        projected: ``w^T P w``, (1 + p, 1 + p).
        residual: ``w^T M w``, (1 + p, 1 + p).
    """

    projected: Float[Array, "m m"]
    residual: Float[Array, "m m"]


class ReducedForm(NamedTuple):
    """Coefficients of ``[y x]`` on an orthonormal basis of the instruments, and their covariance.

    Attributes:
        coefficients: ``q^T [y x]``, (k, 1 + p).
        covariance: (1 + p, k, 1 + p, k): entry (a, i, b, j) is the covariance of coefficients (i, a), (j, b).
        df_den: Denominator degrees of freedom for an F reference: n - k - q, or the clusters less one.
    """

    coefficients: Float[Array, "k m"]
    covariance: Float[Array, "m k m k"]
    df_den: Float[Array, ""] | float


def residual_dof(z: Float[Array, "n k"], c: Float[Array, "n q"] | None) -> int:
    """``n - k - q``, a static number."""
    return z.shape[0] - z.shape[1] - (0 if c is None else c.shape[1])


def partial_out(
    w: Float[Array, "n m"], z: Float[Array, "n k"], c: Float[Array, "n q"] | None
) -> tuple[Float[Array, "n m"], Float[Array, "n k"]]:
    """``w`` less its projection on the controls, and an orthonormal basis of z less its own."""
    controls = None if c is None else orthonormal_basis(c)
    return residualize(controls, w), orthonormal_basis(residualize(controls, z))


@full_products
def moments(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
) -> Moments:
    """The two Gram matrices on which every homoskedastic test depends."""
    w, q = partial_out(jnp.column_stack([y, x]), z, c)
    inside = q.T @ w
    outside = w - project(q, w)
    return Moments(inside.T @ inside, outside.T @ outside)


@full_products
def reduced_form(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: str = "HC1",
    clusters: Int[Array, " n"] | None = None,
) -> ReducedForm:
    """Reduced-form coefficients with a homoskedastic, robust or clustered covariance.

    The residuals are those of the unrestricted regression of ``[y x]`` on (z, c), as in the reduced-form
    formulation of Andrews, Stock and Sun (2019), section 2.

    Args:
        y: Outcome, (n,).
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
        covariance: One of ``COVARIANCES``. HC1 multiplies HC0 by n / (n - k - q); ``cluster`` multiplies
            the sum over clusters by G / (G - 1) * (n - 1) / (n - k - q).
        clusters: For ``cluster``: integer codes in 0..n-1, (n,).
    """
    dof = residual_dof(z, c)
    w, q = partial_out(jnp.column_stack([y, x]), z, c)
    coefficients = q.T @ w
    v = w - q @ coefficients
    spread, df_den = score_covariance(v, q, dof, covariance=covariance, clusters=clusters)
    return ReducedForm(coefficients, spread, df_den)


@full_products
def score_covariance(
    v: Float[Array, "n m"],
    q: Float[Array, "n k"],
    dof: int,
    *,
    covariance: str,
    clusters: Int[Array, " n"] | None = None,
    corrected: bool = True,
) -> tuple[Float[Array, "m k m k"], Float[Array, ""] | float]:
    """Covariance of ``q^T v`` for residuals v and orthonormal q, and the degrees of freedom behind it.

    Args:
        v: Residuals, (n, m).
        q: Orthonormal instruments, (n, k).
        dof: n - k - q.
        covariance: One of ``COVARIANCES``.
        clusters: Integer codes for ``"cluster"``.
        corrected: Apply the small-sample factors; without them homoskedastic variances divide by n.
    """
    n, m = v.shape
    k = q.shape[1]
    if covariance == "homoskedastic":
        sigma = v.T @ v / (dof if corrected else n)
        return jnp.einsum("ab,ij->aibj", sigma, jnp.eye(k, dtype=v.dtype)), dof
    scores = (v[:, :, None] * q[:, None, :]).reshape(n, m * k)
    df_den, factor = dof, 1.0
    if covariance == "HC1":
        factor = n / dof
    elif covariance == "cluster":
        if clusters is None:
            raise InputError("clusters", found="none", expected="integer codes when covariance='cluster'")
        scores = jax.ops.segment_sum(scores, clusters, num_segments=n)
        groups = jnp.sum(jax.ops.segment_sum(jnp.ones(n, v.dtype), clusters, num_segments=n) > 0)
        groups = groups.astype(v.dtype)
        df_den, factor = groups - 1, groups / (groups - 1) * (n - 1) / dof
    elif covariance != "HC0":
        raise InputError("covariance", found=repr(covariance), expected=f"one of {COVARIANCES}")
    factor = factor if corrected else 1.0
    return (factor * scores.T @ scores).reshape(m, k, m, k), df_den
