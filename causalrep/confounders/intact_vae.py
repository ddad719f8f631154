"""Intact-VAE: a variational autoencoder whose code is a prognostic score, with covariates in the prior.

    p(z|x) = N(h(x), k(x)^2),   p(y|z,t) = N(f_t(z), g_t(z)^2),   q(z|x,t,y) = N(r_t(x,y), s_t(x,y)^2)
    maximise  E_q[log p(y|z,t)] - beta KL(q(z|x,t,y) | p(z|x))

A prognostic score is what of the covariates the outcome depends on; z has its dimension. The prior is *balanced*: the
same in both arms, so that ``mu_t(x) = E_{p(z|x)} f_t(z)`` compares like with like. ``balanced=False`` lets it depend on
the treatment, ``p(z|x,t)``.

**What it rests on.** Wu and Fukumizu (2021), arXiv 2101.06662, offered it for unobserved confounding; a note of theirs
on that preprint calls its theory flawed and points to "beta-Intact-VAE: Identifying and Estimating Causal Effects under
Limited Overlap" (ICLR 2022), which identifies effects where the *observed* covariates hold a prognostic score: where
nothing is hidden. If a confounder is hidden, what is here adjusts for what of it the covariates show, and for no more.
Widths and training are this library's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from causalrep.confounders.vluci.fit import PotentialOutcomes
from causalrep.nn import trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.rows import plan_epochs, split_rows

Batch = Mapping[str, jax.Array]
# Least standard deviation of any normal, in standardised units: densities stay bounded.
SCALE_FLOOR = 0.05


@dataclass(frozen=True)
class IntactVAEModel:
    """What is assumed, and how large the networks are.

    Attributes:
        score: Dimension of the prognostic score.
        hidden: Widths of the hidden layers of all networks.
        beta: Weight of the divergence from the prior.
        balanced: The prior is the same in both arms.
    """

    score: int = 1
    hidden: tuple[int, ...] = (64, 64)
    beta: float = 1.0
    balanced: bool = True


class IntactVAETraining(NamedTuple):
    """How it is trained; all static.

    Attributes:
        epochs: Passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        validation_share: Share of the rows that select the parameters, by the objective.
    """

    epochs: int = 200
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    validation_share: float = 0.2


class IntactVAEFit(NamedTuple):
    """A fitted Intact-VAE.

    Attributes:
        params: Of its networks.
        x_mean: Of the columns of x (d,).
        x_std: Likewise; 1 for a constant column (d,).
        y_mean: Of the outcome.
        y_std: Of the outcome.
        loss: The objective on the rows that selected the parameters, in nats a row.
        diverged: Whether some loss or gradient was not finite; ``params`` are then the last finite ones.
        first_bad_step: The update at which that happened, or -1.
    """

    params: PyTree
    x_mean: Float[Array, " d"]
    x_std: Float[Array, " d"]
    y_mean: Float[Array, ""]
    y_std: Float[Array, ""]
    loss: Float[Array, ""]
    diverged: Bool[Array, ""]
    first_bad_step: Int[Array, ""]


class Networks(nn.Module):
    """Prior, decoder and encoder of an :class:`IntactVAEModel`.

    Attributes:
        model: What is assumed.
    """

    model: IntactVAEModel

    def setup(self) -> None:
        """A network an arm, but for a balanced prior."""
        sizes, k = self.model.hidden, self.model.score
        self.prior_nets = [trained_mlp((*sizes, 2 * k), nn.elu) for _ in range(1 if self.model.balanced else 2)]
        self.decoder_nets = [trained_mlp((*sizes, 2), nn.elu) for _ in range(2)]
        self.encoder_nets = [trained_mlp((*sizes, 2 * k), nn.elu) for _ in range(2)]

    def __call__(self, batch: Batch) -> None:
        """Touches every network, to initialise them."""
        x, t, y = batch["x"], batch["t"], batch["y"]
        self.encode(x, t, y), self.prior(x, t), self.outcomes(jnp.zeros((len(x), self.model.score)))

    def prior(self, x: Float[Array, "n d"], t: Float[Array, " n"]) -> dist.Normal:
        """``p(z|x)``, or ``p(z|x,t)`` if it is not balanced (n, k)."""
        each = [net(x) for net in self.prior_nets]
        return _normal(each[0] if self.model.balanced else _own(t, *each))

    def encode(self, x: Float[Array, "n d"], t: Float[Array, " n"], y: Float[Array, " n"]) -> dist.Normal:
        """``q(z|x,t,y)`` (n, k)."""
        return _normal(_own(t, *(net(jnp.column_stack([x, y])) for net in self.encoder_nets)))

    def outcomes(self, z: Float[Array, "n k"]) -> tuple[dist.Normal, dist.Normal]:
        """``p(y|z,t)`` for t = 0, 1, each (n, 1)."""
        return tuple(_normal(net(z)) for net in self.decoder_nets)


@lru_cache
def intact_vae_objective(model: IntactVAEModel) -> Objective:
    """The negative bound a row; batches hold ``x`` (n, d), ``t`` and ``y`` (n,)."""
    networks = Networks(model)

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return networks.init(key, batch)

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        def terms(module: Networks) -> tuple[Array, Array]:
            x, t, y = batch["x"], batch["t"], batch["y"]
            q = module.encode(x, t, y)
            z = q.rsample(key)
            log_likelihood = _own(t, *(law.log_prob(y[:, None]) for law in module.outcomes(z)))[:, 0]
            return log_likelihood, jnp.sum(dist.kl_divergence(q, module.prior(x, t)), axis=1)

        log_likelihood, kl = (jnp.mean(term) for term in networks.apply(params, method=terms))
        return model.beta * kl - log_likelihood, {"log_likelihood": log_likelihood, "kl": kl}

    return Objective(init, loss)


def intact_vae(
    key: Key[Array, ""],
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    *,
    model: IntactVAEModel,
    training: IntactVAETraining,
) -> IntactVAEFit:
    """Fit Intact-VAE.

    Args:
        key: Of the split, initialisation, batches and samples of z.
        x: Covariates.
        t: Treatment, 0 or 1.
        y: Outcome.
        model: What is assumed.
        training: How to train.
    """
    split_key, fit_key = jax.random.split(key)
    x, t, y = (jnp.asarray(values, jnp.float32) for values in (x, t, y))
    x_mean, y_mean = x.mean(0), y.mean()
    x_std, y_std = (jnp.where(sd > 0, sd, 1.0) for sd in (x.std(0), y.std()))
    data = {"x": (x - x_mean) / x_std, "t": t, "y": (y - y_mean) / y_std}
    plan = plan_epochs(
        len(y), validation_share=training.validation_share, epochs=training.epochs, batch_size=training.batch_size
    )
    order = jax.random.permutation(split_key, len(y))
    rows, held_out = split_rows(jax.tree.map(lambda leaf: leaf[order], data), plan.rows)
    found = fit(
        intact_vae_objective(model),
        _adam(training.learning_rate, training.weight_decay),
        rows,
        fit_key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation=held_out,
        eval_every=plan.eval_every,
    )
    return IntactVAEFit(
        found.params, x_mean, x_std, y_mean, y_std, found.final_loss, found.diverged, found.first_bad_step
    )


def intact_vae_outcomes(
    key: Key[Array, ""],
    model: IntactVAEModel,
    found: IntactVAEFit,
    x: Float[Array, "n d"],
    *,
    t: Float[Array, " n"] | None = None,
    y: Float[Array, " n"] | None = None,
    draws: int = 100,
) -> PotentialOutcomes:
    """Expected potential outcomes of rows: of x alone, by the prior; of x, t and y, by the posterior.

    Args:
        key: Random key.
        model: What is assumed; of x alone it must have a balanced prior.
        found: The fit.
        x: Covariates.
        t: Treatment, to use the posterior.
        y: Outcome, to use the posterior.
        draws: Of z, over which outcomes are averaged.
    """
    networks = Networks(model)
    x = (jnp.asarray(x, jnp.float32) - found.x_mean) / found.x_std

    def one(draw_key: jax.Array) -> Array:
        def decoded(module: Networks) -> Array:
            if y is None:
                law = module.prior(x, jnp.zeros(len(x)))
            else:
                law = module.encode(x, t, (y - found.y_mean) / found.y_std)
            return jnp.column_stack([outcome.loc for outcome in module.outcomes(law.sample(draw_key))])

        return networks.apply(found.params, method=decoded)

    mean = jnp.mean(jax.lax.map(one, jax.random.split(key, draws)), axis=0)
    return PotentialOutcomes(*(found.y_mean + found.y_std * mean).T)


def _normal(raw: Array) -> dist.Normal:
    loc, scale = jnp.split(raw, 2, axis=-1)
    return dist.Normal(loc, SCALE_FLOOR + nn.softplus(scale))


def _own(t: Float[Array, " n"], untreated: Array, treated: Array) -> Array:
    """Rows of their own arm."""
    return jnp.where((t == 1)[:, None], treated, untreated)


@lru_cache
def _adam(learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    return optax.adamw(learning_rate, weight_decay=weight_decay)
