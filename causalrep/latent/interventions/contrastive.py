"""Contrastive causal representation learning (Buchholz, Rajendran, Rosenfeld, Aragam, Schoelkopf, Ravikumar 2023).

A classifier tells observational rows from those of environment i. For latents that are linear and Gaussian and a hard
intervention on latent i, the log-ratio of the two densities is
``a_i + c_i z_i + (lambda_i z_i)^2 - (B_i z)^2``, B = diag(s)(I - A): the observed mechanism of i against the intervened
one. So the classifier's logits have this form, with ``z = h(x)`` learned, and the best classifier recovers z and A.

Identified up to scale and order, and the graph, if the mixing is injective (no matter how nonlinear), the latents are
linear and Gaussian, and every one is intervened on in one environment, hard, with a change of its variance or mean.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import trained_mlp
from causalrep.training import Objective


class ContrastiveModel(nn.Module):
    """An encoder, and logits of the form of Gaussian log-ratios.

    Attributes:
        latents: d; latent i belongs to interventional environment i.
        hidden: Widths of the encoder; ``()`` for a linear one.
    """

    latents: int
    hidden: tuple[int, ...] = (128, 128)

    def setup(self) -> None:
        """The encoder and the mechanisms."""
        d = self.latents
        self.encoder = trained_mlp((*self.hidden, d), activation=nn.leaky_relu)
        self.weights = self.param("weights", nn.initializers.zeros, (d, d))
        self.log_precision = self.param("log_precision", nn.initializers.zeros, (d,))
        self.log_intervened = self.param("log_intervened", nn.initializers.zeros, (d,))
        self.slope = self.param("slope", nn.initializers.zeros, (d,))
        self.intercept = self.param("intercept", nn.initializers.zeros, (d,))

    def effects(self) -> Float[Array, "d d"]:
        """A with zeros on its diagonal: entry (i, j) is the effect of latent j on i."""
        return self.weights * (1.0 - jnp.eye(self.latents))

    def encode(self, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
        """``h(x)``."""
        return self.encoder(x)

    def __call__(self, x: Float[Array, "n p"]) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """Latents, and each environment's logit that a row is observational."""
        z = self.encode(x)
        residual = jnp.exp(self.log_precision) * (z - z @ self.effects().T)
        logits = self.intercept + self.slope * z + (jnp.exp(self.log_intervened) * z) ** 2 - residual**2
        return z, logits


class Penalties(NamedTuple):
    """Weights of the penalties; the defaults are the released code's.

    Attributes:
        mean: kappa, of the squared mean of the latents.
        sparsity: eta, of ``|A|_1``.
        cycles: mu, of NOTEARS' ``tr exp(A o A) - d``.
    """

    mean: float = 0.1
    sparsity: float = 1e-4
    cycles: float = 1e-5


RELEASED = Penalties()


@lru_cache
def contrastive_objective(model: ContrastiveModel, penalties: Penalties = RELEASED) -> Objective:
    """Mean over environments of the cross-entropy of observational against interventional rows, plus penalties."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, batch.x)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        z, logits = model.apply(params, batch.x)
        observational = (batch.code == 0).astype(z.dtype)[:, None]
        own = jax.nn.one_hot(batch.code - 1, model.latents, dtype=z.dtype)
        # Every environment weighs the same, so each of the d pairs has a half of either class.
        entropy = observational * nn.softplus(-logits) + own * nn.softplus(logits)
        pairs = jnp.mean(batch.weight * jnp.sum(entropy, axis=1)) * (model.latents + 1) / (2 * model.latents)
        effects = model.apply(params, method=ContrastiveModel.effects)
        cycles = jnp.trace(jax.scipy.linalg.expm(effects**2)) - model.latents
        center = jnp.sum(jnp.mean(z, axis=0) ** 2)
        penalty = penalties.mean * center + penalties.sparsity * jnp.sum(jnp.abs(effects)) + penalties.cycles * cycles
        return pairs + penalty, {"cross_entropy": pairs}

    return Objective(init, loss)


def encode(model: ContrastiveModel, params: Mapping, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
    """Latents of rows."""
    return model.apply(params, x, method=ContrastiveModel.encode)


def learned_effects(model: ContrastiveModel, params: Mapping) -> Float[Array, "d d"]:
    """A for latents of unit scale in the encoder's own units: entry (i, j) is the effect of latent j on i."""
    return model.apply(params, method=ContrastiveModel.effects)
