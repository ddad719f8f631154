"""The biased classifier of two modalities that is to be debiased: one token each, joint features, and a head."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from causalrep.training import Objective, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import Schedule, check_schedule, plan_epochs
from causalrep.training.trained import Trained, trained

Batch = Mapping[str, jax.Array]
SCHEDULE = Schedule(epochs=15, batch_size=128, learning_rate=1e-3)


class Dense(nn.Module):
    """A dense layer initialized like PyTorch's: weights and biases uniform within ``1 / sqrt(inputs)``.

    The authors' code is written in PyTorch, and initialization matters: the weight of the coding rate falls with the
    rate, so that features that start with three times the variance may never shrink.

    Attributes:
        width: Width of the output.
    """

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n w"]:
        """``x W + b``."""
        kernel = self.param("kernel", uniform(x.shape[1]), (x.shape[1], self.width))
        return x @ kernel + self.param("bias", uniform(x.shape[1]), (self.width,))


def uniform(inputs: int):
    """An initializer: uniform within ``1 / sqrt(inputs)``."""

    def draw(key: jax.Array, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0) / inputs**0.5

    return draw


class StreamSizes(NamedTuple):
    """Sizes of the networks; all static.

    Attributes:
        answers: A, the number of answers.
        tokens: Width of each modality's token.
        features: d, the width of the joint features.
    """

    answers: int
    tokens: int = 64
    features: int = 64


class TwoStreams(nn.Module):
    """The backbone, from two embeddings to joint features.

    Attributes:
        sizes: Sizes of the networks.
    """

    sizes: StreamSizes

    def setup(self) -> None:
        """One layer per modality and one that joins them."""
        self.first_net, self.second_net = Dense(self.sizes.tokens), Dense(self.sizes.tokens)
        self.joint_net = Dense(self.sizes.features)

    def tokens(self, first: Float[Array, "n a"], second: Float[Array, "n b"]) -> tuple[Array, Array]:
        """A token (n, tokens) of each modality."""
        return nn.tanh(self.first_net(first)), nn.tanh(self.second_net(second))

    def join(self, first: Float[Array, "n k"], second: Float[Array, "n k"]) -> Float[Array, "n d"]:
        """Features of the tokens."""
        return nn.tanh(self.joint_net(jnp.column_stack([first, second])))

    def __call__(self, first: Float[Array, "n a"], second: Float[Array, "n b"]) -> Float[Array, "n d"]:
        """Features of the embeddings."""
        return self.join(*self.tokens(first, second))


class Head(nn.Module):
    """Features to logits, by one hidden layer with a normalized output.

    Attributes:
        answers: A, the number of answers.
    """

    answers: int

    @nn.compact
    def __call__(self, h: Float[Array, "n d"]) -> Float[Array, "n a"]:
        """Logits."""
        h = nn.LayerNorm(epsilon=1e-12)(nn.gelu(Dense(2 * h.shape[1])(h), approximate=False))
        return Dense(self.answers)(h)


class PlainNetworks(nn.Module):
    """Backbone and head: empirical risk minimization.

    Attributes:
        sizes: Sizes of the networks.
    """

    sizes: StreamSizes

    def setup(self) -> None:
        """Backbone and head."""
        self.backbone, self.head = TwoStreams(self.sizes), Head(self.sizes.answers)

    def __call__(self, first: Float[Array, "n a"], second: Float[Array, "n b"]) -> tuple[Array, Array]:
        """Logits (n, A) and features (n, d)."""
        x = self.backbone(first, second)
        return self.head(x), x

    def tokens(self, first: Float[Array, "n a"], second: Float[Array, "n b"]) -> tuple[Array, Array]:
        """A token (n, tokens) of each modality."""
        return self.backbone.tokens(first, second)


def answer_loss(logits: Float[Array, "n a"], answers: Float[Array, "n a"]) -> Float[Array, ""]:
    """Binary cross-entropy with soft targets, summed over answers and averaged over rows."""
    return jnp.mean(jnp.sum(optax.sigmoid_binary_cross_entropy(logits, answers), axis=1))


@lru_cache
def plain_objective(sizes: StreamSizes) -> Objective:
    """:func:`answer_loss` of the plain classifier; batches hold ``first``, ``second`` and targets ``y`` (n, A)."""
    networks = PlainNetworks(sizes)

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return networks.init(key, batch["first"][:1], batch["second"][:1])

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        return answer_loss(networks.apply(params, batch["first"], batch["second"])[0], batch["y"]), {}

    return Objective(init, loss)


def train_streams(
    key: Key[Array, ""], objective: Objective, data: Batch, schedule: Schedule = SCHEDULE, start: PyTree | None = None
) -> Trained:
    """Minimize an objective of two modalities.

    Args:
        key: Random key.
        objective: The objective.
        data: ``first`` (n, a), ``second`` (n, b) and targets ``y`` (n, A).
        schedule: Training schedule, in epochs.
        start: Initial parameters; by default those of the objective.
    """
    chex.assert_rank([data["first"], data["second"], data["y"]], 2)
    chex.assert_equal_shape_prefix([data["first"], data["second"], data["y"]], 1)
    schedule = check_schedule(schedule, SCHEDULE)
    # Nothing is evaluated, so the number of epochs need not be rounded to whole evaluations.
    plan = plan_epochs(
        len(data["y"]), epochs=schedule.epochs, batch_size=schedule.batch_size, evaluations=schedule.epochs
    )
    optimizer = adam(schedule.learning_rate)
    return trained(fit(objective, optimizer, data, key, steps=plan.steps, batch_size=plan.batch_size, start=start))
