"""Mean correlation coefficients (MCC): are the latents recovered up to order and scale, or up to an affine map?

Rows must be exchangeable: the assignment of codes to latents is chosen on the even rows and scored on the odd ones. On
the rows that chose the assignment, even unrelated codes look related, the more so the more latents there are.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from causalrep.linalg import min_norm_solve

Kind = Literal["pearson", "spearman"]


def mcc(
    z: Float[Array, "n d"], z_hat: Float[Array, "n k"], kind: Kind = "pearson", *, held_out: bool = True
) -> Float[Array, ""]:
    """Mean correlation coefficient: the best one-to-one match of codes to latents, 1 if the match is perfect.

    It tests recovery up to permutation and scale (Pearson) or up to permutation and a monotone map of each latent
    (Spearman). Compare it with :func:`causalrep.metrics.chance_level`: a random rotation of 5 independent latents has
    an MCC of 0.73.

    Args:
        z: True latents.
        z_hat: Codes, at least as many as latents; surplus codes stay unmatched.
        kind: ``"spearman"`` correlates ranks.
        held_out: Choose the match on even rows and score it on odd ones; ``False`` uses all rows for both.

    Returns:
        The mean over latents of the absolute correlation with the matched code. A constant column has correlation 0.
    """
    (z_fit, codes_fit), (z_score, codes_score) = halves(z, z_hat) if held_out else ((z, z_hat), (z, z_hat))
    latents, matched = optax.assignment.hungarian_algorithm(-correlations(z_fit, codes_fit, kind))
    return jnp.mean(correlations(z_score, codes_score, kind)[latents, matched])


def weak_mcc(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], kind: Kind = "pearson") -> Float[Array, ""]:
    """MCC after the best affine map of the codes, fitted by least squares on the even rows; scored on the odd ones.

    It tests recovery up to an affine map: every rotation of the latents scores 1.

    Args:
        z: True latents.
        z_hat: Any number of codes.
        kind: ``"spearman"`` correlates ranks.
    """
    (z_fit, codes_fit), (z_score, codes_score) = halves(z, z_hat)
    center = jnp.mean(codes_fit, axis=0)
    slope = min_norm_solve(codes_fit - center, z_fit - jnp.mean(z_fit, axis=0))
    return jnp.mean(jnp.diagonal(correlations(z_score, (codes_score - center) @ slope, kind)))


def correlations(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], kind: Kind = "pearson") -> Float[Array, "d k"]:
    """Absolute correlation of every latent with every code; 0 where a column is constant."""
    if kind == "spearman":
        z, z_hat = (jax.scipy.stats.rankdata(block, axis=0).astype(block.dtype) for block in (z, z_hat))
    return jnp.abs(_standardized(z).T @ _standardized(z_hat)) / len(z)


def halves(*blocks: Float[Array, "n _"]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Even rows, to fit on, and odd rows, to score on."""
    return tuple(block[::2] for block in blocks), tuple(block[1::2] for block in blocks)


def _standardized(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    x = x - jnp.mean(x, axis=0)
    scale = jnp.sqrt(jnp.mean(x**2, axis=0))
    return x / jnp.where(scale > 0, scale, 1.0)
