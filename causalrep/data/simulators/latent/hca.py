"""A simulator of hierarchical latent causal factors that domains share, for tests of HCA.

The simulation is our own, because the paper of HCA has none.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class HCASample(NamedTuple):
    """Rows of every domain and the true directions.

    Attributes:
        x: Observations (domains, n, p).
        directions: Rows of the mixing's pseudo-inverse after Gram-Schmidt orthonormalization from the root on (d, p).
            With a complete graph this is what is identified, up to sign.
        weights: A_k of ``z = A_k z + b_k eps``, strictly lower triangular (domains, d, d).
    """

    x: Float[Array, "domains n p"]
    directions: Float[Array, "d p"]
    weights: Float[Array, "domains d d"]


def hca_simulation(
    key: jax.Array,
    *,
    n: int,
    domains: int = 4,
    latents: int = 3,
    observed: int = 6,
    inexactness: float = 0.0,
) -> HCASample:
    """Laplace noise through a complete graph with random weights in each domain, and one random linear mixing.

    Args:
        key: Random key.
        n: Rows per domain.
        domains: Number K of domains.
        latents: Number d of latents.
        observed: Number p of observed variables, at least d.
        inexactness: Scale of a Gaussian matrix, different in each domain, that mixes the noises. At 0 the model of HCA
            holds exactly.

    >>> from causalrep.keys import root
    >>> hca_simulation(root(0), n=100).x.shape
    (4, 100, 6)
    """
    keys = jax.random.split(key, 7)
    shape = (domains, latents, latents)
    noise = jax.random.laplace(keys[0], (domains, n, latents)) / jnp.sqrt(2.0)
    blend = jnp.eye(latents) + inexactness * jax.random.normal(keys[1], shape)
    signs = jnp.where(jax.random.bernoulli(keys[2], 0.5, shape), 1.0, -1.0)
    weights = jnp.tril(signs * jax.random.uniform(keys[3], shape, minval=0.5, maxval=2.0), -1)
    scales = jax.random.uniform(keys[4], (domains, latents), minval=0.5, maxval=2.0)
    inside = jnp.einsum("kni,kji->knj", noise, blend) * scales[:, None, :]
    unit = jnp.eye(latents)
    # z_k = (I - A_k)^-1 b_k blend_k eps.
    solve = jax.vmap(lambda a: jax.scipy.linalg.solve_triangular(unit - a, unit, lower=True, unit_diagonal=True))
    z = jnp.einsum("kni,kji->knj", inside, solve(weights))
    basis = jnp.linalg.qr(jax.random.normal(keys[5], (observed, latents)))[0]
    mixing = basis @ (unit + 0.3 * jax.random.normal(keys[6], (latents, latents)))
    # QR of the transposed pseudo-inverse is Gram-Schmidt on its rows, from the root on.
    directions = jnp.linalg.qr(jnp.linalg.pinv(mixing).T)[0].T
    return HCASample(jnp.einsum("kni,pi->knp", z, mixing), directions, weights)
