"""Result types of the treatment-effect data sets: benchmarks with a known truth, and observational tables without."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from causalrep.errors import InputError


class EffectSample(NamedTuple):
    """One replication of a benchmark with n units; ``None`` marks what the data set does not know.

    Attributes:
        x: Covariates (n, d).
        t: Treatment, 0 or 1 (n,).
        y: Observed outcome (n,).
        mu0: Expected outcome without treatment given x (n,).
        mu1: Expected outcome with treatment given x (n,).
    """

    x: np.ndarray
    t: np.ndarray
    y: np.ndarray
    mu0: np.ndarray | None
    mu1: np.ndarray | None


@dataclass(frozen=True)
class EffectBenchmark:
    """A treatment-effect benchmark: n units, and R replications of the variables that were simulated for them.

    Arrays that differ between replications have a leading axis R. Data sets without replications (``jobs``,
    ``twins``) have no such axis. All numbers are float64.

    Attributes:
        name: Name of the data set.
        x: Covariates (n, d).
        covariates: Names of the d covariates.
        t: Treatment, 0 or 1: (n,), or (R, n) if every replication simulates its own.
        y: Observed outcome, (n,) or (R, n).
        mu0: Expected outcome without treatment given x, in the shape of ``y``; None if unknown.
        mu1: Expected outcome with treatment given x, in the shape of ``y``; None if unknown.
        y0: Drawn or observed outcome without treatment, in the shape of ``y``; None if unknown.
        y1: Drawn or observed outcome with treatment, in the shape of ``y``; None if unknown.
        randomized: True for units of the randomized experiment (n,); None if there was none.
        replications: The R numbers of the replications at the origin; empty without replications.
        test_rows: Row numbers of S canonical test sets (S, m); None if there are none.
        source: Origin of the data.
    """

    name: str
    x: np.ndarray
    covariates: tuple[str, ...]
    t: np.ndarray
    y: np.ndarray
    mu0: np.ndarray | None = None
    mu1: np.ndarray | None = None
    y0: np.ndarray | None = None
    y1: np.ndarray | None = None
    randomized: np.ndarray | None = None
    replications: tuple[int, ...] = ()
    test_rows: np.ndarray | None = None
    source: str = ""

    @property
    def X(self) -> pd.DataFrame:
        """The covariates with their names (n, d)."""
        return pd.DataFrame(self.x, columns=list(self.covariates))

    def sample(self, index: int = 0) -> EffectSample:
        """The replication at place ``index`` of ``replications``, counted from 0.

        Raises:
            InputError: If there are not so many replications.

        >>> from causalrep.data import load
        >>> load("ihdp", replications=[3]).sample().x.shape
        (747, 25)
        """
        count = max(1, len(self.replications))
        if not 0 <= index < count:
            raise InputError("index", found=f"{index}", expected=f"0 to {count - 1}, as loaded")

        def own(values: np.ndarray) -> np.ndarray:
            return values[index] if values.ndim == 2 else values

        mu0, mu1 = (None if values is None else own(values) for values in (self.mu0, self.mu1))
        return EffectSample(self.x, own(self.t), own(self.y), mu0, mu1)

    def is_test(self, index: int = 0) -> np.ndarray:
        """True for the units in test set ``index`` of the canonical splits (n,).

        Raises:
            InputError: If the data set has no such split.
        """
        if self.test_rows is None:
            raise InputError("index", found=f"{self.name}, which has no canonical split", expected="a split data set")
        if not 0 <= index < len(self.test_rows):
            raise InputError("index", found=f"{index}", expected=f"0 to {len(self.test_rows) - 1}")
        mask = np.zeros(len(self.x), bool)
        mask[self.test_rows[index]] = True
        return mask


@dataclass(frozen=True)
class EffectTable:
    """An observational table and the roles of its columns; the true effect is unknown.

    Attributes:
        name: Name of the data set.
        frame: All rows and columns.
        outcome: Column of the outcome Y.
        treatment: Column of the binary treatment T.
        covariates: Columns X to adjust for.
        source: Origin of the data.
    """

    name: str
    frame: pd.DataFrame
    outcome: str
    treatment: str
    covariates: tuple[str, ...]
    source: str

    @property
    def Y(self) -> pd.Series:
        """The outcome (n,)."""
        return self.frame[self.outcome]

    @property
    def T(self) -> pd.Series:
        """The treatment, 0 or 1 (n,)."""
        return self.frame[self.treatment]

    @property
    def X(self) -> pd.DataFrame:
        """The covariates (n, d)."""
        return self.frame[list(self.covariates)]


def check_numbers(argument: str, value: Sequence[int] | None, *, largest: int, default: Sequence[int]) -> list[int]:
    """The replication numbers that a caller asked for, or the default ones.

    Raises:
        InputError: If the list is empty, or holds anything but whole numbers from 1 to ``largest``.
    """
    numbers = list(default if value is None else [value] if isinstance(value, int) else value)
    wrong = [n for n in numbers if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= largest]
    if wrong or not numbers:
        raise InputError(argument, found=f"{wrong or 'none'}", expected=f"whole numbers from 1 to {largest}")
    return [int(n) for n in numbers]
