"""Ridge regression, and ridge two-stage least squares, for a whole path of penalties at the price of one.

Both stages are linear in features, those of a sieve, of a Nystroem map, or learned ones. The singular values of a
feature matrix serve every penalty, so tuning costs one decomposition per stage instead of one solve per candidate.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.linalg import svd


class RidgePath(NamedTuple):
    """Ridge regressions of targets on features, for every penalty.

    Attributes:
        right: Right singular vectors of the features, in columns (d, r).
        singular: Singular values (r,).
        targets: Left singular vectors' products with the targets (r, p).
    """

    right: Float[Array, "d r"]
    singular: Float[Array, " r"]
    targets: Float[Array, "r p"]


def ridge_path(features: Float[Array, "n d"], targets: Float[Array, "n p"]) -> RidgePath:
    """Decompose once: a QR factorization, then the singular values of its factor."""
    d = features.shape[1]
    if features.shape[0] > d:
        # The triangular factor of [features targets] holds Q^T targets as well: Q itself is never formed.
        factor = jnp.linalg.qr(jnp.column_stack([features, targets]), mode="r")
        features, targets = factor[:d, :d], factor[:d, d:]
    left, singular, right = svd(features)
    return RidgePath(right.T, singular, left.T @ targets)


def shrinkage(path: RidgePath, penalty: Float[Array, ""]) -> Float[Array, " r"]:
    """``s / (s^2 + penalty)``, zero in directions that the features lack."""
    cut = max(path.right.shape) * float(jnp.finfo(path.singular.dtype).eps) * jnp.max(path.singular)
    keep = path.singular > cut
    return jnp.where(keep, path.singular / jnp.where(keep, path.singular**2 + penalty, 1.0), 0.0)


def ridge_coefficients(path: RidgePath, penalty: Float[Array, ""] | float) -> Float[Array, "d p"]:
    """``argmin ||targets - features B||^2 + penalty ||B||^2``; of least norm at penalty 0."""
    return path.right @ (shrinkage(path, jnp.asarray(penalty))[:, None] * path.targets)


class TwoStageRidge(NamedTuple):
    """A fitted ridge two-stage least squares.

    Attributes:
        coef: Coefficients of the treatment's features (D,).
        first_penalty: Penalty lambda of the first stage, per row.
        second_penalty: Penalty xi of the second stage, per row.
        first_losses: Held-out loss of the first stage for each candidate.
        second_losses: Held-out loss of the second stage for each candidate.
    """

    coef: Float[Array, " D"]
    first_penalty: Float[Array, ""]
    second_penalty: Float[Array, ""]
    first_losses: Float[Array, " l"]
    second_losses: Float[Array, " m"]


def two_stage_ridge(
    phi: tuple[Float[Array, "n D"], Float[Array, "m D"]],
    psi: tuple[Float[Array, "n d"], Float[Array, "m d"]],
    y: tuple[Float[Array, " n"], Float[Array, " m"]],
    first_penalties: Float[Array, " l"],
    second_penalties: Float[Array, " k"],
) -> TwoStageRidge:
    """Ridge two-stage least squares on two halves of a sample, tuned by causal validation.

    Stage 1, on the first half, regresses the treatment's features on the instrument's; stage 2, on the second half,
    the outcome on the fitted features. Stage 1 is scored by its error on the second half, stage 2 by
    ``mean (y - f(x))^2`` on the first half.

    Args:
        phi: Features of the treatment (and controls), on each half.
        psi: Features of the instrument (and controls), on each half.
        y: Outcome on each half.
        first_penalties: Candidates for lambda; the penalty added to the sum of squares is ``n lambda``.
        second_penalties: Candidates for xi; the penalty added is ``m xi``.

    Source: Singh, Sahani, Gretton (2019), "Kernel Instrumental Variable Regression" (arXiv 1906.00232), algorithm
    1 and its causal validation, in finitely many features.
    """
    (phi1, phi2), (psi1, psi2), (y1, y2) = phi, psi, y
    n, m = phi1.shape[0], phi2.shape[0]
    stage = ridge_path(psi1, phi1)
    fitted = psi2 @ stage.right
    weights = jax.vmap(lambda penalty: shrinkage(stage, n * penalty))(first_penalties)
    # |phi2 - fitted diag(w) T|^2 = |phi2|^2 - 2 w'c + w'S w is quadratic in the weights w of the singular directions.
    cross = jnp.sum((fitted.T @ phi2) * stage.targets, axis=1)
    square = (fitted.T @ fitted) * (stage.targets @ stage.targets.T)
    first_losses = (jnp.sum(phi2**2) - 2 * weights @ cross + jnp.sum((weights @ square) * weights, axis=1)) / m
    first = jnp.argmin(first_losses)
    embedded = fitted @ (weights[first][:, None] * stage.targets)

    path = ridge_path(embedded, y2[:, None])
    coefficients = jax.vmap(lambda penalty: ridge_coefficients(path, m * penalty)[:, 0], out_axes=1)(second_penalties)
    second_losses = jnp.mean((y1[:, None] - phi1 @ coefficients) ** 2, axis=0)
    second = best_candidate(second_losses)
    return TwoStageRidge(
        coefficients[:, second], first_penalties[first], second_penalties[second], first_losses, second_losses
    )


def best_candidate(losses: Float[Array, " l"]) -> Int[Array, ""]:
    """The index of the least loss; a loss that is not finite never wins."""
    return jnp.argmin(jnp.where(jnp.isfinite(losses), losses, jnp.inf))
