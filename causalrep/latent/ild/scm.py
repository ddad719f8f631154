"""Latent causal models that are affine and autoregressive, one per domain (ILD, Zhou et al. 2024, section 3).

In domain d, ``f_d(eps) = (I - L_d)^{-1} S_d eps + b_d`` with ``L_d`` strictly lower triangular and ``S_d`` diagonal, so
component j of the inverse depends only on components up to j.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.precision import full_products


class LatentSCM(NamedTuple):
    """The latent mechanisms F = {f_d} of all domains.

    Attributes:
        weights: L_d, strictly lower triangular (domains, m, m); entry (j, i) is the effect of latent i on j.
        scales: Diagonals of S_d (domains, m), none of them zero; positive for monotone mechanisms.
        shifts: b_d (domains, m), added after the equations are solved.
    """

    weights: Float[Array, "domains m m"]
    scales: Float[Array, "domains m"]
    shifts: Float[Array, "domains m"]


def latents_of_noise(scm: LatentSCM, noise: Float[Array, "n m"]) -> Float[Array, "n domains m"]:
    """``f_d(eps)`` for every row in every domain."""
    return jnp.einsum("ni,dji->ndj", noise, noise_to_latent(scm)) + scm.shifts


def noise_of_latents(scm: LatentSCM, z: Float[Array, "n e m"]) -> Float[Array, "n domains m"]:
    """``f_d^{-1}(z)`` for every row in every domain.

    Args:
        scm: The mechanisms.
        z: Latents; e is 1, or the number of domains if each domain has latents of its own.
    """
    maps = latent_to_noise(scm)
    offsets = jnp.einsum("dji,di->dj", maps, scm.shifts)
    if z.shape[1] > 1:
        return jnp.einsum("ndi,dji->ndj", z, maps) - offsets
    # One matrix product for all domains, since many small ones are slow.
    domains, m = offsets.shape
    together = z[:, 0] @ maps.reshape(domains * m, m).T
    return together.reshape(len(z), domains, m) - offsets


@full_products
def noise_to_latent(scm: LatentSCM) -> Float[Array, "domains m m"]:
    """``(I - L_d)^{-1} S_d``, lower triangular."""
    unit = jnp.eye(scm.weights.shape[-1], dtype=scm.weights.dtype)
    inverse = jax.vmap(lambda a: jax.scipy.linalg.solve_triangular(a, unit, lower=True, unit_diagonal=True))
    return inverse(unit - scm.weights) * scm.scales[:, None, :]


def latent_to_noise(scm: LatentSCM) -> Float[Array, "domains m m"]:
    """``S_d^{-1} (I - L_d)``, lower triangular."""
    unit = jnp.eye(scm.weights.shape[-1], dtype=scm.weights.dtype)
    return (unit - scm.weights) / scm.scales[:, :, None]


def scm_of_maps(maps: Float[Array, "domains m m"], shifts: Float[Array, "domains m"]) -> LatentSCM:
    """The model whose ``f_d(eps) = maps_d eps + shifts_d``, for lower triangular maps."""
    # f_d = (I - L)^{-1} S, so the diagonal of the map is S and L = I - S f_d^{-1}.
    scales = jnp.diagonal(maps, axis1=1, axis2=2)
    unit = jnp.eye(maps.shape[-1], dtype=maps.dtype)
    inverse = jax.vmap(lambda a: jax.scipy.linalg.solve_triangular(a, unit, lower=True))(maps)
    return LatentSCM(jnp.tril(unit - scales[:, :, None] * inverse, -1), scales, shifts)


def intervention_set(scm: LatentSCM, tolerance: float = 1e-9) -> Array:
    """Whether each latent is intervened on (m,), that is, its component of ``f_d^{-1}`` differs between domains."""
    maps = latent_to_noise(scm)
    offsets = jnp.einsum("dji,di->dj", maps, scm.shifts)[:, :, None]
    rows = jnp.concatenate([maps, offsets], axis=2)
    return jnp.any(jnp.abs(rows - rows[:1]) > tolerance, axis=(0, 2))
