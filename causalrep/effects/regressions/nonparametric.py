"""Nuisance regressions without a linear form: kernel ridge and nearest neighbors.

Frozen dataclasses with pure ``fit`` and ``predict``, as in ``causalrep.effects.regressions.linear``. Both keep all n
rows, with weight 0 for those left out, so that shapes do not depend on the data. Kernel ridge costs O(n^3) time and
O(n^2) memory.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.base.domains import Domain, Flag, Optional, Real, Several, Whole, check_fields
from causalrep.effects.regressions.linear import generalized_cv, weighted_scale
from causalrep.linalg import eigh, squared_distances

# Squared distances that differ by less than so many roundings of the largest one are equal.
_SAME_DISTANCE = 64


class KernelParams(NamedTuple):
    """A kernel expansion: ``intercept + k(x, centers) coefficients``.

    Attributes:
        intercept: Weighted mean of the target.
        coefficients: One per training row (n,).
        centers: Standardized training rows (n, d).
        mean: Means of the columns (d,).
        spread: Standard deviations of the columns (d,), infinite for a constant one.
    """

    intercept: Float[Array, ""]
    coefficients: Float[Array, " n"]
    centers: Float[Array, "n d"]
    mean: Float[Array, " d"]
    spread: Float[Array, " d"]


@dataclass(frozen=True)
class KernelRidge:
    """Kernel ridge regression, Gaussian kernel ``exp(-|x - x'|^2 / (2 b^2 d))`` on standardized columns.

    The mean squared distance of standardized rows is 2d, so that ``bandwidth = 1`` sets the typical exponent to -1.

    Attributes:
        bandwidth: The bandwidth b, in standard deviations.
        penalty: Weight of the squared norm, relative to the mean squared error; None chooses it by generalized
            cross-validation.
        candidates: Penalties to choose from.
    """

    bandwidth: float = 1.0
    penalty: float | None = None
    candidates: tuple[float, ...] = field(default=tuple(10.0 ** (k / 2) for k in range(-14, 3)), repr=False)
    # The kernel matrix of repeated rows is singular, so that a penalty of 0 would divide by 0.
    _domains: ClassVar[dict[str, Domain]] = {
        "bandwidth": Real(above=0),
        "penalty": Optional(Real(above=0)),
        "candidates": Several(Real(above=0), least=1),
    }

    def __post_init__(self) -> None:
        check_fields(self)

    def fit(self, x: Float[Array, "n d"], y: Float[Array, " n"], w: Float[Array, " n"]) -> KernelParams:
        """The expansion's coefficients, from the eigenvectors of the weighted kernel matrix."""
        scaled = weighted_scale(x, w)
        z = (x - scaled.mean) / scaled.spread
        root = jnp.sqrt(scaled.weights / scaled.rows)
        center = scaled.weights @ y / scaled.rows
        eigenvalues, vectors = eigh(root[:, None] * self._kernel(z, z, scaled.spread) * root)
        eigenvalues = jnp.maximum(eigenvalues, 0.0)
        rhs = vectors.T @ (root * (y - center))
        if self.penalty is None:
            candidates = jnp.asarray(self.candidates, x.dtype)
            penalty = generalized_cv(eigenvalues, rhs, jnp.zeros((), x.dtype), scaled.rows, candidates)
        else:
            penalty = jnp.asarray(self.penalty, x.dtype)
        coefficients = root * (vectors @ (rhs / (eigenvalues + penalty)))
        return KernelParams(center, coefficients, z, scaled.mean, scaled.spread)

    def predict(self, params: KernelParams, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Values of the expansion."""
        z = (x - params.mean) / params.spread
        return params.intercept + self._kernel(z, params.centers, params.spread) @ params.coefficients

    def _kernel(self, a, b, spread):
        columns = jnp.maximum(jnp.sum(jnp.isfinite(spread)), 1)
        return jnp.exp(-squared_distances(a, b) / (2 * self.bandwidth**2 * columns))


class NeighborParams(NamedTuple):
    """The training rows: scaled covariates (n, d), target (n,), weights (n,), and the scale (d,)."""

    x: Float[Array, "n d"]
    y: Float[Array, " n"]
    w: Float[Array, " n"]
    spread: Float[Array, " d"]


@dataclass(frozen=True)
class NearestNeighbours:
    """Mean of the k nearest training rows in Euclidean distance; equally near ones share the last places.

    Attributes:
        k: Number of neighbors.
        standardize: Divide columns by their spread first.
    """

    k: int = 5
    standardize: bool = True
    _domains: ClassVar[dict[str, Domain]] = {"k": Whole(), "standardize": Flag()}

    def __post_init__(self) -> None:
        check_fields(self)

    def fit(self, x: Float[Array, "n d"], y: Float[Array, " n"], w: Float[Array, " n"]) -> NeighborParams:
        """The training rows, scaled."""
        spread = weighted_scale(x, w).spread if self.standardize else jnp.ones(x.shape[1], x.dtype)
        return NeighborParams(x / spread, y, w, spread)

    def predict(self, params: NeighborParams, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Weighted mean of the neighbors' targets."""
        distances = squared_distances(x / params.spread, params.x)
        distances = jnp.where(params.w > 0, distances, jnp.inf)
        weights = jax.vmap(partial(neighbour_weights, k=self.k))(distances) * params.w
        return weights @ params.y / jnp.sum(weights, axis=1)


def neighbour_weights(distances: Float[Array, " n"], k: int) -> Float[Array, " n"]:
    """Weights (n,) of the k nearest of n rows, which sum to one: 1/k each; equally distant ones share what is left.

    Rounding does not tell equal distances apart, so that the order of the rows has no say. For the few neighbors that
    are wanted, k passes are many times faster on a CPU than the sort behind ``top_k``.

    Args:
        distances: Squared distances; infinite for rows that may not be taken.
        k: Number of neighbors; at least as many distances are finite.
    """

    def without_nearest(_: int, rest: Array) -> Array:
        return rest.at[jnp.argmin(rest)].set(jnp.inf)

    farthest = jnp.min(jax.lax.fori_loop(0, k - 1, without_nearest, distances))
    largest = jnp.max(jnp.where(jnp.isfinite(distances), jnp.abs(distances), 0.0))
    margin = _SAME_DISTANCE * jnp.finfo(distances.dtype).eps * largest
    nearer = distances < farthest - margin
    tied = jnp.abs(distances - farthest) <= margin
    left = (k - jnp.sum(nearer)) / jnp.sum(tied)
    return (nearer + left * tied) / k
