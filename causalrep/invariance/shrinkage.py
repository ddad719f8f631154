"""Shrunken least squares as causal regularization: Janzing's l1 and l2, Kania and Wit's mixture.

Confounding lengthens the least-squares vector; ridge and lasso shrink it. Janzing (2019) chooses the penalty at which
the estimate has the estimated length of the causal effect. Kania and Wit (2023) choose a point between pooled least
squares and the regression of the differences between two environments.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from causalrep.iv import confounder_corrected_norm
from causalrep.linalg import eigh, lasso, svd

FOLDS = 5


class ShrunkenFit(NamedTuple):
    """An estimate and its penalty.

    Attributes:
        coef: The estimate (m,).
        penalty: The candidate chosen.
    """

    coef: Float[Array, " m"]
    penalty: Float[Array, ""]


def ridge(y: Float[Array, " n"], x: Float[Array, "n m"], penalties: Float[Array, " a"]) -> Float[Array, "a m"]:
    """``argmin ||y - x h||^2 + penalty ||h||^2`` for each penalty, without a constant, from one decomposition.

    Args:
        y: Outcome (n,).
        x: Predictors (n, m).
        penalties: Penalties above 0 (a,).
    """
    u, s, vt = svd(x)
    return (s * (u.T @ y) / (jnp.square(s) + penalties[:, None])) @ vt


def confounder_corrected(
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    penalties: Float[Array, " a"],
    *,
    norm: Literal["l1", "l2"] = "l2",
) -> ShrunkenFit:
    """Lasso or ridge with the penalty at which the estimate has the estimated length of the causal effect.

    Args:
        y: Outcome (n,).
        x: Treatment (n, m).
        penalties: Candidates (a,).
        norm: ``"l1"`` (:func:`causalrep.linalg.lasso`) or ``"l2"`` (:func:`ridge`).

    Source: Janzing, "Causal regularization" (NeurIPS 2019); the length is
    :func:`causalrep.iv.confounder_corrected_norm`.
    """
    fits = lasso(x, y[:, None], penalties).T if norm == "l1" else ridge(y, x, penalties)
    distance = jnp.abs(jnp.linalg.norm(fits, axis=1) - confounder_corrected_norm(y, x))
    best = jnp.argmin(distance)
    return ShrunkenFit(fits[best], penalties[best])


def causal_regularization(
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    shifted: Bool[Array, " n"],
    penalty: Float[Array, ""] | float,
    *,
    weights: Float[Array, " n"] | None = None,
) -> Float[Array, " m"]:
    """``(a (S_1 - S_0) + S_1 + S_0)^+ (a (c_1 - c_0) + c_1 + c_0)``: between pooled and difference regression.

    S and c are the second moments of x, and of x with y, in the shifted (1) and the other (0) rows. Penalty 0 is least
    squares with equal weight on both environments. As the penalty grows it tends to the regression of the differences,
    which confounding that is the same in both environments does not affect. Beyond penalty 1 the matrix need not be
    positive definite.

    Args:
        y: Outcome (n,).
        x: Treatment (n, m).
        shifted: Mask of the rows from the shifted (augmented) environment (n,).
        penalty: Penalty a, at least 0.
        weights: Row weights (n,); a zero leaves the row out.

    Source: Kania and Wit, "Causal Regularization: On the trade-off between in-sample risk and out-of-sample risk
    guarantees" (arXiv 2205.01593), as stated in the IVL paper's comparison.
    """
    weights = jnp.ones(y.shape[0], x.dtype) if weights is None else weights
    (s_0, c_0), (s_1, c_1) = (_moments(y, x, weights * (shifted == flag)) for flag in (False, True))
    a, b = penalty * (s_1 - s_0) + s_1 + s_0, penalty * (c_1 - c_0) + c_1 + c_0
    return _symmetric_pinv_solve(a, b)


def kania_wit(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    shifted: Bool[Array, " n"],
    penalties: Float[Array, " a"],
    *,
    folds: int = FOLDS,
) -> ShrunkenFit:
    """Causal regularization; cross-validation of the gap between the environments' risks chooses the penalty.

    Args:
        key: Random key of the folds.
        y: Outcome (n,).
        x: Treatment (n, m).
        shifted: Mask of the rows from the shifted environment (n,).
        penalties: Candidates (a,); the one with the least mean of ``|risk_1 - risk_0|`` over held-out folds wins.
        folds: Number of folds.
    """
    n = y.shape[0]
    fold = jax.random.permutation(key, jnp.arange(n) % folds)

    def gap(penalty, held_out):
        h = causal_regularization(y, x, shifted, penalty, weights=(~held_out).astype(x.dtype))
        losses = jnp.square(y - x @ h)
        risks = [
            jnp.sum(losses * (held_out & (shifted == flag))) / jnp.sum(held_out & (shifted == flag))
            for flag in (False, True)
        ]
        return jnp.abs(risks[1] - risks[0])

    held_out = fold[None, :] == jnp.arange(folds)[:, None]
    gaps = jax.vmap(lambda a: jnp.mean(jax.vmap(lambda h: gap(a, h))(held_out)))(penalties)
    best = jnp.argmin(gaps)
    return ShrunkenFit(causal_regularization(y, x, shifted, penalties[best]), penalties[best])


def _moments(y, x, weights):
    mass = jnp.sum(weights)
    weighted = x * weights[:, None]
    return weighted.T @ x / mass, weighted.T @ y / mass


def _symmetric_pinv_solve(a: Float[Array, "m m"], b: Float[Array, " m"]) -> Float[Array, " m"]:
    """``a^+ b`` for a symmetric matrix whose eigenvalues may have either sign."""
    # Not linalg.pinv_psd_solve, which drops negative eigenvalues.
    eigenvalues, vectors = eigh(a)
    cutoff = a.shape[0] * jnp.finfo(a.dtype).eps * jnp.max(jnp.abs(eigenvalues))
    keep = jnp.abs(eigenvalues) > cutoff
    return vectors @ (jnp.where(keep, 1.0 / jnp.where(keep, eigenvalues, 1.0), 0.0) * (vectors.T @ b))
