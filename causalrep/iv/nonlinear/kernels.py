"""Gaussian product kernels with one lengthscale per input, and their Nystroem features."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.linalg import eigh, squared_distances

# Rows that enter the median distance. Its sampling error at 500 rows is too small to matter for an estimate.
MEDIAN_ROWS = 500


def gaussian_kernel(
    a: Float[Array, "n d"], b: Float[Array, "m d"], lengthscale: Float[Array, " d"]
) -> Float[Array, "n m"]:
    """``exp(-sum_j (a_j - b_j)^2 / (2 s_j^2))``: the product over inputs of Gaussian kernels."""
    # Distances do not depend on the origin; near it the expanded square loses no digits.
    center = jnp.mean(b, axis=0)
    return jnp.exp(-0.5 * squared_distances((a - center) / lengthscale, (b - center) / lengthscale))


def median_lengthscale(x: Float[Array, "n d"], *, rows: int = MEDIAN_ROWS) -> Float[Array, " d"]:
    """The median distance between two rows, input by input.

    Distances of zero are left out, so that an input with few values (a binary one above all) keeps a lengthscale above
    zero; for continuous inputs nothing changes. A constant input has lengthscale 1.

    Args:
        x: Inputs, in random order.
        rows: Number of first rows that are compared.
    """
    # Without the barrier XLA sorts the distances of a constant x while it compiles, which takes minutes.
    x = jax.lax.optimization_barrier(x[:rows])
    first, second = np.triu_indices(x.shape[0], k=1)
    distances = jnp.abs(x[first] - x[second])
    median = jnp.nanmedian(jnp.where(distances > 0, distances, jnp.nan), axis=0)
    return jnp.where(jnp.isfinite(median), median, 1.0)


class Nystroem(NamedTuple):
    """A finite-dimensional approximation of a Gaussian kernel: its projection on the kernels of a few landmarks.

    Attributes:
        landmarks: Rows of the inputs (D, d).
        lengthscale: One lengthscale per input (d,).
        projection: ``K_LL^(-1/2)`` (D, D), zero along directions that are rounding error.
    """

    landmarks: Float[Array, "D d"]
    lengthscale: Float[Array, " d"]
    projection: Float[Array, "D D"]


def nystroem(landmarks: Float[Array, "D d"], lengthscale: Float[Array, " d"]) -> Nystroem:
    """Features whose inner products equal the kernel on the landmarks and approximate it elsewhere.

    Source: Williams and Seeger (2000), "Using the Nystroem method to speed up kernel machines".
    """
    values, vectors = eigh(gaussian_kernel(landmarks, landmarks, lengthscale))
    keep = values > landmarks.shape[0] * float(jnp.finfo(values.dtype).eps) * values[-1]
    scale = jnp.where(keep, 1.0 / jnp.sqrt(jnp.where(keep, values, 1.0)), 0.0)
    return Nystroem(landmarks, lengthscale, vectors * scale)


def nystroem_features(map_: Nystroem, x: Float[Array, "n d"]) -> Float[Array, "n D"]:
    """The features of rows ``x``."""
    return gaussian_kernel(x, map_.landmarks, map_.lengthscale) @ map_.projection
