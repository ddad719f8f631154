"""Kernel instrumental variable regression (KIV), exact and with Nystroem features, tuned in one program.

Two identities make tuning cheap. The eigenvectors of the instrument's kernel matrix diagonalise stage 1 for every
penalty at once; and with ``G`` the first stage's weights, stage 2 is a kernel ridge regression of the outcome with
the Gram matrix ``G^T K_XX G`` of the estimated conditional mean embeddings, so that its eigenvectors do the same for
stage 2. Two decompositions serve all candidates.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.iv.nonlinear.kernels import (
    Nystroem,
    gaussian_kernel,
    median_lengthscale,
    nystroem,
    nystroem_features,
)
from causalrep.iv.nonlinear.ridge import best_candidate, ridge_path, shrinkage, two_stage_ridge
from causalrep.linalg import eigh


class KernelFit(NamedTuple):
    """A function in the space of a Gaussian kernel: ``f(x) = sum_i weights_i k(centres_i, x)``.

    Attributes:
        weights: alpha (n,).
        centres: Rows of the treatment and controls (n, d).
        lengthscale: One an input (d,).
        penalties: The penalties used, stage by stage.
        losses: For each stage the held-out loss of every candidate.
    """

    weights: Float[Array, " n"]
    centres: Float[Array, "n d"]
    lengthscale: Float[Array, " d"]
    penalties: tuple[Float[Array, ""], ...]
    losses: tuple[Float[Array, " l"], ...]


def kernel_predict(fit: KernelFit, x: Float[Array, "t d"]) -> Float[Array, " t"]:
    """The fitted function at rows ``x``."""
    return gaussian_kernel(x, fit.centres, fit.lengthscale) @ fit.weights


def default_penalties(count: int, low: float = 1e-9, high: float = 1.0) -> Float[Array, " l"]:
    """Candidates, evenly spaced on a logarithmic scale."""
    return jnp.logspace(jnp.log10(low), jnp.log10(high), count)


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
            They are scored by the embedding's squared error on the second half.
        second_penalties: Candidates for xi, scored by ``mean (y - f(x))^2`` on the first half.

    Source: Singh, Sahani, Gretton (2019), "Kernel Instrumental Variable Regression", NeurIPS (arXiv 1906.00232),
    algorithm 1 and its validation procedure. With ``W = K_XX (K_ZZ + n lambda I)^-1 K_Zz`` the paper's
    ``alpha = (W W^T + m xi K_XX)^-1 W y_2`` and the form computed here give the same function.
    """
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
        landmarks: Rows that span the approximation, for the treatment and for the instrument: the first ones.

    Returns:
        A function with the landmarks as centres.
    """
    n = y.shape[0] // 2
    x_map = nystroem(x[:landmarks], median_lengthscale(x))
    z_map = nystroem(z[:landmarks], median_lengthscale(z))
    phi, psi = nystroem_features(x_map, x), nystroem_features(z_map, z)
    fit = two_stage_ridge((phi[:n], phi[n:]), (psi[:n], psi[n:]), (y[:n], y[n:]), first_penalties, second_penalties)
    penalties, losses = (fit.first_penalty, fit.second_penalty), (fit.first_losses, fit.second_losses)
    return in_kernel_form(x_map, fit.coef, penalties, losses)


def in_kernel_form(map_: Nystroem, coef: Float[Array, " D"], penalties: tuple, losses: tuple) -> KernelFit:
    """Coefficients of Nystroem features as weights of the landmarks' kernels."""
    return KernelFit(map_.projection @ coef, map_.landmarks, map_.lengthscale, penalties, losses)


def kernel_ridge(y: Float[Array, " n"], x: Float[Array, "n d"], penalties: Float[Array, " l"]) -> KernelFit:
    """Kernel ridge regression without instruments, tuned by leave-one-out error: the biased benchmark of KIV.

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
