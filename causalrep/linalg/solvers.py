"""Building blocks of least squares: orthonormal bases, projections, minimum-norm solutions, decompositions.

Every function is pure, keeps static shapes whatever the rank, and works under ``jit`` and ``vmap``. Projections onto
a column space use a thin orthonormal factor ``Q`` (``P v = Q (Q^T v)``): an n x n matrix is never formed, and no matrix
is inverted explicitly.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.precision import full_products


@full_products
def orthonormal_basis(a: Float[Array, "n k"], *, rcond: float | None = None) -> Float[Array, "n k"]:
    """Orthonormal basis of the column space of ``a``, with zero columns where ``a`` lacks rank.

    A QR factorization reduces the problem to a k x k factor, whose singular values reveal the rank. This is as accurate
    as a singular value decomposition of ``a``, at the cost of the QR.

    Args:
        a: Matrix with n >= k or n < k rows.
        rcond: Singular values below ``rcond * largest`` count as zero; default ``max(n, k) * eps``.

    Returns:
        ``Q`` of shape (n, min(n, k)): ``Q @ Q.T`` is the orthogonal projection on the columns of ``a``.
    """
    if a.shape[0] <= a.shape[1]:
        u, s, _ = svd(a)
        return u * _rank_mask(s, a, rcond)
    q, r = jnp.linalg.qr(a)
    u, s, _ = svd(r)
    return (q @ u) * _rank_mask(s, a, rcond)


@full_products
def project(basis: Float[Array, "n k"], v: Float[Array, "n *m"]) -> Float[Array, "n *m"]:
    """``P v`` for the orthogonal projection ``P = Q Q^T`` on the columns of an orthonormal ``basis`` Q."""
    return basis @ (basis.T @ v)


@full_products
def residualize(basis: Float[Array, "n k"] | None, v: Float[Array, "n *m"]) -> Float[Array, "n *m"]:
    """``v - P v``, applied twice for orthogonality to working precision; ``v`` itself if ``basis`` is None."""
    if basis is None:
        return v
    v = v - project(basis, v)
    return v - project(basis, v)


@full_products
def min_norm_solve(
    a: Float[Array, "n m"], b: Float[Array, "n *r"], *, rcond: float | None = None
) -> Float[Array, "m *r"]:
    """Minimum-norm least-squares solution ``a^+ b``, by QR and a singular value decomposition of its factor.

    Args:
        a: Matrix of any shape and rank.
        b: Right-hand side, a vector or a matrix.
        rcond: Relative cut-off for singular values; default ``max(n, m) * eps``.
    """
    n, m = a.shape
    rcond = max(n, m) * float(jnp.finfo(a.dtype).eps) if rcond is None else rcond
    if n > m:
        # The triangular factor of [a b] holds Q^T b as well: Q itself is never formed.
        r = jnp.linalg.qr(jnp.column_stack([a, b]), mode="r")
        a, b = r[:m, :m], r[:m, m:].reshape(m, *b.shape[1:])
    u, s, vt = svd(a)
    rhs = u.T @ b
    keep = _rank_mask(s, a, rcond)
    inverse = jnp.where(keep > 0, 1.0 / jnp.where(keep > 0, s, 1.0), 0.0)
    return vt.T @ (inverse.reshape((-1,) + (1,) * (rhs.ndim - 1)) * rhs)


@full_products
def spd_solve(a: Float[Array, "m m"], b: Float[Array, "m *r"]) -> Float[Array, "m *r"]:
    """Solve ``a x = b`` for a symmetric positive definite ``a``, by Cholesky."""
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(a), True), b)


def eigh(a: Float[Array, "m m"]) -> tuple[Float[Array, " m"], Float[Array, "m m"]]:
    """Eigenvalues in ascending order and eigenvectors of a symmetric matrix; on TPUs by Jacobi rotations at any size.

    Above 256 rows JAX divides the spectrum on TPUs by polar decompositions, a program that takes minutes to compile: at
    1,000 rows more than 100 s, where the Jacobi method takes 4 s (jax 0.10.2, for v5e, ahead of time).
    """

    def jacobi(a: Array) -> tuple[Array, Array]:
        vectors, values = jax.lax.linalg.eigh(a, implementation=jax.lax.linalg.EighImplementation.JACOBI)
        return values, vectors

    return jax.lax.platform_dependent(a, tpu=jacobi, default=lambda a: tuple(jnp.linalg.eigh(a)))


# Up to this number of rows JAX itself uses the Jacobi method on TPUs.
_JACOBI_ROWS = 256


@jax.custom_jvp
def svd(a: Float[Array, "n m"]) -> tuple[Float[Array, "n k"], Float[Array, " k"], Float[Array, "k m"]]:
    """Thin singular value decomposition ``u, s, vt`` with k = min(n, m); on TPUs one that compiles at any size.

    On TPUs it takes the polar decomposition ``a = w h`` and the eigenvectors of ``h`` (Higham and Papadimitriou 1994),
    as JAX does, but with :func:`eigh` in place of a second, recursive use of polar decompositions. At 1,000 rows it
    compiles in 53 s, where JAX's had not finished after 220 s (jax 0.10.2, for v5e, ahead of time). There the columns
    of ``u`` that belong to singular values of zero need not be orthonormal.
    """
    if min(a.shape) <= _JACOBI_ROWS:
        return tuple(jnp.linalg.svd(a, full_matrices=False))
    return jax.lax.platform_dependent(
        a, tpu=_svd_by_polar, default=lambda a: tuple(jnp.linalg.svd(a, full_matrices=False))
    )


@svd.defjvp
def _svd_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple:
    # The polar decomposition iterates until it converges, and reverse mode cannot differentiate such a loop.
    return jax.jvp(lambda a: tuple(jnp.linalg.svd(a, full_matrices=False)), primals, tangents)


@full_products
def _svd_by_polar(a: Float[Array, "n m"]) -> tuple[Float[Array, "n k"], Float[Array, " k"], Float[Array, "k m"]]:
    n, m = a.shape
    if n < m:
        u, s, vt = _svd_by_polar(a.T)
        return vt.T, s, u.T
    q, r = jnp.linalg.qr(a) if n > m else (None, a)
    w, h = jax.scipy.linalg.polar(r, side="right", method="qdwh")
    values, vectors = eigh(0.5 * (h + h.T))
    vectors = vectors[:, ::-1]
    u = w @ vectors
    return (u if q is None else q @ u), jnp.maximum(values[::-1], 0.0), vectors.T


@full_products
def pinv_psd_solve(
    a: Float[Array, "m m"], b: Float[Array, "m *r"], *, rcond: float | None = None
) -> Float[Array, "m *r"]:
    """Minimum-norm solution ``a^+ b`` for a symmetric positive semidefinite ``a``, by its eigenvectors."""
    eigenvalues, vectors = eigh(a)
    cutoff = (rcond or a.shape[0] * float(jnp.finfo(a.dtype).eps)) * jnp.max(eigenvalues)
    keep = eigenvalues > cutoff
    inverse = jnp.where(keep, 1.0 / jnp.where(keep, eigenvalues, 1.0), 0.0)
    rhs = vectors.T @ b
    return vectors @ (inverse.reshape((-1,) + (1,) * (rhs.ndim - 1)) * rhs)


def _rank_mask(s: Float[Array, " k"], a: Float[Array, "n m"], rcond: float | None) -> Float[Array, " k"]:
    relative = max(a.shape) * float(jnp.finfo(a.dtype).eps) if rcond is None else rcond
    return (s > relative * jnp.max(s)).astype(a.dtype)
