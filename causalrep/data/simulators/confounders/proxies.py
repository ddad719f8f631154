"""Simulators in which a hidden confounder is seen through proxies, as pure functions of a key."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from causalrep.data.simulators.confounders.hidden import HiddenConfounderSample


def causalml_hidden_confounder(key: Key[Array, ""], *, n: int = 20000, proxies: int = 5) -> HiddenConfounderSample:
    """A binary confounder seen through noisy normal proxies: the simulation of the package causalml, as coded there.

    ``z ~ Bern(1/2)``, ``x_j ~ N(z, sd 5z + 3(1-z))``, ``t ~ Bern(.75 z + .25 (1-z))``,
    ``y ~ Bern(sigmoid(3 (z + 2(2t - 2))))``: the average effect is 0.73. (The paper it follows, Louizos et al. 2017,
    has ``2(2t - 1)``.) There the package's own CEVAE gives .82 to .88, linear learners .83.

    Args:
        key: Random key.
        n: Sample size.
        proxies: d.

    Source: causalml, ``simulate_hidden_confounder``.
    """
    z_key, x_key, t_key, y_key = jax.random.split(key, 4)
    z = jax.random.bernoulli(z_key, 0.5, (n,)).astype(jnp.result_type(float))
    x = z[:, None] + (5 * z + 3 * (1 - z))[:, None] * jax.random.normal(x_key, (n, proxies))
    t = jax.random.bernoulli(t_key, 0.75 * z + 0.25 * (1 - z)).astype(z.dtype)
    mu0, mu1 = (jax.nn.sigmoid(3 * (z + 2 * (2 * arm - 2))) for arm in (0.0, 1.0))
    y, other = (
        jax.random.bernoulli(outcome_key, mean).astype(z.dtype)
        for outcome_key, mean in zip(
            jax.random.split(y_key), (jnp.where(t == 1, mu1, mu0), jnp.where(t == 1, mu0, mu1)), strict=True
        )
    )
    return HiddenConfounderSample(x, t, y, z, mu0, mu1, other)


def noisy_copies(
    key: Key[Array, ""], *, n: int = 3000, proxies: int = 8, flip: float = 0.25, strength: float = 3.0
) -> HiddenConfounderSample:
    """A binary confounder seen through binary copies, each wrong with probability ``flip``; the average effect is 1.

    Copies that err independently determine the confounder's law (a latent class model), while a regression on them is
    left with confounding that they do not show. ``t ~ Bern(.8 z + .2 (1-z))`` and ``y = t + strength z + N(0, 1)``. The
    design is this library's, after the Twins experiment of Louizos et al. (2017).

    Args:
        key: Random key.
        n: Sample size.
        proxies: d; three identify the confounder's law.
        flip: Probability of an error of a copy.
        strength: Effect of the confounder on the outcome.
    """
    z_key, x_key, t_key, noise_key = jax.random.split(key, 4)
    z = jax.random.bernoulli(z_key, 0.5, (n,)).astype(jnp.result_type(float))
    wrong = jax.random.bernoulli(x_key, flip, (n, proxies))
    x = jnp.where(wrong, 1 - z[:, None], z[:, None])
    t = jax.random.bernoulli(t_key, 0.8 * z + 0.2 * (1 - z)).astype(z.dtype)
    mu0 = strength * z
    mu1 = mu0 + 1.0
    own, other = jax.random.normal(noise_key, (2, n))
    y, y_other = jnp.where(t == 1, mu1, mu0) + own, jnp.where(t == 1, mu0, mu1) + other
    return HiddenConfounderSample(x, t, y, z, mu0, mu1, y_other)
