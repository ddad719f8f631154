"""Networks that more than one method uses, as flax Linen modules behind a training objective."""

from causalrep.nn.discrepancies import linear_mmd, rbf_mmd, sinkhorn_wasserstein
from causalrep.nn.flows.monotone import Flow
from causalrep.nn.images.convolution import Conv, convolve
from causalrep.nn.images.upsample import ConvTranspose, conv_transpose_2x
from causalrep.nn.mlp import MLP, trained_mlp
from causalrep.nn.parallel import ParallelMLPs
from causalrep.nn.products import dense_product

__all__ = [
    "MLP",
    "Conv",
    "ConvTranspose",
    "Flow",
    "ParallelMLPs",
    "conv_transpose_2x",
    "convolve",
    "dense_product",
    "linear_mmd",
    "rbf_mmd",
    "sinkhorn_wasserstein",
    "trained_mlp",
]
