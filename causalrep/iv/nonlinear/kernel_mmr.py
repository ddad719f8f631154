"""Instrumental variables by the maximum moment restriction in a kernel space (MMR-IV), in closed form."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.iv.nonlinear.base import Fitted, NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData
from causalrep.iv.nonlinear.kernel_fit import (
    DOMAINS,
    SHRUNK,
    Approximation,
    KernelFit,
    fit_kernel,
    in_kernel_form,
)
from causalrep.iv.nonlinear.kernels import gaussian_kernel, median_lengthscale, nystroem, nystroem_features
from causalrep.iv.nonlinear.ridge import best_candidate, ridge_coefficients, ridge_path
from causalrep.linalg import eigh


def moment_risk(residuals: Float[Array, "n *l"], kernel: Float[Array, "n n"]) -> Float[Array, "*l"]:
    """The squared maximum moment restriction, ``sum_ij r_i k(z_i, z_j) r_j``, as a mean over pairs i != j.

    It estimates ``sup_g E[(Y - f(X)) g(Z)]^2`` over the unit ball of the instrument's kernel space, without bias: zero
    in expectation at the structural function. A criterion by which to compare any two fits on held-out rows.

    Args:
        residuals: ``y - f(x)``, one column per candidate.
        kernel: Kernel matrix ``k(z_i, z_j)`` of the instruments.

    Source: Zhang, Imaizumi, Schoelkopf, Muandet (2020), "Maximum Moment Restriction for Instrumental Variable
    Regression" (arXiv 2010.07684), in the form of a U-statistic.
    """
    diagonal = jnp.diagonal(kernel).reshape(-1, *[1] * (residuals.ndim - 1))
    return jnp.mean(_contributions(residuals, kernel @ residuals, diagonal), axis=0)


def _contributions(residuals: Array, smoothed: Array, diagonal: Array) -> Array:
    """Each row's part of the risk without its product with itself; ``smoothed`` is the kernel times the residuals."""
    return residuals * (smoothed - diagonal * residuals) / (residuals.shape[0] - 1)


def _largest_plausible(contributions: Float[Array, "n l"], penalties: Float[Array, " l"]) -> Int[Array, ""]:
    """The largest penalty whose held-out risk lies within one standard error of the least.

    The least risk alone selects penalties that are far too small: the problem is ill-posed, so functions that differ
    wildly can violate the moments alike, and noise decides between them. The standard error is that of the paired
    difference of two U-statistics, by their first-order projection.
    """
    contributions = jnp.where(jnp.isfinite(contributions), contributions, jnp.inf)
    least = best_candidate(jnp.mean(contributions, axis=0))
    excess = contributions - contributions[:, least][:, None]
    se = 2 * jnp.std(excess, axis=0) / jnp.sqrt(contributions.shape[0])
    plausible = jnp.mean(excess, axis=0) <= se
    return jnp.argmax(jnp.where(plausible, penalties, -jnp.inf))


def kernel_mmr(
    y: Float[Array, " n"], x: Float[Array, "n d"], z: Float[Array, "n k"], penalties: Float[Array, " l"]
) -> KernelFit:
    """The function with the least moment risk plus penalty, the penalty validated on halves of the rows.

    With ``W = k(z_i, z_j)`` and ``L = l(x_i, x_j)`` the minimizer of
    ``(y - f)^T W (y - f) / n^2 + penalty ||f||^2`` has weights ``R (R^T L R + n^2 penalty I)^-1 R^T y``, where
    ``W = R R^T``; the eigenvectors of ``R^T L R`` serve every penalty.

    Args:
        y: Outcome; rows in random order.
        x: Treatment and exogenous controls.
        z: Instruments and exogenous controls.
        penalties: Candidates. Each half is fitted and scored by the :func:`moment_risk` of the other; the largest
            penalty within one standard error of the least risk then fits the whole sample.

    Source: Zhang, Imaizumi, Schoelkopf, Muandet (2020), arXiv 2010.07684, as a V-statistic. The selection
    is ours: the paper's is the leave-out error of an equivalent Gaussian process.
    """
    half = y.shape[0] // 2
    scales = median_lengthscale(x), median_lengthscale(z)

    def weights(rows: slice) -> Float[Array, "n l"]:
        n = len(y[rows])
        values, vectors = eigh(gaussian_kernel(z[rows], z[rows], scales[1]))
        root = vectors * jnp.sqrt(jnp.maximum(values, 0.0))
        gram = root.T @ gaussian_kernel(x[rows], x[rows], scales[0]) @ root
        gram_values, gram_vectors = eigh(gram)
        projected = gram_vectors.T @ (root.T @ y[rows])
        dual = projected[:, None] / (jnp.maximum(gram_values, 0.0)[:, None] + n * n * penalties)
        return root @ (gram_vectors @ dual)

    def score(fitted: slice, held_out: slice) -> Float[Array, "n l"]:
        residuals = y[held_out, None] - gaussian_kernel(x[held_out], x[fitted], scales[0]) @ weights(fitted)
        smoothed = gaussian_kernel(z[held_out], z[held_out], scales[1]) @ residuals
        return _contributions(residuals, smoothed, jnp.ones((len(residuals), 1)))

    first, second = slice(0, half), slice(half, None)
    contributions = jnp.concatenate([score(first, second), score(second, first)])
    best, losses = _largest_plausible(contributions, penalties), jnp.mean(contributions, axis=0)
    return KernelFit(weights(slice(0, None))[:, best], x, scales[0], (penalties[best],), (losses,))


def nystroem_kernel_mmr(
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    penalties: Float[Array, " l"],
    *,
    landmarks: int,
) -> KernelFit:
    """:func:`kernel_mmr` with Nystroem features of both kernels: cost linear in the rows.

    In these features ``W = Psi Psi^T``, and the problem is a ridge regression of ``Psi^T y`` on ``Psi^T Phi``.
    """
    half = y.shape[0] // 2
    x_map = nystroem(x[:landmarks], median_lengthscale(x))
    z_map = nystroem(z[:landmarks], median_lengthscale(z))
    phi, psi = nystroem_features(x_map, x), nystroem_features(z_map, z)

    def coefficients(rows: slice) -> Float[Array, "D l"]:
        n = len(y[rows])
        path = ridge_path(psi[rows].T @ phi[rows] / n, (psi[rows].T @ y[rows] / n)[:, None])
        return jax.vmap(lambda penalty: ridge_coefficients(path, penalty)[:, 0], out_axes=1)(penalties)

    def score(fitted: slice, held_out: slice) -> Float[Array, "n l"]:
        residuals = y[held_out, None] - phi[held_out] @ coefficients(fitted)
        smoothed = psi[held_out] @ (psi[held_out].T @ residuals)
        return _contributions(residuals, smoothed, jnp.sum(psi[held_out] ** 2, axis=1)[:, None])

    first, second = slice(0, half), slice(half, None)
    contributions = jnp.concatenate([score(first, second), score(second, first)])
    best, losses = _largest_plausible(contributions, penalties), jnp.mean(contributions, axis=0)
    return in_kernel_form(x_map, coefficients(slice(0, None))[:, best], (penalties[best],), (losses,))


class KernelMMR(NonlinearIVEstimator):
    """Maximum moment restriction in a kernel space (MMR-IV): one stage, no sample split in the final fit.

    The function minimizes the largest violation of ``E[(Y - h(T, X)) g(Z, X)] = 0`` over the unit ball of the
    instruments' kernel space, plus a ridge penalty. The penalty is the largest whose held-out violation lies within one
    standard error of the least.

    Args:
        candidates: Number of penalties tried, all in one program.
        penalty_range: Lowest and highest penalty, on a logarithmic scale; equal ends fix the penalty.
        approximation: ``"exact"`` (cost cubic in the rows), ``"nystroem"`` (linear), or ``"auto"``: exact up to
            2,000 rows.
        landmarks: Number of rows that span the Nystroem approximation.
        center: Subtract the outcome's mean before the fit and add it back after, so that the penalties shrink towards
            the mean rather than towards zero.
        seed: Random seed of the order of the rows, which determines the halves and the landmarks.

    Attributes:
        fit_: The :class:`~causalrep.iv.nonlinear.kernel_fit.KernelFit`.
        approximation_: ``"exact"`` or ``"nystroem"``.
        penalties_: The penalties chosen, stage by stage.

    There is no interval, because the penalties leave a bias of the order of the sampling error.

    Source: Zhang, Imaizumi, Schoelkopf, Muandet (2020), "Maximum Moment Restriction for Instrumental Variable
    Regression" (arXiv 2010.07684).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z, u, v = rng.normal(size=(3, 500))
    >>> t = z + u + 0.3 * v
    >>> model = KernelMMR(penalty_range=(1e-4, 1e-4)).fit(np.sin(t) + 2 * u, t, Z=z)
    >>> bool(abs(model.effect(T0=-1.0, T1=1.0) - 2 * np.sin(1)) < 0.7)
    True
    """

    _title = "Kernel maximum moment restriction"
    _no_interval = SHRUNK
    _domains = DOMAINS

    def __init__(
        self,
        *,
        candidates: int = 25,
        penalty_range: tuple[float, float] = (1e-9, 1.0),
        approximation: Approximation = "auto",
        landmarks: int = 300,
        center: bool = True,
        seed: int = 0,
    ):
        self.candidates = candidates
        self.penalty_range = penalty_range
        self.approximation = approximation
        self.landmarks = landmarks
        self.center = center
        self.seed = seed

    def _fit(self, data: NonlinearData) -> Fitted:
        return fit_kernel(self, data, _kernel_mmr, _nystroem_kernel_mmr, ("Penalty",))


# Compiled once per process, input shape and number of landmarks, whichever instance calls.
_kernel_mmr = jax.jit(kernel_mmr)
_nystroem_kernel_mmr = jax.jit(nystroem_kernel_mmr, static_argnames="landmarks")
