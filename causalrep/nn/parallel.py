"""Several perceptrons side by side; those of one shape are computed as one batched program."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.nn.mlp import MLP


class ParallelMLPs(nn.Module):
    """One :class:`MLP` per input, each with its own weights.

    Networks whose inputs and layers have the same shapes are computed together: a dozen compile in the time of one.

    Attributes:
        features: Layer widths of each network.
        activation: Activation between layers.
    """

    features: Sequence[tuple[int, ...]]
    activation: Callable[[jax.Array], jax.Array] = nn.relu

    @nn.compact
    def __call__(self, inputs: Sequence[Float[Array, "n _"]]) -> list[Float[Array, "n _"]]:
        """Outputs of the networks, in the order of the inputs."""
        groups: dict[tuple, list[int]] = {}
        for number, (x, layers) in enumerate(zip(inputs, self.features, strict=True)):
            groups.setdefault((x.shape, tuple(layers)), []).append(number)
        stacked = nn.vmap(MLP, variable_axes={"params": 0}, split_rngs={"params": True})
        outputs: dict = {}
        for (_, layers), members in groups.items():
            together = stacked(layers, activation=self.activation)(jnp.stack([inputs[i] for i in members]))
            outputs |= dict(zip(members, together, strict=True))
        return [outputs[number] for number in range(len(inputs))]
