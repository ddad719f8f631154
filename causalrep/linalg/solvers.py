"""Building blocks of least squares: orthonormal bases, projections, minimum-norm solutions, decompositions.

The rank of a matrix is decided after its columns have been scaled to unit length, so that the units of the data
(dollars, time stamps, shares) do not decide which columns count.

Every function is pure, keeps static shapes whatever the rank, and works under ``jit`` and ``vmap``. Projections onto
a column space use a thin orthonormal factor ``Q`` (``P v = Q (Q^T v)``): an n x n matrix is never formed, and no matrix
is inverted explicitly.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.precision import full_products


def rank_tolerance(dtype: jnp.dtype) -> float:
    """The share of the largest singular value of scaled columns up to which another counts as zero: ``eps^(2/3)``.

    That is 3.7e-11 in float64. Columns that depend on each other exactly come out at the rounding of their own
    computation, some 1e-14; year and its square, as close to dependent as honest columns get, at 1e-5.
    """
    return float(jnp.finfo(dtype).eps) ** (2 / 3)


@full_products
def orthonormal_basis(
    a: Float[Array, "n k"], *, lengths: Float[Array, " k"] | None = None, rcond: float | None = None
) -> Float[Array, "n k"]:
    """Orthonormal basis of the column space of ``a``, with zero columns where ``a`` lacks rank.

    A QR factorization of the scaled columns reduces the problem to a k x k factor, whose singular values reveal the
    rank. This is as accurate as a singular value decomposition, at the cost of the QR.

    Args:
        a: Matrix with n >= k or n < k rows.
        lengths: The length (k,) that each column had before something was partialled out of it. A column that has lost
            all but its rounding then counts as zero; without it every column that is not zero counts.
        rcond: Singular values below ``rcond * largest`` count as zero; default :func:`rank_tolerance`.

    Returns:
        ``Q`` of shape (n, min(n, k)): ``Q @ Q.T`` is the orthogonal projection on the columns of ``a``.
    """
    scaled = unit_columns(a, lengths)[0]
    if a.shape[0] <= a.shape[1]:
        u, s, _ = svd(scaled)
        return u * _rank_mask(s, rcond)
    q, r = jnp.linalg.qr(scaled)
    u, s, _ = svd(r)
    return (q @ u) * _rank_mask(s, rcond)


def unit_columns(
    a: Float[Array, "n k"], lengths: Float[Array, " k"] | None = None
) -> tuple[Float[Array, "n k"], Float[Array, " k"]]:
    """Columns scaled to unit length, and the lengths by which they were divided; see :func:`orthonormal_basis`.

    A column of zeros stays, with length 1, and so does one that is nothing against its ``lengths``.
    """
    # Twice, so that the squares of very large or small numbers neither overflow nor vanish.
    largest = jnp.max(jnp.abs(a), axis=0)
    largest = jnp.where(largest > 0, largest, 1.0)
    own = largest * jnp.linalg.norm(a / largest, axis=0)
    kept = own > (0.0 if lengths is None else rank_tolerance(a.dtype) * lengths)
    own = jnp.where(kept, own, 1.0)
    return jnp.where(kept, a, 0.0) / own, own


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

    The rank is decided on scaled columns; the norm that is minimal is that of the solution in the units given.

    Args:
        a: Matrix of any shape and rank.
        b: Right-hand side, a vector or a matrix.
        rcond: Relative cut-off for singular values; default :func:`rank_tolerance`.
    """
    n, m = a.shape
    a, lengths = unit_columns(a)
    if n > m:
        # The triangular factor of [a b] holds Q^T b as well: Q itself is never formed.
        r = jnp.linalg.qr(jnp.column_stack([a, b]), mode="r")
        a, b = r[:m, :m], r[:m, m:].reshape(m, *b.shape[1:])
    u, s, vt = svd(a)
    keep = _rank_mask(s, rcond)
    inverse = jnp.where(keep > 0, 1.0 / jnp.where(keep > 0, s, 1.0), 0.0)
    rhs = u.T @ b
    return from_unit_columns(vt, keep, lengths, inverse.reshape((-1,) + (1,) * (rhs.ndim - 1)) * rhs)


@full_products
def from_unit_columns(
    vt: Float[Array, "k m"], keep: Float[Array, " k"], lengths: Float[Array, " m"], g: Float[Array, "k *r"]
) -> Float[Array, "m *r"]:
    """The minimum-norm x with ``v_j' D x = g_j`` for the kept right singular vectors v_j of ``a D^{-1}``.

    With as many vectors as columns, a vector in the null space of a is ``D^{-1} v_j`` for a v_j that is not kept, and x
    must be orthogonal to those: with ``v_j' D^{-1} x = 0`` in their places the system is square and regular. With
    fewer, x is a combination of the kept ``D v_j``.

    Args:
        vt: Right singular vectors, one per row.
        keep: 1 for those that count, 0 for others.
        lengths: The diagonal of D, by which the columns were divided.
        g: Right-hand side; its entries of dropped vectors are ignored.
    """
    kept = keep.reshape((-1,) + (1,) * (g.ndim - 1)) > 0
    if vt.shape[0] < vt.shape[1]:
        a = keep[:, None] * vt * lengths
        return a.T @ pinv_psd_solve(a @ a.T, jnp.where(kept, g, 0.0))
    system = jnp.where(keep[:, None] > 0, vt * lengths, vt / lengths)
    # Rows of like size: a pivot is chosen by its row's own scale.
    size = jnp.max(jnp.abs(system), axis=1, keepdims=True)
    rhs = jnp.where(kept, g, 0.0) / size.reshape((-1,) + (1,) * (g.ndim - 1))
    return jnp.linalg.solve(system / size, rhs)


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
    """Minimum-norm solution ``a^+ b`` for a symmetric positive semidefinite ``a``, by its eigenvectors.

    The rank depends on units: give a matrix whose diagonal is of one size.
    """
    eigenvalues, vectors = eigh(a)
    cutoff = (rcond or a.shape[0] * float(jnp.finfo(a.dtype).eps)) * jnp.max(eigenvalues)
    keep = eigenvalues > cutoff
    inverse = jnp.where(keep, 1.0 / jnp.where(keep, eigenvalues, 1.0), 0.0)
    rhs = vectors.T @ b
    return vectors @ (inverse.reshape((-1,) + (1,) * (rhs.ndim - 1)) * rhs)


def _rank_mask(s: Float[Array, " k"], rcond: float | None) -> Float[Array, " k"]:
    relative = rank_tolerance(s.dtype) if rcond is None else rcond
    return (s > relative * jnp.max(s)).astype(s.dtype)
