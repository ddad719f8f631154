"""DeepIV: a conditional density of the treatment, then a network fitted through samples from it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from causalrep.iv.nonlinear.training import (
    NeuralFit,
    scaled_inputs,
    standardize,
    summarize,
    unscaled_outcome,
)
from causalrep.nn import MLP, trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.rows import plan_epochs, split_rows

Widths = tuple[int, ...]
Batch = Mapping[str, jax.Array]
# Weight decay of both networks, and Adam's rate.
WEIGHT_DECAY = 1e-4


class Mixture(NamedTuple):
    """Mixtures of Gaussians with independent coordinates, one a row.

    Attributes:
        logits: Unnormalised log weights (n, K).
        means: (n, K, p).
        log_scales: Logarithms of standard deviations (n, K, p).
    """

    logits: Float[Array, "n K"]
    means: Float[Array, "n K p"]
    log_scales: Float[Array, "n K p"]

    def log_prob(self, t: Float[Array, "n p"]) -> Float[Array, " n"]:
        """Log density of one value a row."""
        standard = (t[:, None] - self.means) * jnp.exp(-self.log_scales)
        each = -0.5 * jnp.square(standard) - self.log_scales - 0.5 * jnp.log(2 * jnp.pi)
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + jnp.sum(each, axis=-1), axis=-1)

    def sample(self, key: Key[Array, ""], count: int) -> Float[Array, "count n p"]:
        """``count`` independent values a row."""
        pick_key, normal_key = jax.random.split(key)
        component = jax.random.categorical(pick_key, self.logits, shape=(count, self.logits.shape[0]))
        means, log_scales = (
            jnp.take_along_axis(values[None], component[..., None, None], axis=2)[:, :, 0]
            for values in (self.means, self.log_scales)
        )
        return means + jnp.exp(log_scales) * jax.random.normal(normal_key, means.shape, means.dtype)


@lru_cache
def density_network(hidden: Widths, components: int, treatments: int, dropout: float) -> MLP:
    """The network whose outputs are a :class:`Mixture`'s parameters."""
    return trained_mlp((*hidden, components * (1 + 2 * treatments)), dropout=dropout)


def as_mixture(outputs: Float[Array, "n o"], components: int) -> Mixture:
    """Network outputs as a mixture; scales are kept above ``exp(-5)`` so that no density is unbounded."""
    logits, rest = outputs[:, :components], outputs[:, components:]
    means, raw = jnp.split(rest.reshape(len(outputs), 2 * components, -1), 2, axis=1)
    return Mixture(logits, means, jnp.maximum(raw, -5.0))


@lru_cache
def density_objective(hidden: Widths, components: int, treatments: int, dropout: float) -> Objective:
    """Stage 1: the negative log likelihood of treatments ``t`` given instruments and controls ``z``."""
    net = density_network(hidden, components, treatments, dropout)

    def init(key: jax.Array, batch: Batch) -> dict:
        return net.init(key, batch["z"])

    def loss(params: dict, key: jax.Array, batch: Batch) -> tuple[jax.Array, dict]:
        outputs = net.apply(params, batch["z"], train=True, rngs={"dropout": key})
        return -jnp.mean(as_mixture(outputs, components).log_prob(batch["t"])), {}

    return Objective(init, loss)


@lru_cache
def structural_network(hidden: Widths, dropout: float) -> MLP:
    """h(t, x)."""
    return trained_mlp((*hidden, 1), dropout=dropout)


@lru_cache
def structural_objective(hidden: Widths, samples: int, dropout: float) -> Objective:
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


@lru_cache
def adam(learning_rate: float) -> optax.GradientTransformation:
    """Adam with decoupled weight decay."""
    return optax.adamw(learning_rate, weight_decay=WEIGHT_DECAY)


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
    hidden: Widths = (128, 64, 32),
    components: int = 10,
    samples: int = 2,
    epochs: int = 300,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    dropout: float | None = None,
    validation_share: float = 0.2,
) -> NeuralFit:
    """Both stages: a mixture density network of the treatment, then the structural network.

    Dropout acts while a stage is validated as well, with one fixed mask, and not in predictions.

    Args:
        key: Of initialisation, batches, dropout and samples.
        y: Outcome; rows in random order.
        x: Treatments, then controls.
        z: Instruments, then controls.
        treatments: p, how many columns of ``x`` are treatments.
        hidden: Hidden widths of both networks.
        components: K, Gaussians of the mixture.
        samples: Treatments in each of the two sets drawn for a row and step.
        epochs: Passes over the training rows, at each stage.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        dropout: Share of hidden units dropped while training; default ``min(1000 / (1000 + n), .5)``.
        validation_share: Share of the rows (the last ones) that select the parameters of each stage.

    Source: Hartford, Lewis, Leyton-Brown, Taddy (2017), "Deep IV: A Flexible Approach for Counterfactual Prediction",
    ICML.
    """
    n = len(y)
    dropout = default_dropout(n) if dropout is None else dropout
    data, scaling = standardize(y, x, z)
    plan = plan_epochs(n, validation_share=validation_share, epochs=epochs, batch_size=batch_size)
    density_key, structural_key = jax.random.split(key)

    def train(objective: Objective, batch: dict, key: jax.Array):
        rows, held_out = split_rows(batch, plan.rows)
        return fit(
            objective,
            adam(learning_rate),
            rows,
            key,
            steps=plan.steps,
            batch_size=plan.batch_size,
            validation=held_out,
            eval_every=plan.eval_every,
        )

    shape = (hidden, components, treatments, dropout)
    density = train(density_objective(*shape), {"t": data.x[:, :treatments], "z": data.z}, density_key)
    mixture = as_mixture(density_network(*shape).apply(density.params, data.z), components)
    batch = {"y": data.y, "x": data.x[:, treatments:], **mixture._asdict()}
    structural = train(structural_objective(hidden, samples, dropout), batch, structural_key)
    found = summarize(structural, structural.params, scaling)
    # A density that diverged makes stage 2 worthless, however finite its losses.
    return found._replace(
        diverged=found.diverged | density.diverged,
        first_bad_step=jnp.where(density.diverged, density.first_bad_step, found.first_bad_step),
    )


def deep_iv_predict(found: NeuralFit, x: Float[Array, "n d"], *, hidden: Widths = (128, 64, 32)) -> Float[Array, " n"]:
    """The structural function at rows of treatments and controls."""
    net = structural_network(hidden, 0.0)
    return unscaled_outcome(found.scaling, net.apply(found.params, scaled_inputs(found.scaling, x))[:, 0])
