"""Regressions without a closed form that several methods use: the lasso, logistic and probit regression."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Bool, Float

from causalrep.linalg.solvers import min_norm_solve, orthonormal_basis, pinv_psd_solve

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


class Link(NamedTuple):
    """The loss of a binary regression given index eta and target y, and its two derivatives in eta; all (n,)."""

    loss: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: Callable[[Array, Array], Array]


def generalized_residual(index: Float[Array, " n"], t: Float[Array, " n"]) -> Float[Array, " n"]:
    """``(2t - 1) phi(a) / Phi((2t - 1) a)`` of a probit index a, without overflow in the tails."""
    sign = 2 * t - 1
    return sign * jnp.exp(jax.scipy.stats.norm.logpdf(index) - log_ndtr(sign * index))


def _logit_curvature(eta: Array, y: Array) -> Array:
    p = jax.nn.sigmoid(eta)
    return p * (1 - p)


def _probit_curvature(eta: Array, y: Array) -> Array:
    # Minus the derivative of the residual r(a) in the index a is r (r + a), positive: the likelihood is concave.
    residual = generalized_residual(eta, y)
    return residual * (residual + eta)


LOGIT = Link(lambda eta, y: jnp.logaddexp(0.0, eta) - y * eta, lambda eta, y: jax.nn.sigmoid(eta) - y, _logit_curvature)
PROBIT = Link(
    lambda eta, y: -log_ndtr((2 * y - 1) * eta), lambda eta, y: -generalized_residual(eta, y), _probit_curvature
)


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
    return binary_regression(LOGIT, a, y, shares, ridge, max_steps=max_steps)[0]


def probit_regression(
    x: Float[Array, "n q"], y: Float[Array, " n"], shares: Float[Array, " n"], *, max_steps: int = 100
) -> tuple[Float[Array, " q"], Float[Array, " n"], Bool[Array, ""]]:
    """Maximum likelihood of a probit, by damped Newton steps on an orthonormal basis of the regressors.

    Args:
        x: Regressors in any units, a column of ones among them; of the smallest coefficients where they are collinear.
        y: 0 or 1.
        shares: Weights of the rows; they sum to one.
        max_steps: Most Newton steps.

    Returns:
        Coefficients, the index ``x b`` of each row, and whether the gradient came down to rounding error. It does not
        if the regressors separate the outcomes.
    """
    basis = orthonormal_basis(x) * jnp.sqrt(jnp.asarray(len(y), x.dtype))
    # A tiny ridge keeps the steps finite if they do.
    ridge = jnp.full(basis.shape[1], 1e-12, x.dtype)
    b, converged = binary_regression(PROBIT, basis, y, shares, ridge, max_steps=max_steps)
    index = basis @ b
    return min_norm_solve(x, index), index, converged


def binary_regression(
    link: Link,
    a: Float[Array, "n p"],
    y: Float[Array, " n"],
    shares: Float[Array, " n"],
    ridge: Float[Array, " p"],
    *,
    max_steps: int,
) -> tuple[Float[Array, " p"], Bool[Array, ""]]:
    """The minimum of a weighted binary loss plus a ridge, and whether its gradient came down to rounding error."""

    def loss(b: Array, eta: Array) -> Array:
        return shares @ link.loss(eta, y) + 0.5 * jnp.sum(ridge * b**2)

    def slope(b: Array, eta: Array) -> Array:
        return a.T @ (shares * link.slope(eta, y)) + ridge * b

    lengths = jnp.asarray(_LENGTHS, a.dtype)

    def step(state):
        count, b, eta, gradient, before = state
        hessian = a.T @ ((shares * link.curvature(eta, y))[:, None] * a) + jnp.diag(ridge)
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
        return count + 1, b, eta, slope(b, eta), after

    tolerance = 1e3 * jnp.finfo(a.dtype).eps

    def converged(gradient: Array) -> Array:
        return jnp.max(jnp.abs(gradient)) <= tolerance

    def unfinished(state):
        return (state[0] < max_steps) & ~converged(state[3])

    b, eta = jnp.zeros(a.shape[1], a.dtype), jnp.zeros_like(y)
    _, b, _, gradient, _ = jax.lax.while_loop(unfinished, step, (0, b, eta, slope(b, eta), loss(b, eta)))
    return b, converged(gradient)
