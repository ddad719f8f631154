"""A normalizing flow from observations to latents of the same dimension, with an exact density."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.nn.flows.coupling import affine_step
from causalrep.nn.mlp import MLP

LARGEST_LOG_SCALE = 2.0


class MonotoneLayer(nn.Module):
    """One increasing function per coordinate, whose slope is a positive constant plus a sum of sigmoids.

    Each sigmoid rises to the right or to the left of a corner of its own, so the slope can grow or shrink in either
    tail and is constant far out. Kinks, squashing functions and their inverses are all close to such a function.

    Attributes:
        ramps: Number of sigmoids that rise to the right, and of those that rise to the left.
    """

    ramps: int = 4

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """The images, and the log determinants of the Jacobian."""
        shape = (2, self.ramps, x.shape[-1])
        log_slope = self.param("log_slope", nn.initializers.zeros, (x.shape[-1],))
        log_height = self.param("log_height", nn.initializers.constant(-3.0), shape)
        log_sharpness = self.param("log_sharpness", nn.initializers.constant(0.5), shape)
        corners = self.param("corners", _spread, shape)
        height, sharpness = jnp.exp(log_height), jnp.exp(log_sharpness)
        side = jnp.array([1.0, -1.0], x.dtype)[:, None, None]
        # The image integrates the slope: softplus(s (x - c)) / s is the integral of sigmoid(s (x - c)).
        inside = sharpness * (side * x[..., None, None, :] - corners)
        image = jnp.exp(log_slope) * x + jnp.sum(side * height / sharpness * nn.softplus(inside), axis=(-3, -2))
        slope = jnp.exp(log_slope) + jnp.sum(height * nn.sigmoid(inside), axis=(-3, -2))
        return image, jnp.sum(jnp.log(slope), axis=-1)


class CouplingLayer(nn.Module):
    """A perceptron of one half of the coordinates scales and shifts the other half (Dinh et al. 2017).

    Attributes:
        hidden: Widths of the perceptron.
    """

    hidden: tuple[int, ...] = (32, 32)

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """The images, and the log determinants of the Jacobian."""
        kept, moved = jnp.split(x, [x.shape[-1] // 2], axis=-1)
        units = MLP(self.hidden, activation=nn.gelu, activate_final=True)(kept)
        # Zero weights: the layer starts as the identity.
        raw, shift = jnp.split(nn.Dense(2 * moved.shape[-1], kernel_init=nn.initializers.zeros)(units), 2, axis=-1)
        log_scale = LARGEST_LOG_SCALE * jnp.tanh(raw / LARGEST_LOG_SCALE)
        moved, log_volume = affine_step(moved, log_scale, shift)
        return jnp.concatenate([kept, moved], axis=-1), log_volume


class LinearLayer(nn.Module):
    """An invertible linear map and a shift.

    Attributes:
        matrix_init: Draws the matrix (d, d).
    """

    matrix_init: nn.initializers.Initializer = nn.initializers.orthogonal()

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """The images, and the log determinants of the Jacobian."""
        d = x.shape[-1]
        matrix = self.param("matrix", self.matrix_init, (d, d))
        shift = self.param("shift", nn.initializers.zeros, (d,))
        return x @ matrix.T + shift, jnp.broadcast_to(jnp.linalg.slogdet(matrix)[1], x.shape[:-1])


class Flow(nn.Module):
    """Blocks of monotone coordinates, a coupling and a linear map, together close to a random rotation at the start.

    The rotation is the last linear map's: gradients seldom change which latent is which, so restarts must differ in it.
    The monotone layers come first, where they can undo functions of single observed variables.

    Attributes:
        blocks: Number of blocks; 0 for a linear map alone.
        hidden: Widths of the couplings' perceptrons; ``()`` for blocks without couplings.
        ramps: Sigmoids of each kind in the monotone layers.
    """

    blocks: int = 3
    hidden: tuple[int, ...] = (32, 32)
    ramps: int = 4

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """Latents, and the log determinants of their Jacobian with respect to x."""
        layers: list[nn.Module] = []
        coupled = self.hidden and x.shape[-1] > 1
        for block in range(self.blocks):
            # A coupling always moves the last half of the coordinates; the linear map after it mixes the halves.
            layers += [MonotoneLayer(self.ramps), *([CouplingLayer(self.hidden)] if coupled else [])]
            layers += [LinearLayer(_nearly_the_identity)] if block < self.blocks - 1 else []
        total = jnp.zeros(x.shape[:-1], x.dtype)
        for layer in [*layers, LinearLayer()]:
            x, log_volume = layer(x)
            total = total + log_volume
        return x, total


def _nearly_the_identity(key: Array, shape: tuple[int, int], dtype=jnp.float32) -> Float[Array, "d d"]:
    return jnp.eye(shape[0], dtype=dtype) + 0.1 * jax.random.normal(key, shape, dtype)


def _spread(key: Array, shape: tuple[int, int, int], dtype=jnp.float32) -> Float[Array, "2 ramps d"]:
    """Corners from the center outwards."""
    return jnp.broadcast_to(jnp.linspace(0.0, 2.0, shape[1], dtype=dtype)[None, :, None], shape)
