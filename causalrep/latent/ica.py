"""Independent component analysis by FastICA, with restarts and with weights on the rows.

Weights let one program serve samples of different size (padding has weight zero) and bootstrap samples (counts).

Source: Hyvarinen (1999), the symmetric algorithm with the log cosh contrast, as in scikit-learn.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

# E log cosh of a standard normal variable.
GAUSSIAN_LOG_COSH = 0.37456720749143


class ICA(NamedTuple):
    """Independent components of the restart with the largest negentropy gap.

    Attributes:
        unmixing: M (d, p): sources are ``M (x - mean)``, with unit variance by the divisor n - 1.
        gap: For every restart (restarts,), the sum over sources of the squared distance of their mean log cosh from a
            Gaussian's. The algorithm is not convex, and a low gap is a poor optimum.
    """

    unmixing: Float[Array, "d p"]
    gap: Float[Array, " restarts"]


def fast_ica(
    key: Key[Array, ""],
    x: Float[Array, "n p"],
    components: int,
    *,
    weights: Float[Array, " n"] | None = None,
    restarts: int = 20,
    iterations: int = 200,
) -> ICA:
    """Independent components of the leading principal components of x.

    Args:
        key: Random key of the starts.
        x: Rows.
        components: d, at most p.
        weights: Non-negative weight of each row; default 1. Their sum counts as the number of rows.
        restarts: Number of random starts.
        iterations: Iterations per start. Convergence is quadratic, so 200 are ample.
    """
    weights = jnp.ones(len(x), x.dtype) if weights is None else weights
    chex.assert_shape(weights, (len(x),))
    total = jnp.sum(weights)
    share = weights / total
    center = x - share @ x
    values, vectors = jnp.linalg.eigh((center * share[:, None]).T @ center)
    whitening = (vectors[:, -components:] / jnp.sqrt(values[-components:])).T
    white = center @ whitening.T

    def step(rotation: Array, _: None) -> tuple[Array, None]:
        # Newton's step for the contrast log cosh: w <- E[z g(w'z)] - E[g'(w'z)] w with g = tanh, g' = 1 - tanh^2.
        slope = jnp.tanh(white @ rotation.T)
        curvature = share @ (1.0 - slope**2)
        return _orthogonal((slope * share[:, None]).T @ white - curvature[:, None] * rotation), None

    def start(key: Key[Array, ""]) -> tuple[Array, Array]:
        first = _orthogonal(jax.random.normal(key, (components, components), x.dtype))
        rotation, _ = jax.lax.scan(step, first, None, length=iterations)
        sources = white @ rotation.T
        log_cosh = jnp.logaddexp(sources, -sources) - jnp.log(2.0)
        return rotation, jnp.sum((share @ log_cosh - GAUSSIAN_LOG_COSH) ** 2)

    rotations, gaps = jax.vmap(start)(jax.random.split(key, restarts))
    unmixing = rotations[jnp.argmax(gaps)] @ whitening
    # Sources have unit variance by the divisor n; this makes it n - 1.
    return ICA(unmixing * jnp.sqrt((total - 1.0) / total), gaps)


def _orthogonal(a: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """``(a a')^{-1/2} a``."""
    values, vectors = jnp.linalg.eigh(a @ a.T)
    floor = jnp.finfo(a.dtype).tiny
    return vectors / jnp.sqrt(jnp.maximum(values, floor)) @ vectors.T @ a
