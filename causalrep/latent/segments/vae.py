"""Variational autoencoders: the beta-VAE, and the identifiable VAE whose prior depends on a segment.

* beta-VAE (Higgins et al. 2017), with a standard normal prior: from rows alone nothing identifies latents.
* iVAE (Khemakhem, Kingma, Monti, Hyvarinen, AISTATS 2020): ``z | u`` has independent Gaussian components whose means
  and variances depend on the segment u. Each latent is identified up to order and a function of its own if the mixing
  is injective, the latents are independent given u, of an exponential family with k statistics whose parameters vary
  enough over at least ``k d + 1`` segments, and the fit reaches the maximum.

A bound is not the likelihood: a direction of x with less variance than the decoder's noise can be left out at no cost
to the bound, and its latent is then lost. Whitened rows have no such direction.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from causalrep.base.columns import read_columns
from causalrep.base.domains import Domain, Real, Whole, Widths
from causalrep.errors import InputError
from causalrep.latent.environments.door import as_labelled, column_scaling, known_codes
from causalrep.latent.environments.network import Network
from causalrep.latent.environments.rows import DEFAULT, CodedRows
from causalrep.nn import trained_mlp
from causalrep.training import Objective, Schedule
from causalrep.training.rows import InSchedule

LOG_2PI = 1.8378770664093453
IVAE_DEFAULT = Schedule(steps=10_000, batch_size=512, learning_rate=5e-3, restarts=1)  # the noise falls slowly


class VAE(nn.Module):
    """A Gaussian encoder, a Gaussian decoder whose noise has one variance, and a prior, possibly one per segment.

    Attributes:
        latents: d.
        observed: p.
        hidden: Widths of both perceptrons.
        segments: Number of segments with a prior of their own, which the encoder sees too; 0 for a standard normal
            prior and an encoder of x alone.
    """

    latents: int
    observed: int
    hidden: tuple[int, ...] = (64, 64)
    segments: int = 0

    def setup(self) -> None:
        """Both perceptrons, the decoder's noise, and a table of the priors' moments."""
        self.encoder = trained_mlp((*self.hidden, 2 * self.latents), activation=nn.leaky_relu)
        self.decoder = trained_mlp((*self.hidden, self.observed), activation=nn.leaky_relu)
        # Standard deviation of the decoder's noise, in standard deviations of x.
        self.log_noise = self.param("log_noise", nn.initializers.constant(-2.0), ())
        if self.segments:
            # The released code passes one-hot labels through a perceptron, which is no more expressive than a table.
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
        self, key: Key[Array, ""], x: Float[Array, "n p"], code: Int[Array, " n"]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Log-likelihood of each row given a draw of its latents, and the divergence of posterior from prior."""
        mean, log_variance = self.encode(x, code)
        prior_mean, prior_log_variance = self.prior(code)
        z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)
        misfit = jnp.sum((x - self.decoder(z)) ** 2, axis=-1) * jnp.exp(-2.0 * self.log_noise)
        log_likelihood = -0.5 * misfit - x.shape[-1] * (self.log_noise + 0.5 * LOG_2PI)
        # KL of N(m, v) from N(m0, v0): (v / v0 - 1 - log(v / v0) + (m - m0)^2 / v0) / 2, here gap = log(v / v0).
        gap = log_variance - prior_log_variance
        squared = (mean - prior_mean) ** 2 * jnp.exp(-prior_log_variance)
        return log_likelihood, 0.5 * jnp.sum(jnp.exp(gap) - 1.0 - gap + squared, axis=-1)


@lru_cache
def elbo_objective(model: VAE, beta: float = 1.0) -> Objective:
    """Negative evidence lower bound per row, in nats, with the divergence weighted by beta."""

    def init(key: Key[Array, ""], batch: CodedRows) -> Mapping:
        return model.init(key, key, batch.x, batch.code)

    def loss(params: Mapping, key: Key[Array, ""], batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        log_likelihood, divergence = model.apply(params, key, batch.x, batch.code)
        return jnp.mean(batch.weight * (beta * divergence - log_likelihood)), {"kl": jnp.mean(divergence)}

    return Objective(init, loss)


def posterior_mean(model: VAE, params: Mapping, x: Float[Array, "n p"], code: Int[Array, " n"]) -> Float[Array, "n d"]:
    """Posterior means of rows, given their segments (which a model without segments ignores)."""
    return model.apply(params, x, code, method="encode")[0]


class BetaVAE(Network):
    """A variational autoencoder with a weighted divergence (Higgins et al. 2017): the baseline that identifies nothing.

    Rows alone leave the latents free up to any map that keeps a standard normal distribution, whatever beta is.

    Args:
        latents: Dimension of the code.
        beta: Weight of the divergence from the standard normal prior; 1 for a plain VAE.
        hidden: Widths of both perceptrons.
        schedule: Steps, batch size, learning rate and restarts.
        seed: Random seed.

    Attributes:
        params_: Parameters of the network.
        validation_loss_: Negative bound of the held-out rows, with the weighted divergence, in nats.
        n_features_in_: Number of observed variables.

    >>> BetaVAE(5, beta=2.0)
    BetaVAE(beta=2.0, latents=5)
    """

    _domains: ClassVar[dict[str, Domain]] = {
        "latents": Whole(),
        "beta": Real(above=0),
        "hidden": Widths(),
        "schedule": InSchedule(DEFAULT),
        "seed": Whole(None),
    }

    def __init__(
        self,
        latents: int,
        *,
        beta: float = 4.0,
        hidden: tuple[int, ...] = (64, 64),
        schedule: Schedule = DEFAULT,
        seed: int = 0,
    ):
        self.latents = latents
        self.beta = beta
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on rows (n, p); ``y`` is ignored and exists for pipelines."""
        self._check_domains()
        x, self.columns_ = read_columns("X", X)
        self.model_ = VAE(self.latents, x.shape[1], tuple(self.hidden))
        self._train(x, np.zeros(len(x), np.int32), elbo_objective(self.model_, float(self.beta)))
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n latents"]:
        """Posterior means of rows."""
        with self._computing():
            x = self._standardized(X)
            return np.asarray(posterior_mean(self.model_, self.params_, x, jnp.zeros(len(x), jnp.int32)))


class IVAE(Network):
    """A variational autoencoder whose prior depends on the segment (iVAE, Khemakhem et al. 2020).

    Each latent is identified up to order and a function of its own if the mixing is injective, and the latents are
    independent and Gaussian in each segment, with means and variances that differ enough over at least
    ``2 latents + 1`` segments; one segment identifies nothing. That holds at the maximum of the likelihood, which a fit
    of the bound approaches at best. Rows are whitened (ours), since directions of x with less variance than the
    decoder's noise would otherwise be lost.

    Args:
        latents: Dimension of the code.
        hidden: Widths of both perceptrons.
        schedule: Steps, batch size, learning rate and restarts.
        seed: Random seed.

    Attributes:
        params_: Parameters of the network.
        segments_: Labels seen in ``fit``.
        validation_loss_: Negative bound of the held-out whitened rows, in nats.
        n_features_in_: Number of observed variables.

    >>> IVAE(5)
    IVAE(latents=5)
    """

    _schedule = IVAE_DEFAULT
    _domains: ClassVar[dict[str, Domain]] = {
        "latents": Whole(),
        "hidden": Widths(),
        "schedule": InSchedule(IVAE_DEFAULT),
        "seed": Whole(None),
    }

    def __init__(
        self, latents: int, *, hidden: tuple[int, ...] = (64, 64), schedule: Schedule = IVAE_DEFAULT, seed: int = 0
    ):
        self.latents = latents
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, segment: Any) -> Self:
        """Train on rows (n, p) with the label of each row's segment (n,)."""
        self._check_domains()
        x, self.columns_, codes, self.segments_ = as_labelled("segment", X, segment)
        self.model_ = VAE(self.latents, x.shape[1], tuple(self.hidden), len(self.segments_))
        self._train(x, codes, elbo_objective(self.model_), _whitening(x))
        return self

    def transform(self, X: Any, segment: Any) -> Float[np.ndarray, "n latents"]:
        """Posterior means of rows, given the labels of their segments: one for all, or (n,), all seen in ``fit``."""
        with self._computing():
            x = self._standardized(X)
            codes = known_codes("segment", segment, known=self.segments_, rows=len(x))
            return np.asarray(posterior_mean(self.model_, self.params_, x, codes))


def _whitening(x: Float[np.ndarray, "n p"]) -> Float[np.ndarray, "p p"]:
    """Standardized columns, then the symmetric map to unit covariance, which of all such maps moves them least."""
    _, std = column_scaling("X", x)
    correlation = np.corrcoef(x, rowvar=False).reshape(x.shape[1], -1)
    values, vectors = np.linalg.eigh(correlation)
    if values[0] <= 1e-10 * values[-1]:
        raise InputError("X", found="linearly dependent columns", expected="independent ones")
    return ((vectors / np.sqrt(values)) @ vectors.T) / std[:, None]
