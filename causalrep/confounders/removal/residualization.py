"""Linear residualisation: the plain way to take demographics out of data, and the baseline of any other."""

from typing import Any, NamedTuple, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.estimator import Transformer
from causalrep.base.validation import as_matrix, check_index_alignment
from causalrep.confounders.removal.demographics import Demographics
from causalrep.errors import InputError
from causalrep.linalg import min_norm_solve
from causalrep.precision import float64


class Residualization(NamedTuple):
    """Regressions of all columns of the data on demographics.

    Attributes:
        centre: Mean of the coded demographics (c,).
        slopes: Minimum-norm slopes (c, E).
    """

    centre: Float[Array, " c"]
    slopes: Float[Array, "c e"]

    def explained(self, d: Float[Array, "n c"]) -> Float[Array, "n e"]:
        """What demographics move the data by, from those of average demographics."""
        return (d - self.centre) @ self.slopes


def residualization(x: Float[Array, "n e"], d: Float[Array, "n c"]) -> Residualization:
    """Least squares of the columns of ``x`` on coded demographics; the levels of a variable may sum to one."""
    centre = d.mean(0)
    return Residualization(centre, min_norm_solve(d - centre, x - x.mean(0)))


class LinearResidualizer(Transformer):
    """Subtract from each column of the data its least-squares regression on demographics.

    On the rows fitted no linear model finds demographics in the result. Unlike :class:`~causalrep.confounders.DemoVAE`
    it needs the demographics of every row it is applied to, generates no rows, and removes nothing that is not a shift
    of means.

    Args:
        categorical: Names or positions of the categorical variables; by default those that hold text, booleans or at
            most two different values.

    Attributes:
        residualization_: The regressions (:class:`Residualization`).
        demographics_: The coding of the demographics.

    >>> import numpy as np
    >>> age = np.arange(6.0)
    >>> x = np.outer(age, [1.0, -1.0]) + 3
    >>> LinearResidualizer().fit(x, age).transform(x, age).round(6)[0].tolist()
    [5.5, 0.5]
    """

    def __init__(self, *, categorical: tuple[str | int, ...] | None = None):
        self.categorical = categorical

    def fit(self, X: Any, D: Any) -> Self:
        """Fit the regressions to data (n, E) and demographics (n, variables)."""
        check_index_alignment(X=X, D=D)
        x, _ = as_matrix("X", X)
        self.demographics_ = Demographics.of(D, self.categorical)
        d = self.demographics_.encode(D, rows=len(x))
        with float64():
            found = residualization(jnp.asarray(x), jnp.asarray(d))
        self.residualization_ = Residualization(*(np.asarray(part) for part in found))
        return self

    def transform(self, X: Any, D: Any, to: Any = None) -> np.ndarray:
        """Rows with demographics ``D`` as if they had others.

        Args:
            X: Data (m, E).
            D: Their demographics (m, variables).
            to: The demographics wanted: a table (m, variables), or one profile; by default the average of the fit.
        """
        found = self.residualization_
        check_index_alignment(X=X, D=D)
        x, _ = as_matrix("X", X)
        if x.shape[1] != found.slopes.shape[1]:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{found.slopes.shape[1]}, as in fit")
        result = x - found.explained(self.demographics_.encode(D, rows=len(x)))
        return result if to is None else result + found.explained(self.demographics_.encode(to, rows=len(x)))

    def fit_transform(self, X: Any, D: Any) -> np.ndarray:
        """``fit(X, D).transform(X, D)``."""
        return self.fit(X, D).transform(X, D)
