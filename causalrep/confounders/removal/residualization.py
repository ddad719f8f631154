"""Linear residualization: subtract a regression on demographics. The baseline of any other method."""

from typing import Any, ClassVar, NamedTuple, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.columns import read_columns
from causalrep.base.domains import Domain
from causalrep.base.estimator import Transformer
from causalrep.base.validation import check_index_alignment
from causalrep.confounders.removal.demographics import CATEGORICAL, Demographics
from causalrep.linalg import min_norm_solve


class Residualization(NamedTuple):
    """Regressions of all columns of the data on demographics.

    Attributes:
        center: Mean of the coded demographics (c,).
        slopes: Minimum-norm slopes (c, E).
    """

    center: Float[Array, " c"]
    slopes: Float[Array, "c e"]

    def explained(self, d: Float[Array, "n c"]) -> Float[Array, "n e"]:
        """Difference between data with demographics ``d`` and data with average demographics."""
        return (d - self.center) @ self.slopes


def residualization(x: Float[Array, "n e"], d: Float[Array, "n c"]) -> Residualization:
    """Least squares of the columns of ``x`` on coded demographics; the levels of a variable may sum to one."""
    center = d.mean(0)
    return Residualization(center, min_norm_solve(d - center, x - x.mean(0)))


class LinearResidualizer(Transformer):
    """Subtract from each column of the data its least-squares regression on demographics.

    On the rows of the fit no linear model can predict demographics from the result. Unlike
    :class:`~causalrep.confounders.DemoVAE` it needs the demographics of every row, generates no rows, and removes only
    shifts of means.

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

    _domains: ClassVar[dict[str, Domain]] = {"categorical": CATEGORICAL}

    def __init__(self, *, categorical: tuple[str | int, ...] | None = None):
        self.categorical = categorical

    def fit(self, X: Any, D: Any) -> Self:
        """Fit the regressions to data (n, E) and demographics (n, variables)."""
        self._check_domains()
        check_index_alignment(X=X, D=D)
        x, self.columns_ = read_columns("X", X)
        self.demographics_ = Demographics.of(D, self.categorical)
        d = self.demographics_.encode(D, rows=len(x))
        with self._computing():
            regressions = residualization(jnp.asarray(x), jnp.asarray(d))
        self.residualization_ = Residualization(*(np.asarray(part) for part in regressions))
        return self

    def transform(self, X: Any, D: Any, to: Any = None) -> np.ndarray:
        """Rows with demographics ``D`` as they would be with other demographics.

        Args:
            X: Data (m, E).
            D: Their demographics (m, variables).
            to: The requested demographics: a table (m, variables), or one profile; by default the average of the fit.
        """
        line = self.residualization_
        check_index_alignment(X=X, D=D, to=to)
        x = self.columns_.match(X)
        result = x - line.explained(self.demographics_.encode(D, rows=len(x)))
        return result if to is None else result + line.explained(self.demographics_.encode(to, rows=len(x)))

    def fit_transform(self, X: Any, D: Any) -> np.ndarray:
        """``fit(X, D).transform(X, D)``."""
        return self.fit(X, D).transform(X, D)
