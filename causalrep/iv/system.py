"""The linear system with instruments, and its reduced form: all that tests with instruments need of the data.

With controls c partialled out and the excluded instruments z replaced by an orthonormal basis q of their
column space, every test of this room is a function of the coefficients ``q^T [y x]`` and of their covariance.
The homoskedastic tests need only the two Gram matrices of :class:`Moments`.
"""

from typing import NamedTuple, Self

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from causalrep.inference.sandwich import Covariance, score_meat
from causalrep.linalg import orthonormal_basis, project, residualize
from causalrep.precision import full_products


class System(NamedTuple):
    """Data of the structural equation ``y = x b + c g + e``; a pytree for ``jit`` and ``vmap``.

    Attributes:
        y: Outcome (n,). Tests of the first stage do not read it.
        x: Endogenous treatments (n, p).
        z: Excluded instruments (n, k).
        c: Exogenous controls (n, q), the constant included, or None.
        clusters: Integer codes in 0..n-1 (n,), or None.
    """

    y: Float[Array, " n"]  # None where only the first stage is looked at
    x: Float[Array, "n p"]
    z: Float[Array, "n k"]
    c: Float[Array, "n q"] | None = None
    clusters: Int[Array, " n"] | None = None

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """``(n, p, k, q)``: rows, treatments, instruments, controls; static numbers."""
        chex.assert_rank([self.x, self.z], 2)
        return (*self.x.shape, self.z.shape[1], 0 if self.c is None else self.c.shape[1])

    @property
    def dof(self) -> int:
        """Residual degrees of freedom of the reduced form, ``n - k - q``."""
        n, _, k, q = self.sizes
        return n - k - q

    def first_stage(self, index: int) -> Self:
        """The system with treatment ``index`` as the outcome and the other treatments as regressors."""
        others = [j for j in range(self.x.shape[1]) if j != index]
        return self._replace(y=self.x[:, index], x=self.x[:, np.array(others, int)])


class Moments(NamedTuple):
    """Gram matrices of ``w = [y x]`` within and outside the span of the instruments, given the controls.

    Attributes:
        projected: ``w^T P w`` (1 + p, 1 + p).
        residual: ``w^T M w`` (1 + p, 1 + p).
    """

    projected: Float[Array, "m m"]
    residual: Float[Array, "m m"]


class Whitened(NamedTuple):
    """Moments of ``[y x]`` in coordinates where their reduced-form covariance is the identity.

    Attributes:
        gram: ``A = L^{-1} w'Pw L^{-T}`` with ``L L' = w'Mw / (n - k - q)`` (1 + p, 1 + p).
        factor: ``L``: the combination ``w d`` has the whitened direction ``L' d``.
    """

    gram: Float[Array, "m m"]
    factor: Float[Array, "m m"]


class ReducedForm(NamedTuple):
    """Coefficients of ``[y x]`` on an orthonormal basis of the instruments, and their covariance.

    Attributes:
        coefficients: ``q^T [y x]`` (k, 1 + p).
        covariance: (1 + p, k, 1 + p, k): entry (a, i, b, j) is the covariance of coefficients (i, a), (j, b).
        df_den: Denominator degrees of freedom for an F reference: n - k - q, or the number of clusters less one.
    """

    coefficients: Float[Array, "k m"]
    covariance: Float[Array, "m k m k"]
    df_den: Float[Array, ""] | float


def partial_out(
    w: Float[Array, "n m"], z: Float[Array, "n k"], c: Float[Array, "n q"] | None
) -> tuple[Float[Array, "n m"], Float[Array, "n k"]]:
    """``w`` without its projection on the controls, and an orthonormal basis of ``z`` without its own."""
    controls = None if c is None else orthonormal_basis(c)
    return residualize(controls, w), orthonormal_basis(residualize(controls, z), lengths=jnp.linalg.norm(z, axis=0))


@full_products
def moments(system: System) -> Moments:
    """The two Gram matrices on which every homoskedastic test depends."""
    w, q = partial_out(jnp.column_stack([system.y, system.x]), system.z, system.c)
    inside = q.T @ w
    outside = w - project(q, w)
    return Moments(inside.T @ inside, outside.T @ outside)


def whiten(m: Moments, dof: int) -> Whitened:
    """The moments in coordinates that make ``w'Mw / dof`` the identity."""
    factor = jnp.linalg.cholesky(m.residual / dof)
    half = jax.scipy.linalg.solve_triangular(factor, m.projected, lower=True)
    gram = jax.scipy.linalg.solve_triangular(factor, half.T, lower=True)
    return Whitened((gram + gram.T) / 2, factor)


@full_products
def reduced_form(system: System, covariance: str) -> ReducedForm:
    """Reduced-form coefficients with a homoskedastic, robust or clustered covariance.

    The residuals are those of the unrestricted regression of ``[y x]`` on (z, c), as in the reduced-form
    formulation of Andrews, Stock and Sun (2019), section 2.

    Args:
        system: The data.
        covariance: One of :data:`~causalrep.inference.sandwich.MOMENT_KINDS`. HC1 multiplies HC0 by
            n / (n - k - q); ``cluster`` multiplies the sum over clusters by G / (G - 1) * (n - 1) / (n - k - q).
    """
    w, q = partial_out(jnp.column_stack([system.y, system.x]), system.z, system.c)
    coefficients = q.T @ w
    request = Covariance(covariance, clusters=system.clusters)
    spread = score_covariance(w - q @ coefficients, q, request, system.dof)
    return ReducedForm(coefficients, spread, request.reference_dof(len(w), system.dof, w.dtype))


@full_products
def score_covariance(
    v: Float[Array, "n m"], q: Float[Array, "n k"], covariance: Covariance, dof: int
) -> Float[Array, "m k m k"]:
    """Covariance of ``q^T v`` for residuals v and orthonormal q.

    Args:
        v: Residuals (n, m).
        q: Orthonormal instruments (n, k).
        covariance: Which covariance, of a kind in :data:`~causalrep.inference.sandwich.MOMENT_KINDS`.
        dof: Residual degrees of freedom, for the small-sample factor.
    """
    n, m = v.shape
    k = q.shape[1]
    if covariance.kind == "homoskedastic":
        # q is orthonormal, so the covariance is the Kronecker product of the residuals' covariance and I.
        sigma = v.T @ v / (dof if covariance.debiased else n)
        return jnp.einsum("ab,ij->aibj", sigma, jnp.eye(k, dtype=v.dtype))
    scores = (v[:, :, None] * q[:, None, :]).reshape(n, m * k)
    return score_meat(scores, covariance, dof).reshape(m, k, m, k)
