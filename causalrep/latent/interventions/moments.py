"""First and second moments of every environment in the space of the latents, and the estimators that use only them."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from causalrep.base.estimator import Estimator
from causalrep.errors import InputError
from causalrep.latent.environments.door import as_environments, check_one_per_latent, column_scaling
from causalrep.linalg import spd_solve
from causalrep.precision import full_products


class Moments(NamedTuple):
    """What linear methods need of the data; environment 0 is the observational one.

    Attributes:
        basis: V (p, d), orthonormal: the column space of the mixing.
        mean: Means of ``V' x`` (environments, d).
        covariance: Covariances of ``V' x`` (environments, d, d).
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
        mean: Means of the observations.
        covariance: Covariances of the observations.
        latents: d, the rank of the mixing.
    """
    chex.assert_shape(covariance, (*mean.shape, mean.shape[-1]))
    basis = jnp.linalg.eigh(jnp.sum(covariance, axis=0))[1][:, -latents:]
    return Moments(basis, mean @ basis, jnp.swapaxes(basis, 0, 1) @ covariance @ basis)


@full_products
def sample_moments(x: Float[Array, "environments n p"], latents: int) -> Moments:
    """Moments of samples of equal size."""
    mean = jnp.mean(x, axis=1)
    center = x - mean[:, None]
    return moments_of(mean, jnp.swapaxes(center, 1, 2) @ center / x.shape[1], latents)


def ragged_moments(x: Float[np.ndarray, "n p"], environment: Int[np.ndarray, " n"], latents: int) -> Moments:
    """Moments of samples of any sizes: rows with the code of their environment, from 0."""
    parts = [x[environment == code] for code in range(int(environment.max()) + 1)]
    mean = np.stack([part.mean(axis=0) for part in parts])
    covariance = np.stack([np.cov(part.T, bias=True).reshape(x.shape[1], x.shape[1]) for part in parts])
    return moments_of(jnp.asarray(mean), jnp.asarray(covariance), latents)


class LinearInterventional(Estimator):
    """Abstract base of the closed forms: moments of the environments in, a linear encoder ``unmixing_`` out."""

    latents: int
    unmixing_: np.ndarray

    def _moments(self, X: Any, environment: Any, observational: Any) -> Moments:
        x, self.columns_, codes, labels = as_environments(X, environment, observational)
        check_one_per_latent(self.latents, labels)
        if x.shape[1] < self.latents:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"at least {self.latents}, one per latent")
        self.environments_, self.n_features_in_, self.n_obs_ = labels, x.shape[1], len(x)
        # In standard deviations, so that ranks and the sizes of latents do not depend on units.
        self._scale = column_scaling("X", x, self.columns_.names).std
        moments = ragged_moments(x / self._scale, codes, self.latents)
        least = np.linalg.eigvalsh(np.asarray(moments.covariance)).min(axis=1)
        total = np.trace(np.asarray(moments.covariance), axis1=1, axis2=2)
        singular = least <= 1e-10 * total
        if singular.any():
            label = labels[int(np.argmax(singular))]
            raise InputError(
                "X",
                found=f"fewer than {self.latents} dimensions in environment {label!r}",
                expected=f"{self.latents}, as many as latents",
            )
        return moments

    def transform(self, X: Any) -> Float[np.ndarray, "n latents"]:
        """Latents of rows."""
        unmixing = self.unmixing_
        return self.columns_.match(X) @ unmixing.T

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("Observational environment", repr(self.environments_[0])),
            ("Interventional environments", ", ".join(map(repr, self.environments_[1:]))),
            ("Rows", str(self.n_obs_)),
        ]


def latent_names(latents: int) -> list[str]:
    """``["z0", "z1", ...]``, the names of the latents in summaries."""
    return [f"z{i}" for i in range(latents)]


def listed_parents(graph: np.ndarray) -> list[str]:
    """For every latent the names of its parents; entry (i, j) of the graph is an edge ``i -> j``."""
    names = np.array(latent_names(len(graph)))
    return [", ".join(names[column]) for column in graph.T]
