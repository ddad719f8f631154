"""Networks that more than one method uses, as flax Linen modules behind a training objective."""

from causalrep.nn.conv_vae import ConvVAE, vae_objective
from causalrep.nn.discrepancies import linear_mmd, rbf_mmd, sinkhorn_wasserstein
from causalrep.nn.flows import Flow
from causalrep.nn.mlp import MLP
from causalrep.nn.parallel import ParallelMLPs
from causalrep.nn.products import dense_product

__all__ = [
    "MLP",
    "ConvVAE",
    "Flow",
    "ParallelMLPs",
    "dense_product",
    "linear_mmd",
    "rbf_mmd",
    "sinkhorn_wasserstein",
    "vae_objective",
]
