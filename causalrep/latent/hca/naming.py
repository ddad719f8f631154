"""Names for the latents of HCA: the observed variable that explains most of each, given the latents before it."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.latent.hca.model import Hierarchy
from causalrep.linalg import min_norm_solve


class Named(NamedTuple):
    """Latents on the scales of the variables that they are named after.

    Attributes:
        variable: For each latent the observed variable with the largest R^2 (d,); one variable may name several
            latents.
        r2: R^2 of each latent given each variable and the latents before it (d, p).
        unmixing: Adjusted H (d, p), within the freedom that identification allows.
        triangular: Adjusted B_k (domains, d, d).
    """

    variable: Int[Array, " d"]
    r2: Float[Array, "d p"]
    unmixing: Float[Array, "d p"]
    triangular: Float[Array, "domains d d"]


def name_latents(latents: Hierarchy, x: Float[Array, "n p"], weights: Float[Array, " n"] | None = None) -> Named:
    """Name each latent after one variable.

    Latent i is regressed on a constant, one variable and the latents before it; the variable with the largest R^2 names
    it. The part of the latents before it is then subtracted, and the latent is divided by the variable's coefficient.

    Args:
        latents: The latents, root first.
        x: Pooled rows of the domains.
        weights: Weights of the rows; default 1.
    """
    root = jnp.ones(len(x), x.dtype) if weights is None else jnp.sqrt(weights)
    share = root**2 / jnp.sum(root**2)
    z = x @ latents.unmixing.T
    x, z = ((block - share @ block) * root[:, None] for block in (x, z))
    d = z.shape[1]
    variables, r2, change = [], [], jnp.zeros((d, d), z.dtype)
    for i in range(d):
        slopes = [min_norm_solve(jnp.column_stack([x[:, c], z[:, :i]]), z[:, i]) for c in range(x.shape[1])]
        slopes = jnp.stack(slopes)
        fitted = slopes[:, :1] * x.T + slopes[:, 1:] @ z[:, :i].T
        explained = 1.0 - jnp.sum((z[:, i] - fitted) ** 2, axis=1) / jnp.sum(z[:, i] ** 2)
        best = jnp.argmax(explained)
        row = jnp.zeros(d, z.dtype).at[i].set(1.0).at[:i].set(-slopes[best, 1:])
        change = change.at[i].set(row / slopes[best, 0])
        variables.append(best)
        r2.append(explained)
    # Latents become T z, so H becomes T H; eps = B z = B T^{-1} (T z).
    inverse = jnp.linalg.solve(change, jnp.eye(d, dtype=z.dtype))
    return Named(jnp.stack(variables), jnp.stack(r2), change @ latents.unmixing, jnp.tril(latents.triangular @ inverse))
