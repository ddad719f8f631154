"""Networks that more than one method uses, as flax Linen modules behind a training objective."""

from causalrep.nn.conv_vae import ConvVAE, vae_objective
from causalrep.nn.mlp import MLP

__all__ = ["MLP", "ConvVAE", "vae_objective"]
