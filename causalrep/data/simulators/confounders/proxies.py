"""Simulators with noisy proxies of a hidden confounder, as pure functions of a key."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from causalrep.data.simulators.confounders.hidden import HiddenConfounderSample, with_outcomes


def causalml_hidden_confounder(key: Key[Array, ""], *, n: int = 20000, proxies: int = 5) -> HiddenConfounderSample:
    """A binary confounder with noisy normal proxies: the simulation of the package causalml, as its code has it.

    ``u ~ Bern(1/2)``, ``x_j ~ N(u, sd 5u + 3(1-u))``, ``t ~ Bern(.75 u + .25 (1-u))`` and
    ``y ~ Bern(sigmoid(3 (u + 2(2t - 2))))``, so that the average effect is 0.73. (Louizos et al. 2017, whom it follows,
    have ``2(2t - 1)``.) On these data causalml's own CEVAE estimates 0.82 to 0.88, and linear learners 0.83.

    Args:
        key: Random key.
        n: Sample size.
        proxies: Number d of proxies.

    Source: causalml, ``simulate_hidden_confounder``.

    >>> from causalrep.keys import root
    >>> causalml_hidden_confounder(root(0), n=100).x.shape
    (100, 5)
    """
    u_key, x_key, t_key, y_key = jax.random.split(key, 4)
    u = jax.random.bernoulli(u_key, 0.5, (n,)).astype(jnp.result_type(float))
    x = u[:, None] + (5 * u + 3 * (1 - u))[:, None] * jax.random.normal(x_key, (n, proxies))
    t = jax.random.bernoulli(t_key, 0.75 * u + 0.25 * (1 - u)).astype(u.dtype)
    mu0, mu1 = (jax.nn.sigmoid(3 * (u + 2 * (2 * arm - 2))) for arm in (0.0, 1.0))
    y, other = (
        jax.random.bernoulli(outcome_key, mean).astype(u.dtype)
        for outcome_key, mean in zip(
            jax.random.split(y_key), (jnp.where(t == 1, mu1, mu0), jnp.where(t == 1, mu0, mu1)), strict=True
        )
    )
    return HiddenConfounderSample(x, t, y, u, mu0, mu1, other)


def noisy_copies(
    key: Key[Array, ""], *, n: int = 3000, proxies: int = 8, flip: float = 0.25, strength: float = 3.0
) -> HiddenConfounderSample:
    """A binary confounder with binary copies, each wrong with probability ``flip``; the average effect is 1.

    ``t ~ Bern(.8 u + .2 (1-u))`` and ``y = t + strength u + N(0, 1)``. Copies with independent errors identify the
    distribution of the confounder (a latent class model), but a regression on them does not remove the confounding.
    The simulation is our own, after the Twins experiment of Louizos et al. (2017).

    Args:
        key: Random key.
        n: Sample size.
        proxies: Number d of copies; three identify the distribution of the confounder.
        flip: Probability that a copy is wrong.
        strength: Effect of the confounder on the outcome.

    >>> from causalrep.keys import root
    >>> noisy_copies(root(0), n=100).x.shape
    (100, 8)
    """
    u_key, x_key, t_key, noise_key = jax.random.split(key, 4)
    u = jax.random.bernoulli(u_key, 0.5, (n,)).astype(jnp.result_type(float))
    wrong = jax.random.bernoulli(x_key, flip, (n, proxies))
    x = jnp.where(wrong, 1 - u[:, None], u[:, None])
    t = jax.random.bernoulli(t_key, 0.8 * u + 0.2 * (1 - u)).astype(u.dtype)
    mu0 = strength * u
    return with_outcomes(x, t, u, mu0, mu0 + 1.0, noise=jax.random.normal(noise_key, (2, n)))
