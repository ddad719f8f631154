"""Networks from images to codes and back."""

from typing import Literal

import flax.linen as nn
from jaxtyping import Array, Float

from causalrep.nn.images.convolution import Conv
from causalrep.nn.images.upsample import ConvTranspose
from causalrep.nn.mlp import trained_mlp

Network = Literal["mlp", "conv"]
HIDDEN = (256, 128)
# Height and width, and channels, after three strided convolutions of 28 x 28 pixels.
SMALL, CHANNELS = 2, 64


class ImageEncoder(nn.Module):
    """Images to codes.

    Attributes:
        latents: Dimension of the code.
        network: ``"mlp"``, for any size; ``"conv"``, three convolutions, for 28 x 28 pixels.
    """

    latents: int
    network: Network = "mlp"

    @nn.compact
    def __call__(self, x: Float[Array, "n height width channels"]) -> Float[Array, "n latents"]:
        """Codes of the images."""
        if self.network == "mlp":
            return trained_mlp((*HIDDEN, self.latents))(x.reshape(len(x), -1))
        for channels, padding in ((32, 0), (CHANNELS, 1), (CHANNELS, 0)):
            x = nn.relu(Conv(channels, (4, 4), (2, 2), padding)(x))
        return nn.Dense(self.latents)(x.reshape(len(x), -1))


class ImageDecoder(nn.Module):
    """Codes to images with values in (0, 1); mirrors the layers of :class:`ImageEncoder`.

    Attributes:
        shape: Height, width and channels.
        network: See :class:`ImageEncoder`.
    """

    shape: tuple[int, int, int]
    network: Network = "mlp"

    @nn.compact
    def __call__(self, z: Float[Array, "n latents"]) -> Float[Array, "n height width channels"]:
        """Images of the codes."""
        height, width, channels = self.shape
        if self.network == "mlp":
            x = trained_mlp((*HIDDEN[::-1], height * width * channels))(z)
            return nn.sigmoid(x).reshape(-1, *self.shape)
        x = nn.relu(nn.Dense(SMALL * SMALL * CHANNELS)(z).reshape(-1, SMALL, SMALL, CHANNELS))
        x = nn.relu(ConvTranspose(CHANNELS, (4, 4), "VALID")(x))
        # Padding of the dilated input: kernel - 1 - the padding of the encoder, 4 - 1 - 1 = 2.
        x = nn.relu(ConvTranspose(32, (4, 4), ((2, 2), (2, 2)))(x))
        return nn.sigmoid(ConvTranspose(channels, (6, 6), "VALID")(x))
