"""Contrastive causal representation learning (Buchholz, Rajendran, Rosenfeld, Aragam, Schoelkopf, Ravikumar 2023).

A classifier tells observational rows from those of environment i. For latents that are linear and Gaussian and a hard
intervention on latent i, the log-ratio of the two densities is
``a_i + c_i z_i + (lambda_i z_i)^2 - (B_i z)^2`` with B = diag(s)(I - A): the observed mechanism of i against the
intervened one. The classifier's logits have this form, with ``z = h(x)`` learned, and the best classifier recovers z
and A.

The latents are identified up to scale and order, and so is the graph, if the mixing is injective (no matter how
nonlinear), the latents are linear and Gaussian, and each is intervened on in one environment, hard, with a change of
its variance or mean.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Domain, Instance, Whole, Widths
from causalrep.latent.environments.door import as_environments, check_one_per_latent
from causalrep.latent.environments.network import Network
from causalrep.latent.environments.rows import DEFAULT, CodedRows
from causalrep.nn import trained_mlp
from causalrep.training import Objective, Schedule
from causalrep.training.rows import InSchedule


class ContrastiveModel(nn.Module):
    """An encoder, and logits with the form of Gaussian log-ratios.

    Attributes:
        latents: d; latent i belongs to interventional environment i.
        hidden: Widths of the encoder; ``()`` for a linear one.
    """

    latents: int
    hidden: tuple[int, ...] = (128, 128)

    def setup(self) -> None:
        """The encoder, and the mechanisms that the logits compare."""
        d = self.latents
        self.encoder = trained_mlp((*self.hidden, d), activation=nn.leaky_relu)
        self.weights = self.param("weights", nn.initializers.zeros, (d, d))
        self.log_precision = self.param("log_precision", nn.initializers.zeros, (d,))
        self.log_intervened = self.param("log_intervened", nn.initializers.zeros, (d,))
        self.slope = self.param("slope", nn.initializers.zeros, (d,))
        self.intercept = self.param("intercept", nn.initializers.zeros, (d,))

    def effects(self) -> Float[Array, "d d"]:
        """A with zeros on its diagonal, in the encoder's own units: entry (i, j) is the effect of latent j on i."""
        return self.weights * (1.0 - jnp.eye(self.latents))

    def encode(self, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
        """Latents ``h(x)`` of rows."""
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
        mean: kappa, the weight of the squared mean of the latents.
        sparsity: eta, the weight of ``|A|_1``.
        cycles: mu, the weight of NOTEARS' ``tr exp(A o A) - d``.
    """

    mean: float = 0.1
    sparsity: float = 1e-4
    cycles: float = 1e-5


RELEASED = Penalties()


@lru_cache
def contrastive_objective(model: ContrastiveModel, penalties: Penalties = RELEASED) -> Objective:
    """Mean over environments of the cross-entropy of observational against interventional rows, plus penalties."""

    def init(key: Key[Array, ""], batch: CodedRows) -> Mapping:
        return model.init(key, batch.x)

    def loss(params: Mapping, key: Key[Array, ""], batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        z, logits = model.apply(params, batch.x)
        observational = (batch.code == 0).astype(z.dtype)[:, None]
        own = jax.nn.one_hot(batch.code - 1, model.latents, dtype=z.dtype)
        entropy = observational * nn.softplus(-logits) + own * nn.softplus(logits)
        # Weights give each of the d + 1 environments a share of 1 / (d + 1) of the rows. In each of the d pairs
        # both classes are to have a share of 1/2, and pairs are averaged: hence (d + 1) / (2 d).
        pairs = jnp.mean(batch.weight * jnp.sum(entropy, axis=1)) * (model.latents + 1) / (2 * model.latents)
        effects = model.apply(params, method="effects")
        cycles = jnp.trace(jax.scipy.linalg.expm(effects**2)) - model.latents
        center = jnp.sum(jnp.mean(z, axis=0) ** 2)
        penalty = penalties.mean * center + penalties.sparsity * jnp.sum(jnp.abs(effects)) + penalties.cycles * cycles
        return pairs + penalty, {"cross_entropy": pairs}

    return Objective(init, loss)


def _are_penalties(value: Any) -> bool:
    numbers = isinstance(value, Penalties) and all(isinstance(weight, int | float) for weight in value)
    return numbers and bool(np.isfinite(value).all()) and min(value) >= 0


class ContrastiveCRL(Network):
    """Latents from telling observational from interventional rows (Buchholz et al. 2023).

    The latents are identified up to scale, with the graph, if the mixing is injective, the latents are linear and
    Gaussian, and each is intervened on, hard, in one environment. The number of an environment names its latent:
    targets are not needed, but the labels of the environments are; with shuffled ones the codes are at chance level.

    Args:
        latents: Number of latents, and of interventional environments.
        hidden: Widths of the encoder; ``()`` for a linear mixing.
        penalties: Penalties on the latents' means, the effects and cycles.
        schedule: Steps, batch size, learning rate and restarts.
        seed: Random seed.

    Attributes:
        params_: Parameters of the network.
        effects_: Learned effects (latents, latents), entry (i, j) for latent i on j, in units of the codes.
        environments_: Labels, the observational one first; latent i belongs to the i-th after it.
        validation_loss_: Cross-entropy of the held-out rows plus penalties, in nats; log 2 if nothing was learned.
        n_features_in_: Number of observed variables.

    >>> ContrastiveCRL(5, hidden=())
    ContrastiveCRL(hidden=(), latents=5)
    """

    _domains: ClassVar[dict[str, Domain]] = {
        "latents": Whole(),
        "hidden": Widths(),
        "penalties": Instance("Penalties(...) of finite numbers of at least 0", _are_penalties),
        "schedule": InSchedule(DEFAULT),
        "seed": Whole(None),
    }

    def __init__(
        self,
        latents: int,
        *,
        hidden: tuple[int, ...] = (128, 128),
        penalties: Penalties = RELEASED,
        schedule: Schedule = DEFAULT,
        seed: int = 0,
    ):
        self.latents = latents
        self.hidden = hidden
        self.penalties = penalties
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, environment: Any, *, observational: Any) -> Self:
        """Train.

        Args:
            X: Observations (n, p).
            environment: Label of each row's environment (n,).
            observational: The label without intervention.

        Raises:
            InputError: If an argument is wrong, or there is not one interventional environment per latent.
        """
        self._check_domains()
        x, self.columns_, codes, self.environments_ = as_environments(X, environment, observational)
        check_one_per_latent(self.latents, self.environments_)
        self.model_ = ContrastiveModel(self.latents, tuple(self.hidden))
        self._train(x, codes, contrastive_objective(self.model_, self.penalties))
        self.effects_ = np.asarray(self.model_.apply(self.params_, method="effects")).T
        return self
