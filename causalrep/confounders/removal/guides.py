"""Linear models of demographics given data with more columns than rows, in the coordinates of a thin factor.

With ``(X - mean)' = Q R``, penalized slopes lie in the span of ``Q``: ``slopes = Q b`` with ``|slopes| = |b|``, and
``(X - mean) slopes = R' b``. The models are therefore fitted to the rows of ``R'``, with n coefficients instead of E
and without an E x E factorization.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.linalg import spd_solve

NEWTON_STEPS = 25
# Candidate lengths of a Newton step, of which the best is taken: full steps overshoot if the groups are separable.
LENGTHS = (1.0, 0.5, 0.125, 1 / 64, 0.0)


class Guides(NamedTuple):
    """Linear scores of the coded demographics, ``x @ slopes + intercepts``.

    Attributes:
        slopes: A column for each coded column: a regression of a continuous variable, the log odds of a level (E, c).
        intercepts: (c,).
    """

    slopes: Float[Array, "e c"]
    intercepts: Float[Array, " c"]


def linear_guides(
    x: Float[Array, "n e"], d: Float[Array, "n c"], layout: tuple[int, ...], *, ridge: float = 100.0, c: float = 100.0
) -> Guides:
    """Ridge regressions of continuous variables and logistic regressions of levels, on columns of ``x`` as they are.

    Args:
        x: Data.
        d: Coded demographics.
        layout: Coded columns of each variable; 1 for a continuous one.
        ridge: Penalty of the ridge regressions, added to the eigenvalues of ``X'X``.
        c: Inverse penalty of the logistic regressions, relative to the *sum* of the log losses.
    """
    mean = x.mean(0)
    wide = x.shape[1] > x.shape[0]
    basis, factor = jnp.linalg.qr((x - mean).T) if wide else (None, (x - mean).T)
    scores = factor.T
    columns, start = [], 0
    for width in layout:
        for j in range(start, start + width):
            columns.append(_ridge(scores, d[:, j], ridge) if width == 1 else _logistic(scores, d[:, j], 1.0 / c))
        start += width
    coordinates, intercepts = (jnp.stack(part, axis=-1) for part in zip(*columns))
    slopes = basis @ coordinates if wide else coordinates
    return Guides(slopes, intercepts - mean @ slopes)


def _ridge(scores: Float[Array, "n r"], y: Float[Array, " n"], penalty: float) -> tuple[Array, Array]:
    """Coordinates and intercept for centered columns."""
    center = y.mean()
    gram = scores.T @ scores + penalty * jnp.eye(scores.shape[1], dtype=scores.dtype)
    return spd_solve(gram, scores.T @ (y - center)), center


def _logistic(scores: Float[Array, "n r"], y: Float[Array, " n"], penalty: float) -> tuple[Array, Array]:
    """Coordinates and intercept for centered columns, by damped Newton steps from the intercept alone."""
    a = jnp.column_stack([jnp.ones_like(y), scores])
    # The tiny penalty of the intercept only keeps the factorization positive definite.
    ridge = jnp.full(a.shape[1], penalty, a.dtype).at[0].set(1e-6)

    def loss(b: Array, eta: Array) -> Array:
        return jnp.sum(jnp.logaddexp(0.0, eta) - y * eta) + 0.5 * jnp.sum(ridge * b**2)

    def step(b: Array, _: None) -> tuple[Array, None]:
        eta = a @ b
        p = jax.nn.sigmoid(eta)
        hessian = a.T @ ((p * (1 - p))[:, None] * a) + jnp.diag(ridge)
        direction = spd_solve(hessian, a.T @ (p - y) + ridge * b)
        change = a @ direction
        lengths = jnp.asarray(LENGTHS, b.dtype)
        losses = jnp.stack([loss(b - h * direction, eta - h * change) for h in LENGTHS])
        return b - lengths[jnp.nanargmin(losses)] * jnp.nan_to_num(direction), None

    share = jnp.clip(y.mean(), 1e-3, 1 - 1e-3)
    start = jnp.zeros(a.shape[1], a.dtype).at[0].set(jnp.log(share) - jnp.log1p(-share))
    # Not linalg.logistic_regression: its stopping rule would change the guides, and the networks trained on them.
    b, _ = jax.lax.scan(step, start, length=NEWTON_STEPS)
    return b[1:], b[0]
