"""Time-contrastive learning (Hyvarinen and Morioka, NeurIPS 2016): which segment does this row come from?

The classifier's logits are linear in ``|h(x)|``. For independent latents whose scale alone differs between segments, of
a density with ``log p(z_i | u) = -|z_i| / s_i(u) + const``, the best classifier has ``|h|`` a linear map of ``|z|``,
and linear ICA of ``|h|`` does the rest. Identified is ``|z_i|``, up to order, scale and a constant, if the mixing is
invertible and the matrix of the segments' ``1 / s_i(u)`` has full rank, so with more segments than latents. Signs are
not.
"""

from collections.abc import Mapping
from functools import lru_cache

import flax.linen as nn
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import trained_mlp
from causalrep.training import Objective


class SegmentClassifier(nn.Module):
    """Multinomial logistic regression on the absolute values of learned features.

    Attributes:
        latents: Number of features.
        segments: Number of segments.
        hidden: Widths of the perceptron.
    """

    latents: int
    segments: int
    hidden: tuple[int, ...] = (64, 64)

    def setup(self) -> None:
        """The perceptron and the linear layer."""
        self.network = trained_mlp((*self.hidden, self.latents), activation=nn.leaky_relu)
        self.output = nn.Dense(self.segments)

    def features(self, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
        """``|h(x)|``."""
        return jnp.abs(self.network(x))

    def __call__(self, x: Float[Array, "n p"]) -> Float[Array, "n segments"]:
        """Logits of the segments."""
        return self.output(self.features(x))


@lru_cache
def tcl_objective(model: SegmentClassifier) -> Objective:
    """Cross-entropy of the segments, in nats."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, batch.x)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        logits = model.apply(params, batch.x)
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch.code)
        return jnp.mean(batch.weight * entropy), {"accuracy": jnp.mean(jnp.argmax(logits, axis=1) == batch.code)}

    return Objective(init, loss)


def segment_features(model: SegmentClassifier, params: Mapping, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
    """``|h(x)|`` of rows, before linear ICA."""
    return model.apply(params, x, method=SegmentClassifier.features)
