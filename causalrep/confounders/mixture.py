"""A two-point confounder by expectation maximization, with linear regressions: a check on the variational model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.effects import LeastSquares, Logistic

# Newton steps of the logistic regression of the treatment at each iteration, from zero.
LOGISTIC_STEPS = 10


class MixtureFit(NamedTuple):
    """The result of expectation maximization.

    Attributes:
        mean: ``E[U | x, t, y]`` in [-1, 1] (n,).
        log_likelihood: Mean of ``log p(t, y | x)`` before each iteration (iterations,).
    """

    mean: Float[Array, " n"]
    log_likelihood: Float[Array, " iterations"]


def two_point_em(
    x: Float[Array, "n d"], t: Float[Array, " n"], y: Float[Array, " n"], *, iterations: int = 50
) -> MixtureFit:
    """Posterior means of u, uniform on {-1, +1}, in a model that is linear in (x, u).

    ``logit p(t|x,u)`` and, in each arm, the mean of y are linear in (x, u); the noise of y is normal. The start is the
    sign of the residual of a regression on x within each arm: u = +1 raises the outcome in both. If the two components
    overlap, the result depends on that start and on the number of iterations.

    Args:
        x: Covariates.
        t: Treatment, 0 or 1.
        y: Outcome.
        iterations: Number of iterations.

    Source: Dempster, Laird and Rubin (1977), for mixtures of regressions.
    """
    # Every row twice, with u = -1 and u = +1, weighted by their probabilities: the M-step is then weighted regression.
    n = len(y)
    levels = jnp.repeat(jnp.array([-1.0, 1.0], y.dtype), n)
    x2, t2, y2 = (jnp.concatenate([values, values]) for values in (x, t, y))
    with_u = jnp.column_stack([x2, levels])
    outcome, treatment = LeastSquares(), Logistic(penalty=0.0, max_steps=LOGISTIC_STEPS)

    def log_joint(positive: Float[Array, " n"]) -> Float[Array, "2 n"]:
        """Log density of (u, t, y) at u = -1 and +1, at parameters fitted with P(u = +1) = ``positive``."""
        weights = jnp.concatenate([1 - positive, positive])
        p = jnp.clip(treatment.predict(treatment.fit(with_u, t2, weights), with_u), 1e-6, 1 - 1e-6)
        total = jnp.log(0.5) + jnp.where(t2 == 1, jnp.log(p), jnp.log1p(-p))
        for arm in (t2 == 0, t2 == 1):
            inside = weights * arm
            residual = y2 - outcome.predict(outcome.fit(with_u, y2, inside), with_u)
            variance = jnp.maximum(jnp.sum(inside * residual**2) / jnp.sum(inside), 1e-6 * jnp.var(y))
            density = -0.5 * (residual**2 / variance + jnp.log(2 * jnp.pi * variance))
            total = total + jnp.where(arm, density, 0.0)
        return total.reshape(2, n)

    def step(positive: Array, _: None) -> tuple[Array, Array]:
        joint = log_joint(positive)
        return jax.nn.sigmoid(joint[1] - joint[0]), jnp.mean(jnp.logaddexp(joint[0], joint[1]))

    start = jnp.zeros(n, y.dtype)
    for arm in (1 - t, t):
        start = start + arm * (y > outcome.predict(outcome.fit(x, y, arm), x))
    # Probabilities other than 0 and 1: a regression on u needs both of its levels.
    positive, trace = jax.lax.scan(step, jnp.clip(start, 0.01, 0.99), length=iterations)
    return MixtureFit(2 * positive - 1, trace)
