"""IV-like regression in the space of a kernel: the linear method's projection becomes a kernel ridge regression.

With K and K_Z the kernel matrices of the treatment and the instruments, ``P = K_Z (K_Z + n l I)^-1`` smooths over the
instruments as the projection does in the linear model, and the function minimises

    ``[(y - h)^T P (y - h) + alpha |y - h|^2] / (n (1 + alpha)) + penalty |h|^2``

over the kernel's space. Its weights solve ``(K + n penalty W^-1) a = y`` with ``W = (P + alpha I) / (1 + alpha)``; the
eigenvectors of K_Z give the inverse of W for every alpha. At alpha to infinity it is kernel ridge regression.

Source: the extension that Akbar et al. (arXiv 2510.25128) leave open; the risk is their
section 3's, the system is ours.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.iv.nonlinear.kernels import gaussian_kernel, median_lengthscale
from causalrep.iv.nonlinear.kiv import KernelFit
from causalrep.linalg import eigh, spd_solve


def kernel_ivl(
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    alpha: Float[Array, ""] | float,
    penalty: Float[Array, ""] | float,
    instrument_penalty: float = 1e-3,
) -> KernelFit:
    """Kernel IVL at fixed penalties, by two dense factorisations: cost cubic in the rows.

    Args:
        y: Outcome.
        x: Treatment, the augmented one under augmentation, and controls.
        z: Instruments or the augmentation's parameters, and controls.
        alpha: The penalty on the ordinary risk, above 0.
        penalty: Of the function's squared norm, above 0.
        instrument_penalty: l, of the regression on the instruments.
    """
    x_scale = median_lengthscale(x)
    eigenvalues, vectors = _smoother(z, instrument_penalty)
    weights = _solve(y, gaussian_kernel(x, x, x_scale), eigenvalues, vectors, alpha, penalty)
    return KernelFit(weights, x, x_scale, (jnp.asarray(alpha), jnp.asarray(penalty)), ())


def select_kernel_ivl(
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    alphas: Float[Array, " a"],
    penalties: Float[Array, " l"],
    *,
    held_out: int,
    x_score: Float[Array, "n d"] | None = None,
    instrument_penalty: float = 1e-3,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, "a l"]]:
    """The pair of penalties with the least squared error on held-out rows.

    Args:
        y: Outcome; rows in random order.
        x: Treatment to fit on.
        z: Instruments.
        alphas: Candidates for alpha.
        penalties: Candidates for the penalty.
        held_out: How many of the last rows are held out.
        x_score: Treatment to score on, the un-augmented one under augmentation; default ``x``.
        instrument_penalty: As in :func:`kernel_ivl`.

    Returns:
        alpha, the penalty, and the error of every pair.
    """
    n = y.shape[0] - held_out
    x_scale = median_lengthscale(x)
    k = gaussian_kernel(x[:n], x[:n], x_scale)
    k_score = gaussian_kernel((x if x_score is None else x_score)[n:], x[:n], x_scale)
    eigenvalues, vectors = _smoother(z[:n], instrument_penalty)

    def error(pair):
        weights = _solve(y[:n], k, eigenvalues, vectors, *pair)
        return jnp.mean(jnp.square(y[n:] - k_score @ weights))

    # One pair after the other: a batch of n x n systems would fill the memory.
    grid = [values.reshape(-1) for values in jnp.meshgrid(alphas, penalties, indexing="ij")]
    errors = jax.lax.map(error, tuple(grid))
    best = jnp.argmin(errors)
    return grid[0][best], grid[1][best], errors.reshape(alphas.shape[0], penalties.shape[0])


def _smoother(z: Float[Array, "n k"], penalty: float) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Eigenvalues of P in [0, 1) and its eigenvectors."""
    values, vectors = eigh(gaussian_kernel(z, z, median_lengthscale(z)))
    values = jnp.maximum(values, 0.0)
    return values / (values + z.shape[0] * penalty), vectors


def _solve(y, k, eigenvalues, vectors, alpha, penalty) -> Float[Array, " n"]:
    inverse = (vectors * ((1.0 + alpha) / (eigenvalues + alpha))) @ vectors.T
    return spd_solve(k + y.shape[0] * penalty * inverse, y)
