"""First and second moments of every environment, in the space that the latents span."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.linalg import spd_solve
from causalrep.precision import full_products


class Moments(NamedTuple):
    """What linear methods need of the data: environment 0 is observational.

    Attributes:
        basis: V (p, d), orthonormal: the column space of the mixing.
        mean: Means of ``V' x`` (environments, d).
        covariance: Its covariances (environments, d, d).
    """

    basis: Float[Array, "p d"]
    mean: Float[Array, "environments d"]
    covariance: Float[Array, "environments d d"]

    def precision(self) -> Float[Array, "environments d d"]:
        """The inverse of every covariance."""
        unit = jnp.eye(self.covariance.shape[-1], dtype=self.covariance.dtype)
        return jax.lax.map(lambda covariance: spd_solve(covariance, unit), self.covariance)


@full_products
def moments_of(
    mean: Float[Array, "environments p"], covariance: Float[Array, "environments p p"], latents: int
) -> Moments:
    """Moments in the leading eigenvectors of the sum of the covariances.

    Args:
        mean: Of the observations.
        covariance: Of the observations.
        latents: d, the rank of the mixing.
    """
    basis = jnp.linalg.eigh(jnp.sum(covariance, axis=0))[1][:, -latents:]
    return Moments(basis, mean @ basis, jnp.swapaxes(basis, 0, 1) @ covariance @ basis)


@full_products
def sample_moments(x: Float[Array, "environments n p"], latents: int) -> Moments:
    """Moments of samples of equal size."""
    mean = jnp.mean(x, axis=1)
    center = x - mean[:, None]
    return moments_of(mean, jnp.swapaxes(center, 1, 2) @ center / x.shape[1], latents)


def ragged_moments(x: np.ndarray, environment: np.ndarray, latents: int) -> Moments:
    """Moments of rows with a code of their environment, from 0, in samples of any sizes."""
    parts = [x[environment == code] for code in range(int(environment.max()) + 1)]
    mean = np.stack([part.mean(axis=0) for part in parts])
    covariance = np.stack([np.cov(part.T, bias=True).reshape(x.shape[1], x.shape[1]) for part in parts])
    return moments_of(jnp.asarray(mean), jnp.asarray(covariance), latents)
