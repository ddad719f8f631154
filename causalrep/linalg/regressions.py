"""Regressions without a closed form that several methods use: the lasso and binary logistic regression."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.linalg.solvers import pinv_psd_solve

SWEEPS = 200
# Lengths of a Newton step that are tried where the full one does not lower the loss enough.
_LENGTHS = (1.0, 0.5, 0.125, 1 / 64, 1 / 1024)


def lasso(
    x: Float[Array, "n k"],
    y: Float[Array, "n d"],
    penalty: Float[Array, " a"] | float,
    *,
    sweeps: int = SWEEPS,
) -> Float[Array, "k a"]:
    """``argmin ||y - x b||^2 / (2n) + penalty ||b||_1``, no constant, by coordinate descent from zero.

    Args:
        x: Regressors; a column of zeros gets the coefficient 0.
        y: Outcomes, one problem per column. One column serves every penalty.
        penalty: At least 0: one for all columns, or one per column.
        sweeps: Passes over the coordinates.

    Returns:
        One column of coefficients per problem.
    """
    gram, moments = x.T @ x / len(x), x.T @ y / len(x)
    own = jnp.diagonal(gram)

    def update(j: Array, b: Array) -> Array:
        # Least squares on the residuals that the other coordinates leave, then soft thresholding.
        partial = moments[j] - gram[j] @ b + own[j] * b[j]
        shrunk = jnp.sign(partial) * jnp.maximum(jnp.abs(partial) - penalty, 0.0)
        return b.at[j].set(shrunk / jnp.where(own[j] > 0, own[j], 1.0))

    start = jnp.zeros(jnp.broadcast_shapes(moments.shape, (1, *jnp.shape(penalty))), x.dtype)
    return jax.lax.fori_loop(0, sweeps, lambda _, b: jax.lax.fori_loop(0, len(own), update, b), start)


def logistic_regression(
    a: Float[Array, "n p"],
    y: Float[Array, " n"],
    shares: Float[Array, " n"],
    ridge: Float[Array, " p"],
    *,
    max_steps: int = 50,
) -> Float[Array, " p"]:
    """Coefficients that minimize ``sum_i shares_i log loss_i + sum_j ridge_j b_j^2 / 2``, by damped Newton steps.

    Args:
        a: Design, on columns of like scale; include the column of ones.
        y: Target in [0, 1].
        shares: Weights of the rows; they sum to one.
        ridge: Penalty of each coefficient; 0 is maximum likelihood.
        max_steps: Most Newton steps. Fewer are taken once the gradient is at rounding error.
    """

    def loss(b: Array, eta: Array) -> Array:
        return shares @ (jnp.logaddexp(0.0, eta) - y * eta) + 0.5 * jnp.sum(ridge * b**2)

    def slope(b: Array, p: Array) -> Array:
        return a.T @ (shares * (p - y)) + ridge * b

    lengths = jnp.asarray(_LENGTHS, a.dtype)

    def step(state):
        count, b, eta, p, gradient, before = state
        hessian = a.T @ ((shares * p * (1 - p))[:, None] * a) + jnp.diag(ridge)
        direction = pinv_psd_solve(hessian, gradient)
        change = a @ direction

        def shortened(_):
            losses = jnp.stack([loss(b - h * direction, eta - h * change) for h in lengths])
            best = jnp.argmin(losses)
            return lengths[best], losses[best]

        # The full step nearly always lowers the loss by half of what its slope promises. The shorter ones serve groups
        # that are almost separated and are tried only where it does not.
        full = loss(b - direction, eta - change)
        enough = before - full >= 0.25 * gradient @ direction
        length, after = jax.lax.cond(enough, lambda _: (lengths[0], full), shortened, None)
        b, eta = b - length * direction, eta - length * change
        p = jax.nn.sigmoid(eta)
        return count + 1, b, eta, p, slope(b, p), after

    tolerance = 1e3 * jnp.finfo(a.dtype).eps

    def unfinished(state):
        count, _, _, _, gradient, _ = state
        return (count < max_steps) & (jnp.max(jnp.abs(gradient)) > tolerance)

    b, eta = jnp.zeros(a.shape[1], a.dtype), jnp.zeros_like(y)
    p = jax.nn.sigmoid(eta)
    return jax.lax.while_loop(unfinished, step, (0, b, eta, p, slope(b, p), loss(b, eta)))[1]
