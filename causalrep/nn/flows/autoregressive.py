"""A monotone autoregressive flow in which every dependence passes a gate: a density and a causal graph in one.

``eps_i = t_i(z_i; g_i * z_{<i})`` with t increasing in z_i, so ``log p(z) = sum_i log N(eps_i) + log t_i'`` is exact,
and the gates g say which latents are parents of which.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

HARDNESS = 2.0 / 3.0
LOG_2PI = 1.8378770664093453


class GatedFlow(nn.Module):
    """Maps latents to noises by one increasing function per latent, each with a network of its own.

    ``t(z) = exp(s) (z - c) + sum_j a_j tanh(b_j (z - c_j))`` with ``a, b > 0``; s, c, a, b and c_j are functions of the
    gated parents.

    Attributes:
        size: Number of latents, in causal order.
        hidden: Hidden units of each network.
        bumps: Number of terms of the sum; 0 for affine maps.
    """

    size: int
    hidden: int = 16
    bumps: int = 4

    @nn.compact
    def __call__(
        self, z: Float[Array, "n d"], gates: Float[Array, "*n d d"]
    ) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """Noises, and logarithms of the maps' derivatives.

        Args:
            z: Latents.
            gates: Entry (i, j) lets latent j into the map of latent i; those on and above the diagonal are ignored.
        """
        d, h, out = self.size, self.hidden, 2 + 3 * self.bumps
        first = self.param("first", nn.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=0), (d, d, h))
        first_bias = self.param("first_bias", nn.initializers.normal(0.1), (d, h))
        last = self.param("last", nn.initializers.normal(0.05), (d, h, out))
        last_bias = self.param("last_bias", _spread_bumps(self.bumps), (d, out))
        # All networks at once: latent i, its input j, hidden unit h, output o.
        parents = z[:, None, :] * jnp.tril(gates, -1)
        units = jnp.tanh(jnp.einsum("nij,ijh->nih", parents, first) + first_bias)
        values = jnp.einsum("nih,iho->nio", units, last) + last_bias
        scale, center = jnp.exp(values[..., 0]), values[..., 1]
        heights, widths, centers = jnp.split(values[..., 2:], 3, axis=-1)
        heights, widths = nn.softplus(heights), nn.softplus(widths)
        bumps = jnp.tanh(widths * (z[..., None] - centers))
        noise = scale * (z - center) + jnp.sum(heights * bumps, axis=-1)
        slope = scale + jnp.sum(heights * widths * (1.0 - bumps**2), axis=-1)
        return noise, jnp.log(slope)


def flow_log_density(noise: Float[Array, "n d"], log_slopes: Float[Array, "n d"]) -> Float[Array, " n"]:
    """``log p(z)`` in nats, from what :class:`GatedFlow` returns."""
    return jnp.sum(log_slopes - 0.5 * (noise**2 + LOG_2PI), axis=1)


def sample_gates(key: Key[Array, ""], logits: Float[Array, "d d"], n: int) -> Float[Array, "n d d"]:
    """Gates that are open with probability ``sigmoid(logits)``, drawn for every row, with a relaxed draw's gradient.

    Larger weights could undo a soft gate's attenuation; they cannot undo a gate that is 0 or 1.
    """
    draws = jax.random.logistic(key, (n, *logits.shape), logits.dtype) + logits
    soft = jax.nn.sigmoid(draws / HARDNESS)
    # Straight-through: the value is 0 or 1, the gradient that of the relaxed draw.
    return soft + jax.lax.stop_gradient((draws > 0).astype(soft.dtype) - soft)


def _spread_bumps(bumps: int):
    """Biases with which the map starts near the identity: low bumps at equal distances."""

    def init(key: Key[Array, ""], shape: tuple[int, int], dtype=jnp.float32) -> Float[Array, "d out"]:
        heights, widths = jnp.full(bumps, -3.0, dtype), jnp.full(bumps, 0.5, dtype)
        centers = jnp.linspace(-1.5, 1.5, bumps, dtype=dtype)
        return jnp.tile(jnp.concatenate([jnp.zeros(2, dtype), heights, widths, centers]), (shape[0], 1))

    return init
