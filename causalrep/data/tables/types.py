"""What the treatment-effect data sets return: benchmarks with a known truth, and observational tables without."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from causalrep.errors import InputError


class EffectSample(NamedTuple):
    """One replication of a benchmark; arrays of length n, ``None`` where the data set has no such thing.

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
    """A treatment-effect benchmark: n units, and R replications of what was simulated for them.

    Arrays that differ between replications have a leading axis R; a data set without replications (``jobs``,
    ``twins``) has none. All numbers are float64.

    Attributes:
        name: Name of the data set.
        x: Covariates (n, d).
        covariates: Their names.
        t: Treatment, 0 or 1: (n,), or (R, n) if it was simulated anew.
        y: Observed outcome, (n,) or (R, n).
        mu0: Expected outcome without treatment given x, shape of ``y``; None if unknown.
        mu1: The same with treatment.
        y0: Outcome without treatment that was drawn or observed, shape of ``y``; None if unknown.
        y1: The same with treatment.
        randomized: Which units took part in the randomised experiment (n,); None if there was none.
        replications: Numbers of the replications at the origin, R of them; empty without replications.
        test_rows: Rows of the canonical test sets, one line a split (S, m); None if there are none.
        source: Where the data come from.
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
        """Replication ``index`` (from 0, in the order of ``replications``).

        >>> from causalrep.data import load
        >>> load("ihdp", replications=[3]).sample().x.shape
        (747, 25)
        """
        count = max(1, len(self.replications))
        if not 0 <= index < count:
            raise InputError("index", found=f"{index}", expected=f"0 to {count - 1}, as loaded")
        parts = (self.t, self.y, self.mu0, self.mu1)
        return EffectSample(self.x, *(a[index] if a is not None and a.ndim == 2 else a for a in parts))

    def is_test(self, index: int = 0) -> np.ndarray:
        """Which units are in test set ``index`` of the canonical splits, as booleans (n,)."""
        if self.test_rows is None:
            raise InputError("index", found=f"{self.name}, which has no canonical split", expected="a split data set")
        if not 0 <= index < len(self.test_rows):
            raise InputError("index", found=f"{index}", expected=f"0 to {len(self.test_rows) - 1}")
        mask = np.zeros(len(self.x), bool)
        mask[self.test_rows[index]] = True
        return mask


@dataclass(frozen=True)
class EffectTable:
    """An observational table and the role of its columns; the true effect is not known.

    Attributes:
        name: Name of the data set.
        frame: All rows and columns.
        outcome: Column of the outcome Y.
        treatment: Column of the binary treatment T.
        covariates: Columns to adjust for, X.
        source: Where the data come from.
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
    """Replication numbers between 1 and ``largest``, as asked for or by default.

    Raises:
        InputError: If none is asked for, or one is no whole number in range.
    """
    found = list(default if value is None else [value] if isinstance(value, int) else value)
    wrong = [n for n in found if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= largest]
    if wrong or not found:
        raise InputError(argument, found=f"{wrong or 'none'}", expected=f"whole numbers from 1 to {largest}")
    return [int(n) for n in found]
