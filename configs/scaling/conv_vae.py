"""A convolutional VAE of Fashion-MNIST: each fit uses all devices of all hosts and saves checkpoints.

Command: python -m experiments.run scaling/conv_vae --scale paper
Expected result: the loss is well below that of the average image, and the held-out loss is near the training loss.
Expected time: small 5 min on two CPU cores; paper hours there, or minutes on an accelerator.
"""

import dataclasses

from experiments.scaling.conv_vae import FashionVAE

DATA = ("fashion_mnist",)
REPRODUCE = "smoke"

PAPER = FashionVAE()
_TINY = dataclasses.replace(PAPER, latents=8, channels=(8, 16), hidden=64, batch_size=64)
SCALES = {
    "smoke": dataclasses.replace(_TINY, fits=1, steps=20, images=1024, held_out=128, save_steps=10),
    "small": dataclasses.replace(_TINY, fits=2, steps=2000, images=10_000),
    "paper": PAPER,
}
