"""Linear nuisance regressions in closed form: least squares, ridge with its penalty chosen, logistic.

Each is a frozen dataclass with the pure functions ``fit(x, y, w) -> params`` and ``predict(params, x)``
(:class:`~causalrep.inference.crossfit.Learner`). The intercept is never penalized; a column that is constant among
the rows used gets no weight; weights are relative, so doubling all changes nothing.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.domains import Domain, Optional, Real, Several, Whole, check_fields
from causalrep.base.validation import CONSTANT
from causalrep.errors import InputError
from causalrep.linalg import logistic_regression, min_norm_solve, rank_tolerance, svd


class LinearParams(NamedTuple):
    """Intercept and slopes (d,) of a linear predictor."""

    intercept: Float[Array, ""]
    slopes: Float[Array, " d"]


class _Scaled(NamedTuple):
    """Weighted mean and spread of the columns, and relative weights with mean one over the rows used."""

    mean: Float[Array, " d"]
    spread: Float[Array, " d"]
    weights: Float[Array, " n"]
    rows: Float[Array, ""]


def weighted_scale(x: Float[Array, "n d"], w: Float[Array, " n"]) -> _Scaled:
    """Weighted moments of the columns; the spread of a constant column is infinite."""
    rows = jnp.sum(w > 0).astype(x.dtype)
    weights = w * rows / jnp.sum(w)
    mean = weights @ x / rows
    spread = jnp.sqrt(weights @ (x - mean) ** 2 / rows)
    size = jnp.sqrt(weights @ x**2 / rows)
    # Infinite, so that a constant column becomes zero when it is divided by its spread.
    return _Scaled(mean, jnp.where(spread > CONSTANT * size, spread, jnp.inf), weights, rows)


@dataclass(frozen=True)
class LeastSquares:
    """Least squares with an unpenalized intercept and slopes of minimum norm on standardized columns.

    The minimum norm selects one of many solutions when columns are collinear among the rows used, as they are in the
    treated arm of IHDP and ACIC.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]])
    >>> LeastSquares().fit(x, jnp.array([1.0, 3.0, 5.0]), jnp.ones(3)).slopes.round(4).tolist()
    [2.0, 0.0]
    """

    _domains: ClassVar[dict[str, Domain]] = {}

    def fit(self, x: Float[Array, "n d"], y: Float[Array, " n"], w: Float[Array, " n"]) -> LinearParams:
        """Intercept and slopes."""
        scaled = weighted_scale(x, w)
        root = jnp.sqrt(scaled.weights)
        center = scaled.weights @ y / scaled.rows
        varying = jnp.isfinite(scaled.spread)
        z = jnp.where(varying, (x - scaled.mean) / scaled.spread, 0.0)
        slopes = min_norm_solve(root[:, None] * z, root * (y - center)) / scaled.spread
        return LinearParams(center - scaled.mean @ slopes, slopes)

    def predict(self, params: LinearParams, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """``intercept + x slopes``."""
        return params.intercept + x @ params.slopes


@dataclass(frozen=True)
class Ridge:
    """Ridge regression on standardized columns: minimizes the mean squared error plus ``penalty * |slopes|^2``.

    Attributes:
        penalty: At least 0; None chooses it by generalized cross-validation (Golub, Heath and Wahba 1979) from
            ``candidates``.
        candidates: Penalties to choose from.
    """

    penalty: float | None = None
    candidates: tuple[float, ...] = field(default=tuple(10.0 ** (k / 2) for k in range(-10, 5)), repr=False)
    _domains: ClassVar[dict[str, Domain]] = {
        "penalty": Optional(Real(at_least=0)),
        "candidates": Several(Real(at_least=0), least=1),
    }

    def __post_init__(self) -> None:
        check_fields(self)

    def fit(self, x: Float[Array, "n d"], y: Float[Array, " n"], w: Float[Array, " n"]) -> LinearParams:
        """Intercept and slopes in the units of ``x``."""
        scaled = weighted_scale(x, w)
        root = jnp.sqrt(scaled.weights / scaled.rows)
        center = scaled.weights @ y / scaled.rows
        # The triangular factor of [x y] suffices; its last entry is the part of y outside the span of x.
        r = jnp.linalg.qr(
            jnp.column_stack([root[:, None] * (x - scaled.mean) / scaled.spread, root * (y - center)]), mode="r"
        )
        d = x.shape[1]
        u, s, vt = svd(r[:d, :d])
        rhs, rest = u.T @ r[:d, d], jnp.sum(r[d:, d] ** 2)
        if self.penalty is None:
            penalty = generalized_cv(s**2, rhs, rest, scaled.rows, jnp.asarray(self.candidates, x.dtype))
        else:
            penalty = jnp.asarray(self.penalty, x.dtype)
        cutoff = rank_tolerance(x.dtype) * s[0]
        inverse = jnp.where(s > cutoff, s / jnp.where(s > cutoff, s**2 + penalty, 1.0), 0.0)
        slopes = vt.T @ (inverse * rhs) / scaled.spread
        return LinearParams(center - scaled.mean @ slopes, slopes)

    def predict(self, params: LinearParams, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """``intercept + x slopes``."""
        return params.intercept + x @ params.slopes


def generalized_cv(
    eigenvalues: Float[Array, " d"],
    rhs: Float[Array, " d"],
    rest: Float[Array, ""],
    rows: Float[Array, ""],
    candidates: Float[Array, " c"],
) -> Float[Array, ""]:
    """The candidate with the lowest ``RSS / (1 - df / n)^2``; one degree of freedom is the intercept's.

    Args:
        eigenvalues: Eigenvalues of the smoother's Gram matrix, on the scale of the candidates.
        rhs: The target's coordinates on its eigenvectors.
        rest: Squared length of the target outside them.
        rows: Number of rows.
        candidates: Penalties to choose from.
    """

    def score(penalty):
        kept = eigenvalues / (eigenvalues + penalty)
        residual = rest + jnp.sum(((1.0 - kept) * rhs) ** 2)
        left = 1.0 - (1.0 + jnp.sum(kept)) / rows
        return jnp.where(left > 0, residual / jnp.where(left > 0, left, 1.0) ** 2, jnp.inf)

    return candidates[jnp.argmin(jax.vmap(score)(candidates))]


def check_probabilities(argument: str, learner: Any, y: np.ndarray) -> None:
    """Refuse a target (n,) with values outside [0, 1] for a regression that predicts probabilities."""
    if len(y) and not (np.min(y) >= 0 and np.max(y) <= 1):
        raise InputError(
            argument,
            found=f"{type(learner).__name__}, which predicts probabilities, for values from {y.min():g} to {y.max():g}",
            expected="an outcome from 0 to 1 (code two classes 0 and 1), or another regression",
        )


@dataclass(frozen=True)
class Logistic:
    """Logistic regression by Newton's method, for a target in [0, 1]; predictions are probabilities.

    Minimizes the mean log loss plus ``penalty / 2 * |slopes|^2`` on standardized columns. Every step is damped to
    lower the loss, so that nearly separated arms do not overflow.

    Attributes:
        penalty: 0 is maximum likelihood; the small default keeps the slopes finite if the arms are separated.
        max_steps: Largest number of Newton steps.
    """

    penalty: float = 1e-4
    max_steps: int = field(default=50, repr=False)
    probability: ClassVar[bool] = True  # what it predicts, and so what its target must be
    _domains: ClassVar[dict[str, Domain]] = {"penalty": Real(at_least=0), "max_steps": Whole()}

    def __post_init__(self) -> None:
        check_fields(self)

    def fit(self, x: Float[Array, "n d"], y: Float[Array, " n"], w: Float[Array, " n"]) -> LinearParams:
        """Intercept and slopes of the log odds."""
        if not any(isinstance(array, jax.core.Tracer) for array in (y, w)):
            check_probabilities("y", self, np.asarray(y)[np.asarray(w) > 0])
        scaled = weighted_scale(x, w)
        share = scaled.weights / scaled.rows
        a = jnp.column_stack([jnp.ones_like(y), (x - scaled.mean) / scaled.spread])
        ridge = jnp.full(a.shape[1], self.penalty, x.dtype).at[0].set(0.0)
        b = logistic_regression(a, y, share, ridge, max_steps=self.max_steps)
        slopes = b[1:] / scaled.spread
        return LinearParams(b[0] - scaled.mean @ slopes, slopes)

    def predict(self, params: LinearParams, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Probability of 1."""
        return jax.nn.sigmoid(params.intercept + x @ params.slopes)


# Defaults of every method; they are immutable, so that all can share them.
RIDGE, LOGISTIC = Ridge(), Logistic()
