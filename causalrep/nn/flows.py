"""A normalising flow from observations to latents of the same dimension."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.nn.mlp import MLP

LARGEST_LOG_SCALE = 2.0


class MonotoneLayer(nn.Module):
    """One increasing function a coordinate: a line plus softened ramps that only bend it upwards in slope, both ways.

    Its slope is a positive constant plus a sum of sigmoids, so it bends to steeper or flatter tails; it is an exact
    density's change of variables, with a gradient everywhere.

    Attributes:
        ramps: Ramps to either side.
    """

    ramps: int = 4

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """The images, and the log determinants of the Jacobian."""
        shape = (2, self.ramps, x.shape[-1])
        log_slope = self.param("log_slope", nn.initializers.zeros, (x.shape[-1],))
        log_height = self.param("log_height", nn.initializers.constant(-3.0), shape)
        log_sharpness = self.param("log_sharpness", nn.initializers.constant(0.5), shape)
        corners = self.param("corners", lambda key, shape: _corners(shape), shape)
        height, sharpness = jnp.exp(log_height), jnp.exp(log_sharpness)
        side = jnp.array([1.0, -1.0], x.dtype)[:, None, None]
        inside = sharpness * (side * x[:, None, None, :] - corners)
        image = jnp.exp(log_slope) * x + jnp.sum(side * height * nn.softplus(inside) / sharpness, axis=(1, 2))
        slope = jnp.exp(log_slope) + jnp.sum(height * nn.sigmoid(inside), axis=(1, 2))
        return image, jnp.sum(jnp.log(slope), axis=-1)


class CouplingLayer(nn.Module):
    """Half of the coordinates are scaled and shifted by a perceptron of the other half (Dinh et al. 2017).

    Attributes:
        hidden: Widths of the perceptron.
    """

    hidden: tuple[int, ...] = (32, 32)

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """The images, and the log determinants of the Jacobian."""
        kept, moved = jnp.split(x, [x.shape[-1] // 2], axis=-1)
        both = MLP((*self.hidden, 2 * moved.shape[-1]), activation=nn.gelu)(kept)
        raw, shift = jnp.split(0.1 * both, 2, axis=-1)
        log_scale = LARGEST_LOG_SCALE * jnp.tanh(raw / LARGEST_LOG_SCALE)
        return jnp.concatenate([kept, moved * jnp.exp(log_scale) + shift], axis=-1), jnp.sum(log_scale, axis=-1)


class Flow(nn.Module):
    """Blocks of monotone coordinates, a coupling and a linear map; a linear map alone where there are no blocks.

    Attributes:
        blocks: How many.
        hidden: Widths of the couplings' perceptrons; ``()`` for blocks without couplings.
        ramps: Of the monotone layers.
    """

    blocks: int = 3
    hidden: tuple[int, ...] = (32, 32)
    ramps: int = 4

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """Latents, and the log determinants of their Jacobian with respect to x."""
        d = x.shape[-1]
        total = jnp.zeros(x.shape[:-1], x.dtype)
        for block in range(self.blocks + 1):
            if block:
                steps = [MonotoneLayer(self.ramps), *([CouplingLayer(self.hidden)] if self.hidden and d > 1 else [])]
                for step in steps:
                    x, log_slope = step(x)
                    total = total + log_slope
            matrix = self.param(f"matrix_{block}", nn.initializers.orthogonal(), (d, d))
            bias = self.param(f"bias_{block}", nn.initializers.zeros, (d,))
            x = x @ matrix.T + bias
            total = total + jnp.linalg.slogdet(matrix)[1]
        return x, total


def _corners(shape: tuple[int, int, int]) -> jax.Array:
    return jnp.broadcast_to(jnp.linspace(0.0, 2.0, shape[1])[None, :, None], shape)
