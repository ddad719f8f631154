"""Simulators with one hidden confounder, as pure functions of a key.

The simulations are our own, because most papers on unobserved confounders do not publish how to draw their data.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


class HiddenConfounderSample(NamedTuple):
    """A sample in which u affects treatment and outcome; an analyst sees only x, t and y.

    Attributes:
        x: Observed covariates, or proxies of u (n, d).
        t: Treatment, 0 or 1 (n,).
        y: Outcome (n,).
        u: The hidden confounder (n,).
        mu0: Expected outcome without treatment given x and u (n,).
        mu1: Expected outcome with treatment given x and u (n,).
        y_other: Outcome under the other treatment, with its own noise (n,).
    """

    x: Float[Array, "n d"]
    t: Float[Array, " n"]
    y: Float[Array, " n"]
    u: Float[Array, " n"]
    mu0: Float[Array, " n"]
    mu1: Float[Array, " n"]
    y_other: Float[Array, " n"]


def hidden_confounder(
    key: Key[Array, ""],
    *,
    n: int = 4000,
    latent: Literal["two_point", "gaussian"] = "two_point",
    treatment: Literal["logit", "probit"] = "logit",
    excluded: float = 0.4,
    strength: float = 3.0,
) -> HiddenConfounderSample:
    """Five independent normal covariates and a hidden confounder that is independent of them; the average effect is 2.

    ``y = x1 + x2/2 - x4 + x5/2 + strength u + (2 + x1) t + N(0, 1/4)``. The treatment depends on
    ``0.8 x1 - 0.6 x2 + excluded x3 + 1.5 u``, so x3 affects the treatment alone.

    Args:
        key: Random key.
        n: Sample size.
        latent: Distribution of u: a fair coin on {-1, +1} if ``"two_point"``, standard normal if ``"gaussian"``.
        treatment: ``"logit"`` or ``"probit"``; with a probit and a Gaussian u this is Heckman's selection model.
        excluded: Coefficient of x3 in the treatment; at 0 no covariate affects the treatment alone.
        strength: Coefficient of u in the outcome; 0 is a negative control without hidden confounding.

    >>> from causalrep.keys import root
    >>> hidden_confounder(root(0), n=100).x.shape
    (100, 5)
    """
    x_key, u_key, t_key, noise_key = jax.random.split(key, 4)
    x = jax.random.normal(x_key, (n, 5))
    u = jax.random.rademacher(u_key, (n,), x.dtype) if latent == "two_point" else jax.random.normal(u_key, (n,))
    index = 0.8 * x[:, 0] - 0.6 * x[:, 1] + excluded * x[:, 2] + 1.5 * u
    if treatment == "logit":
        t = jax.random.bernoulli(t_key, jax.nn.sigmoid(index)).astype(x.dtype)
    else:
        t = (index + jax.random.normal(t_key, (n,)) > 0).astype(x.dtype)
    mu0 = x[:, 0] + 0.5 * x[:, 1] - x[:, 3] + 0.5 * x[:, 4] + strength * u
    mu1 = mu0 + 2.0 + x[:, 0]
    return with_outcomes(x, t, u, mu0, mu1, noise=0.5 * jax.random.normal(noise_key, (2, n)))


def with_outcomes(
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    u: Float[Array, " n"],
    mu0: Float[Array, " n"],
    mu1: Float[Array, " n"],
    *,
    noise: Float[Array, "2 n"],
) -> HiddenConfounderSample:
    """The sample whose observed and unobserved outcome have the first and the second row of additive noise."""
    own, other = noise
    return HiddenConfounderSample(
        x, t, jnp.where(t == 1, mu1, mu0) + own, u, mu0, mu1, jnp.where(t == 1, mu0, mu1) + other
    )
