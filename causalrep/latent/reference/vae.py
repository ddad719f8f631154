"""The beta-VAE (Higgins et al. 2017): the baseline that knows rows alone, from which nothing identifies latents."""

from collections.abc import Mapping
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.latent.reference.rows import CodedRows
from causalrep.nn import trained_mlp
from causalrep.training import Objective

LOG_2PI = 1.8378770664093453


class VAE(nn.Module):
    """A Gaussian encoder, a Gaussian decoder whose noise has one variance, and a standard normal prior.

    Attributes:
        latents: d.
        observed: p.
        hidden: Widths of both perceptrons.
    """

    latents: int
    observed: int
    hidden: tuple[int, ...] = (64, 64)

    def setup(self) -> None:
        """Networks, and the decoder's noise in standard deviations of x."""
        self.encoder = trained_mlp((*self.hidden, 2 * self.latents), activation=nn.leaky_relu)
        self.decoder = trained_mlp((*self.hidden, self.observed), activation=nn.leaky_relu)
        self.log_noise = self.param("log_noise", nn.initializers.constant(-2.0), ())

    def encode(self, x: Float[Array, "n p"]) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """Mean and log variance of the posterior."""
        mean, log_variance = jnp.split(self.encoder(x), 2, axis=-1)
        return mean, log_variance

    def __call__(self, key: Array, x: Float[Array, "n p"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Log-likelihood of each row given a draw of its latents, and the divergence of posterior from prior."""
        mean, log_variance = self.encode(x)
        z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)
        misfit = jnp.sum((x - self.decoder(z)) ** 2, axis=-1) * jnp.exp(-2.0 * self.log_noise)
        log_likelihood = -0.5 * misfit - x.shape[-1] * (self.log_noise + 0.5 * LOG_2PI)
        return log_likelihood, 0.5 * jnp.sum(jnp.exp(log_variance) - 1.0 - log_variance + mean**2, axis=-1)


@lru_cache
def elbo_objective(model: VAE, beta: float = 1.0) -> Objective:
    """Minus the evidence lower bound a row, in nats, with the divergence weighted by beta."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, key, batch.x)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        log_likelihood, divergence = model.apply(params, key, batch.x)
        return jnp.mean(batch.weight * (beta * divergence - log_likelihood)), {"kl": jnp.mean(divergence)}

    return Objective(init, loss)


def posterior_mean(model: VAE, params: Mapping, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
    """The codes of rows."""
    return model.apply(params, x, method=VAE.encode)[0]
