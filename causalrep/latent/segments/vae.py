"""Variational autoencoders: the beta-VAE, and the identifiable VAE whose prior depends on a segment.

* beta-VAE (Higgins et al. 2017), a standard normal prior: from rows alone nothing identifies latents.
* iVAE (Khemakhem, Kingma, Monti, Hyvarinen, AISTATS 2020): ``z | u`` has independent Gaussian components whose means
  and variances depend on the segment u. Identified up to order and a function of each, if the mixing is injective, the
  latents are independent given u, of an exponential family of k statistics whose parameters vary enough over at least
  ``k d + 1`` segments, and the fit reaches the maximum.

A bound is not the likelihood: a direction of x with less variance than the decoder's noise costs the bound nothing to
leave out, and its latent is lost. Whitened rows have no such direction.
"""

from collections.abc import Mapping
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import trained_mlp
from causalrep.training import Objective

LOG_2PI = 1.8378770664093453


class VAE(nn.Module):
    """A Gaussian encoder, a Gaussian decoder whose noise has one variance, and a prior, perhaps one for each segment.

    Attributes:
        latents: d.
        observed: p.
        hidden: Widths of both perceptrons.
        segments: How many have a prior of their own, which the encoder sees too; 0 for a standard normal prior, and an
            encoder of x alone.
    """

    latents: int
    observed: int
    hidden: tuple[int, ...] = (64, 64)
    segments: int = 0

    def setup(self) -> None:
        """Networks, the decoder's noise in standard deviations of x, and a table of the priors' moments."""
        self.encoder = trained_mlp((*self.hidden, 2 * self.latents), activation=nn.leaky_relu)
        self.decoder = trained_mlp((*self.hidden, self.observed), activation=nn.leaky_relu)
        self.log_noise = self.param("log_noise", nn.initializers.constant(-2.0), ())
        if self.segments:
            # A perceptron of a one-hot label, as released, can say no more than a table.
            shape = (self.segments, self.latents)
            self.prior_mean = self.param("prior_mean", nn.initializers.zeros, shape)
            self.prior_log_variance = self.param("prior_log_variance", nn.initializers.normal(0.1), shape)

    def encode(self, x: Float[Array, "n p"], code: Int[Array, " n"]) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """Mean and log variance of the posterior."""
        if self.segments:
            x = jnp.concatenate([x, jax.nn.one_hot(code, self.segments, dtype=x.dtype)], axis=-1)
        mean, log_variance = jnp.split(self.encoder(x), 2, axis=-1)
        return mean, log_variance

    def prior(self, code: Int[Array, " n"]) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """Mean and log variance of the prior."""
        if self.segments:
            return self.prior_mean[code], self.prior_log_variance[code]
        zero = jnp.zeros((len(code), self.latents))
        return zero, zero

    def __call__(
        self, key: Array, x: Float[Array, "n p"], code: Int[Array, " n"]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Log-likelihood of each row given a draw of its latents, and the divergence of posterior from prior."""
        mean, log_variance = self.encode(x, code)
        prior_mean, prior_log_variance = self.prior(code)
        z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)
        misfit = jnp.sum((x - self.decoder(z)) ** 2, axis=-1) * jnp.exp(-2.0 * self.log_noise)
        log_likelihood = -0.5 * misfit - x.shape[-1] * (self.log_noise + 0.5 * LOG_2PI)
        gap = log_variance - prior_log_variance
        squared = (mean - prior_mean) ** 2 * jnp.exp(-prior_log_variance)
        return log_likelihood, 0.5 * jnp.sum(jnp.exp(gap) - 1.0 - gap + squared, axis=-1)


@lru_cache
def elbo_objective(model: VAE, beta: float = 1.0) -> Objective:
    """Minus the evidence lower bound a row, in nats, with the divergence weighted by beta."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, key, batch.x, batch.code)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        log_likelihood, divergence = model.apply(params, key, batch.x, batch.code)
        return jnp.mean(batch.weight * (beta * divergence - log_likelihood)), {"kl": jnp.mean(divergence)}

    return Objective(init, loss)


def posterior_mean(model: VAE, params: Mapping, x: Float[Array, "n p"], code: Int[Array, " n"]) -> Float[Array, "n d"]:
    """The codes of rows, given their segments (which a model without segments does not look at)."""
    return model.apply(params, x, code, method=VAE.encode)[0]
