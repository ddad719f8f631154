"""Kernel instrumental variable regression (KIV), exact and with Nystroem features, tuned in one program.

Two identities make tuning cheap. The eigenvectors of the instruments' kernel matrix diagonalize stage 1 for every
penalty at once. With ``G`` the weights of the first stage, stage 2 is a kernel ridge regression of the outcome with the
Gram matrix ``G^T K_XX G`` of the estimated conditional mean embeddings, whose eigenvectors do the same for stage 2. So
two decompositions serve all candidates.
"""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

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
from causalrep.iv.nonlinear.ridge import best_candidate, ridge_path, shrinkage, two_stage_ridge
from causalrep.linalg import eigh


def kernel_iv(
    y: Float[Array, " N"],
    x: Float[Array, "N d"],
    z: Float[Array, "N k"],
    first_penalties: Float[Array, " l"],
    second_penalties: Float[Array, " m"],
) -> KernelFit:
    """Exact KIV: stage 1 on the first half of the rows, stage 2 on the rest, tuned by causal validation.

    Args:
        y: Outcome; rows in random order.
        x: Treatment and exogenous controls.
        z: Instruments and exogenous controls.
        first_penalties: Candidates for lambda; the conditional mean embedding is ``(K_ZZ + n lambda I)^-1 K_Zz``.
            They are scored by the squared error of the embedding on the second half.
        second_penalties: Candidates for xi, scored by ``mean (y - f(x))^2`` on the first half.

    Source: Singh, Sahani, Gretton (2019), "Kernel Instrumental Variable Regression", NeurIPS (arXiv 1906.00232),
    algorithm 1 and its validation procedure. With ``W = K_XX (K_ZZ + n lambda I)^-1 K_Zz`` the paper's
    ``alpha = (W W^T + m xi K_XX)^-1 W y_2`` and the form computed here give the same function.
    """
    chex.assert_equal_shape_prefix([y, x, z], 1)
    n = y.shape[0] // 2
    m = y.shape[0] - n
    x_scale, z_scale = median_lengthscale(x), median_lengthscale(z)
    x1, x2, z1, z2, y1, y2 = x[:n], x[n:], z[:n], z[n:], y[:n], y[n:]
    k_xx, k_x2 = gaussian_kernel(x1, x1, x_scale), gaussian_kernel(x1, x2, x_scale)

    values, vectors = eigh(gaussian_kernel(z1, z1, z_scale))
    turned = vectors.T @ gaussian_kernel(z1, z2, z_scale)
    inverse = 1.0 / (jnp.maximum(values, 0.0) + n * first_penalties[:, None])
    # The loss is quadratic in the inverse eigenvalues: one n x n matrix serves all candidates.
    cross = jnp.sum((vectors.T @ k_x2) * turned, axis=1)
    square = (vectors.T @ k_xx @ vectors) * (turned @ turned.T)
    first_losses = 1.0 - (2 * inverse @ cross - jnp.sum((inverse @ square) * inverse, axis=1)) / m
    first = best_candidate(first_losses)
    weights = vectors @ (inverse[first][:, None] * turned)

    embedded = k_xx @ weights
    gram_values, gram_vectors = eigh(weights.T @ embedded)
    outcome = gram_vectors.T @ y2
    dual = outcome[:, None] / (jnp.maximum(gram_values, 0.0)[:, None] + m * second_penalties)
    dual = gram_vectors @ dual
    second_losses = jnp.mean((y1[:, None] - embedded @ dual) ** 2, axis=0)
    second = best_candidate(second_losses)
    return KernelFit(
        weights @ dual[:, second],
        x1,
        x_scale,
        (first_penalties[first], second_penalties[second]),
        (first_losses, second_losses),
    )


def nystroem_kernel_iv(
    y: Float[Array, " N"],
    x: Float[Array, "N d"],
    z: Float[Array, "N k"],
    first_penalties: Float[Array, " l"],
    second_penalties: Float[Array, " m"],
    *,
    landmarks: int,
) -> KernelFit:
    """KIV in the span of a few landmarks: cost linear in the rows; with all first-half rows it is :func:`kernel_iv`.

    Args:
        y: Outcome; rows in random order.
        x: Treatment and exogenous controls.
        z: Instruments and exogenous controls.
        first_penalties: Candidates for lambda.
        second_penalties: Candidates for xi.
        landmarks: Number of first rows that span the approximation, of the treatment and of the instruments.

    Returns:
        A function with the landmarks as centers.
    """
    n = y.shape[0] // 2
    x_map = nystroem(x[:landmarks], median_lengthscale(x))
    z_map = nystroem(z[:landmarks], median_lengthscale(z))
    phi, psi = nystroem_features(x_map, x), nystroem_features(z_map, z)
    fit = two_stage_ridge((phi[:n], phi[n:]), (psi[:n], psi[n:]), (y[:n], y[n:]), first_penalties, second_penalties)
    penalties, losses = (fit.first_penalty, fit.second_penalty), (fit.first_losses, fit.second_losses)
    return in_kernel_form(x_map, fit.coef, penalties, losses)


def kernel_ridge(y: Float[Array, " n"], x: Float[Array, "n d"], penalties: Float[Array, " l"]) -> KernelFit:
    """Kernel ridge regression without instruments, tuned by leave-one-out error, the biased benchmark of KIV.

    Args:
        y: Outcome; rows in random order.
        x: Treatment and controls.
        penalties: Candidates; the penalty added to the kernel matrix is ``n`` times one of them.
    """
    n = y.shape[0]
    scale = median_lengthscale(x)
    values, vectors = eigh(gaussian_kernel(x, x, scale))
    inverse = 1.0 / (jnp.maximum(values, 0.0)[:, None] + n * penalties)
    dual = vectors @ ((vectors.T @ y)[:, None] * inverse)
    # The left-out residual is dual_i / (K + n penalty I)^-1_ii.
    losses = jnp.mean((dual / ((vectors**2) @ inverse)) ** 2, axis=0)
    best = best_candidate(losses)
    return KernelFit(dual[:, best], x, scale, (penalties[best],), (losses,))


def nystroem_kernel_ridge(
    y: Float[Array, " n"], x: Float[Array, "n d"], penalties: Float[Array, " l"], *, landmarks: int
) -> KernelFit:
    """:func:`kernel_ridge` in the span of the first ``landmarks`` rows: cost linear in the rows."""
    n = y.shape[0]
    map_ = nystroem(x[:landmarks], median_lengthscale(x))
    features = nystroem_features(map_, x)
    path = ridge_path(features, y[:, None])
    weights = jax.vmap(lambda penalty: shrinkage(path, n * penalty))(penalties)
    turned = features @ path.right
    # shrinkage / singular value: the share of each direction in the leverage of a row.
    shares = jnp.where(path.singular > 0, weights / jnp.where(path.singular > 0, path.singular, 1.0), 0.0)
    residuals = y[:, None] - turned @ (weights * path.targets[:, 0]).T
    losses = jnp.mean((residuals / (1 - turned**2 @ shares.T)) ** 2, axis=0)
    best = best_candidate(losses)
    coef = path.right @ (weights[best] * path.targets[:, 0])
    return in_kernel_form(map_, coef, (penalties[best],), (losses,))


class KernelIV(NonlinearIVEstimator):
    """Kernel instrumental variable regression (KIV): two-stage least squares in kernel spaces.

    Stage 1, on one half of the rows, estimates the conditional mean embedding of the treatment given instruments and
    controls; stage 2, on the other half, is a kernel ridge regression on it. The penalty of each
    stage is tuned on the other stage's half (causal validation).

    Args:
        candidates: Number of penalties tried at each stage, all in one program.
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

    Source: Singh, Sahani, Gretton (2019), "Kernel Instrumental Variable Regression", NeurIPS (arXiv 1906.00232).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z, u, v = rng.normal(size=(3, 500))
    >>> t = z + u + 0.3 * v
    >>> model = KernelIV().fit(np.sin(t) + 2 * u, t, Z=z)
    >>> bool(abs(model.effect(T0=-1.0, T1=1.0) - 2 * np.sin(1)) < 0.7)
    True
    """

    _title = "Kernel instrumental variable regression"
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
        return fit_kernel(self, data, _kernel_iv, _nystroem_kernel_iv, ("First-stage penalty", "Second-stage penalty"))


# Compiled once per process, input shape and number of landmarks, whichever instance calls.
_kernel_iv = jax.jit(kernel_iv)
_nystroem_kernel_iv = jax.jit(nystroem_kernel_iv, static_argnames="landmarks")
