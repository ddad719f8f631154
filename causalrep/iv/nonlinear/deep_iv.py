"""DeepIV: a conditional density of the treatment, then a network fitted through samples from it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Domain, Optional, Real, Whole, Widths
from causalrep.iv.nonlinear.base import Fitted, NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData
from causalrep.iv.nonlinear.networks import (
    NO_INTERVAL,
    in_units,
    seeds_fitted,
    standardize,
    train_seeds,
)
from causalrep.nn import MLP, trained_mlp
from causalrep.training import FitResult, Objective, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Schedule, check_schedule, plan_epochs, split_rows
from causalrep.training.trained import Trained, trained

Batch = Mapping[str, jax.Array]
# Of each stage.
SCHEDULE = Schedule(epochs=300, batch_size=100, learning_rate=1e-3, weight_decay=1e-4, validation_share=0.2)


class Mixture(NamedTuple):
    """Mixtures of Gaussians with independent coordinates, one per row.

    Attributes:
        logits: Unnormalized log weights (n, K).
        means: Means (n, K, p).
        log_scales: Logarithms of the standard deviations (n, K, p).
    """

    logits: Float[Array, "n K"]
    means: Float[Array, "n K p"]
    log_scales: Float[Array, "n K p"]

    def log_prob(self, t: Float[Array, "n p"]) -> Float[Array, " n"]:
        """Log density of one value per row."""
        standard = (t[:, None] - self.means) * jnp.exp(-self.log_scales)
        each = -0.5 * jnp.square(standard) - self.log_scales - 0.5 * jnp.log(2 * jnp.pi)
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + jnp.sum(each, axis=-1), axis=-1)

    def sample(self, key: Key[Array, ""], count: int) -> Float[Array, "count n p"]:
        """``count`` independent values per row."""
        pick_key, normal_key = jax.random.split(key)
        component = jax.random.categorical(pick_key, self.logits, shape=(count, self.logits.shape[0]))
        means, log_scales = (
            jnp.take_along_axis(values[None], component[..., None, None], axis=2)[:, :, 0]
            for values in (self.means, self.log_scales)
        )
        return means + jnp.exp(log_scales) * jax.random.normal(normal_key, means.shape, means.dtype)


@lru_cache
def density_network(hidden: tuple[int, ...], components: int, treatments: int, dropout: float) -> MLP:
    """The network whose outputs are a :class:`Mixture`'s parameters."""
    return trained_mlp((*hidden, components * (1 + 2 * treatments)), dropout=dropout)


def as_mixture(outputs: Float[Array, "n o"], components: int) -> Mixture:
    """Network outputs as a mixture; standard deviations stay above ``exp(-5)``, so that the likelihood is bounded."""
    logits, rest = outputs[:, :components], outputs[:, components:]
    means, raw = jnp.split(rest.reshape(len(outputs), 2 * components, -1), 2, axis=1)
    return Mixture(logits, means, jnp.maximum(raw, -5.0))


@lru_cache
def density_objective(hidden: tuple[int, ...], components: int, treatments: int, dropout: float) -> Objective:
    """Stage 1: the negative log likelihood of treatments ``t`` given instruments and controls ``z``."""
    net = density_network(hidden, components, treatments, dropout)

    def init(key: jax.Array, batch: Batch) -> dict:
        return net.init(key, batch["z"])

    def loss(params: dict, key: jax.Array, batch: Batch) -> tuple[jax.Array, dict]:
        outputs = net.apply(params, batch["z"], train=True, rngs={"dropout": key})
        return -jnp.mean(as_mixture(outputs, components).log_prob(batch["t"])), {}

    return Objective(init, loss)


@lru_cache
def structural_network(hidden: tuple[int, ...], dropout: float) -> MLP:
    """The network of the structural function h(t, x)."""
    return trained_mlp((*hidden, 1), dropout=dropout)


@lru_cache
def structural_objective(hidden: tuple[int, ...], samples: int, dropout: float) -> Objective:
    """Stage 2, for batches of ``y``, controls ``x`` and the stage-1 mixture of each row.

    ``(y - mean_a h(t_a, x)) (y - mean_b h(t_b, x))`` with two independent sets of ``samples`` treatments: its mean, and
    hence its gradient, is that of ``(y - E[h(T, x) | z])^2``. The square of a single mean would add its variance.
    """
    net = structural_network(hidden, dropout)

    def init(key: jax.Array, batch: Batch) -> dict:
        return net.init(key, jnp.column_stack([batch["means"][:, 0], batch["x"]]))

    def loss(params: dict, key: jax.Array, batch: Batch) -> tuple[jax.Array, dict]:
        sample_key, dropout_key = jax.random.split(key)
        mixture = Mixture(batch["logits"], batch["means"], batch["log_scales"])
        t = mixture.sample(sample_key, 2 * samples)
        x = jnp.broadcast_to(batch["x"], (*t.shape[:2], batch["x"].shape[1]))
        inputs = jnp.concatenate([t, x], axis=-1)
        values = net.apply(params, inputs, train=True, rngs={"dropout": dropout_key})[..., 0]
        first, second = jnp.mean(values[:samples], axis=0), jnp.mean(values[samples:], axis=0)
        return jnp.mean((batch["y"] - first) * (batch["y"] - second)), {}

    return Objective(init, loss)


def default_dropout(n: int) -> float:
    """The paper's rate, which falls with the sample size."""
    return min(1000 / (1000 + n), 0.5)


def deep_iv(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    treatments: int = 1,
    hidden: tuple[int, ...] = (128, 64, 32),
    components: int = 10,
    samples: int = 2,
    dropout: float | None = None,
    schedule: Schedule | None = SCHEDULE,
) -> Trained:
    """Fit both stages: a mixture density network of the treatment, then the structural network.

    Dropout is active in validation too, with one fixed mask, but not in predictions.

    Args:
        key: Random key of initialization, batches, dropout and samples.
        y: Outcome; rows in random order.
        x: Treatments, then controls.
        z: Instruments, then controls.
        treatments: Number p of columns of ``x`` that are treatments.
        hidden: Hidden widths of both networks.
        components: Number K of Gaussians in the mixture.
        samples: Number of treatments in each of the two sets drawn per row and step.
        dropout: Share of hidden units dropped in training; default ``min(1000 / (1000 + n), .5)``.
        schedule: Training of each stage; the last rows select the parameters.

    Source: Hartford, Lewis, Leyton-Brown, Taddy (2017), "Deep IV: A Flexible Approach for Counterfactual Prediction",
    ICML.
    """
    schedule, n = check_schedule(schedule, SCHEDULE), len(y)
    dropout = default_dropout(n) if dropout is None else dropout
    data, scaling = standardize(y, x, z)
    plan = plan_epochs(
        n,
        validation_share=schedule.validation_share,
        epochs=schedule.epochs,
        batch_size=schedule.batch_size,
    )
    density_key, structural_key = jax.random.split(key)

    def train(objective: Objective, batch: dict, key: jax.Array) -> FitResult:
        rows, held_out = split_rows(batch, plan.rows)
        return fit(
            objective,
            adam(schedule.learning_rate, weight_decay=schedule.weight_decay),
            rows,
            key,
            steps=plan.steps,
            batch_size=plan.batch_size,
            validation=held_out,
            eval_every=plan.eval_every,
        )

    shape = (hidden, components, treatments, dropout)
    density = train(density_objective(*shape), {"t": data["x"][:, :treatments], "z": data["z"]}, density_key)
    mixture = as_mixture(density_network(*shape).apply(density.params, data["z"]), components)
    batch = {"y": data["y"], "x": data["x"][:, treatments:], **mixture._asdict()}
    structural = trained(train(structural_objective(hidden, samples, dropout), batch, structural_key), scaling)
    # A density that diverged makes stage 2 worthless, however finite its losses.
    return structural._replace(
        diverged=structural.diverged | density.diverged,
        first_bad_step=jnp.where(density.diverged, density.first_bad_step, structural.first_bad_step),
    )


def deep_iv_predict(
    fit: Trained, x: Float[Array, "n d"], *, hidden: tuple[int, ...] = (128, 64, 32)
) -> Float[Array, " n"]:
    """The structural function at rows of treatments and controls."""
    net = structural_network(hidden, 0.0)
    return in_units(fit, x, lambda params, inputs: net.apply(params, inputs)[:, 0])


class DeepIV(NonlinearIVEstimator):
    """DeepIV: a mixture density network of the treatment, then a network fitted through samples from it.

    Args:
        hidden: Hidden widths of both networks.
        components: Number of Gaussians in the mixture.
        samples: Number of treatments in each of the two independent sets drawn per row and step.
        dropout: Share of hidden units dropped in training; default ``min(1000 / (1000 + n), .5)``.
        schedule: Training of each stage, by default 300 epochs in batches of 100 rows at a learning rate of 1e-3,
            with weight decay 1e-4 and a fifth of the rows to select the parameters.
        seeds: Number of initializations trained together; the answer is the mean of their functions.
        seed: Random seed.

    Attributes:
        fit_: The :class:`~causalrep.training.trained.Trained` of the seeds that stayed finite, stacked.

    There is no interval: the networks' regularization and early stopping leave a bias of unknown size.

    Source: Hartford, Lewis, Leyton-Brown, Taddy (2017), "Deep IV: A Flexible Approach for Counterfactual Prediction".
    """

    _title = "DeepIV"
    _no_interval = NO_INTERVAL
    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "hidden": Widths(empty=False),
        "components": Whole(),
        "samples": Whole(),
        "dropout": Optional(Real(at_least=0, below=1)),
        "schedule": InSchedule(SCHEDULE),
        "seeds": Whole(),
        "seed": Whole(None),
    }

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (128, 64, 32),
        components: int = 10,
        samples: int = 2,
        dropout: float | None = None,
        schedule: Schedule | None = SCHEDULE,
        seeds: int = 1,
        seed: int = 0,
    ):
        self.hidden = hidden
        self.components = components
        self.samples = samples
        self.dropout = dropout
        self.schedule = schedule
        self.seeds = seeds
        self.seed = seed

    def _fit(self, data: NonlinearData) -> Fitted:
        network = {"hidden": tuple(self.hidden)}
        options = {
            "treatments": data.t.shape[1],
            "components": self.components,
            "samples": self.samples,
            "dropout": None if self.dropout is None else float(self.dropout),
            "schedule": self.schedule,
        }
        self.fit_ = train_seeds(self, deep_iv, data, **options, **network)
        return seeds_fitted(deep_iv_predict, self.fit_, **network)

    def predict_each(self, inputs: np.ndarray) -> np.ndarray:
        """The structural function of every seed (seeds, n), at rows of treatments, then controls."""
        with self._computing():
            return self._structural.each(inputs)
