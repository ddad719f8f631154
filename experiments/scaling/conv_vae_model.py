"""A convolutional variational autoencoder of images and its objective."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, UInt8

from causalrep.nn.images.convolution import Conv
from causalrep.nn.images.upsample import ConvTranspose
from causalrep.training.objective import Objective


class ConvVAE(nn.Module):
    """A VAE (Kingma and Welling 2014) with two strided convolutions as encoder and their mirror image as decoder.

    It computes in the dtype of the input and the parameters given to ``apply``.

    Attributes:
        latents: Dimension of the code z.
        channels: Channels of the two convolutions.
        hidden: Width of the dense layers between convolutions and code.
        remat: Whether the backward pass computes the values of the convolutions again instead of keeping them.
    """

    latents: int = 16
    channels: tuple[int, int] = (32, 64)
    hidden: int = 256
    remat: bool = False

    @nn.compact
    def __call__(
        self, image: Float[Array, "n height width"], key: jax.Array
    ) -> tuple[Float[Array, "n height width"], Float[Array, "n k"], Float[Array, "n k"]]:
        """Returns pixel logits decoded from a draw of the code, and the mean and log variance of the code.

        Args:
            image: Pixels in [0, 1]; height and width are multiples of 4.
            key: Random key for the code.
        """
        dense = nn.Dense
        conv = nn.remat(Conv) if self.remat else Conv
        transposed = nn.remat(ConvTranspose) if self.remat else ConvTranspose
        n, height, width = image.shape
        small = (height // 4, width // 4)
        x = image[..., None]
        for channels in self.channels:
            x = nn.gelu(conv(channels, (3, 3), strides=(2, 2))(x))
        x = nn.gelu(dense(self.hidden)(x.reshape(n, -1)))
        mean, log_variance = jnp.split(dense(2 * self.latents)(x), 2, axis=-1)
        noise = jax.random.normal(key, mean.shape).astype(mean.dtype)
        z = mean + jnp.exp(0.5 * log_variance) * noise
        x = nn.gelu(dense(self.hidden)(z))
        x = nn.gelu(dense(small[0] * small[1] * self.channels[1])(x))
        x = x.reshape(n, *small, self.channels[1])
        x = nn.gelu(transposed(self.channels[0])(x))
        logits = transposed(1)(x)
        return logits[..., 0], mean, log_variance


def vae_objective(module: ConvVAE, beta: float = 1.0) -> Objective:
    """The negative evidence lower bound of Bernoulli pixels, in nats per image.

    Args:
        module: The autoencoder. Batches are mappings with ``"image"``, uint8 of shape (n, height, width).
        beta: Weight of the Kullback-Leibler term (Higgins et al. 2017); 1 gives the bound itself.

    Returns:
        An objective whose metrics are ``"reconstruction"`` and ``"kl"``, both in nats per image.
    """

    def init(key: jax.Array, batch: Mapping[str, UInt8[Array, "n height width"]]) -> Any:
        draw, weights = jax.random.split(key)
        return module.init(weights, _pixels(batch["image"][:1], jnp.float32), draw)

    def loss(params: Any, key: jax.Array, batch: Mapping[str, UInt8[Array, "n height width"]]):
        pixels = _pixels(batch["image"], jax.tree.leaves(params)[0].dtype)
        logits, mean, log_variance = (value.astype(jnp.float32) for value in module.apply(params, pixels, key))
        target = pixels.astype(jnp.float32)
        reconstruction = optax.sigmoid_binary_cross_entropy(logits, target).sum((1, 2)).mean()
        # KL(N(mean, variance) || N(0, 1)) of each latent, summed over the latents.
        kl = 0.5 * (jnp.square(mean) + jnp.exp(log_variance) - log_variance - 1.0).sum(1).mean()
        return reconstruction + beta * kl, {"reconstruction": reconstruction, "kl": kl}

    return Objective(init, loss)


def _pixels(image: UInt8[Array, "n height width"], dtype: Any) -> Float[Array, "n height width"]:
    return image.astype(dtype) / jnp.asarray(255, dtype)
