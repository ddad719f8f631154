"""Numbers that others reported, as data with their provenance, to show beside ours.

A TOML file holds a list of tables::

    [[number]]
    experiment = "ivl/linear_simulation"
    where = { method = "ERM", kappa = 1.0 }
    metric = "ncer"
    value = 0.42
    se = 0.01                      # optional
    decimals = 3                   # optional: printed as 0.420
    source = "Figure 4a"
    provenance = "paper"
"""

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from causalrep.errors import RecordsError
from causalrep.study.verdicts.estimates import matches

PROVENANCES = (
    "paper",
    "official code re-run",
    "official results",
    "project page",
    "textbook (unverified)",
    "measured with a peer package",
    "card",
)


@dataclasses.dataclass(frozen=True)
class ReportedNumber:
    """One published number.

    Attributes:
        experiment: The study it belongs to.
        where: Values of setting fields and, usually, ``method``.
        metric: The metric.
        value: The number as printed.
        source: Table, figure or page.
        provenance: One of :data:`PROVENANCES`.
        se: Its standard error, if reported.
        decimals: Number of printed decimals, if ``value`` does not show them (``0.000``).
    """

    experiment: str
    where: Mapping[str, Any]
    metric: str
    value: float
    source: str
    provenance: str
    se: float | None = None
    decimals: int | None = None

    def speaks_of(self, rows: pd.DataFrame, fields: tuple[str, ...]) -> bool:
        """Whether it belongs to a table's cell, whose records are ``rows``; ``fields`` distinguish the cells."""
        if not set(fields) <= set(self.where) or not (rows["metric"] == self.metric).all():
            return False
        return all(column in rows and matches(rows[column], value).all() for column, value in self.where.items())


def load_reported(path: Path | str) -> tuple[ReportedNumber, ...]:
    """Read and check a file of reported numbers; a file that does not exist holds none.

    Raises:
        RecordsError: If the file is not TOML, or an entry lacks a field or has an unknown one.
    """
    path = Path(path)
    if not path.exists():
        return ()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecordsError(f"{path}: not readable as TOML ({error}).") from error
    extra = set(content) - {"number"}
    if extra:
        raise RecordsError(f"{path}: unknown {sorted(extra)}; expected only [[number]] tables.")
    return tuple(_number(path, index, entry) for index, entry in enumerate(content.get("number", []), start=1))


def _number(path: Path, index: int, entry: Mapping[str, Any]) -> ReportedNumber:
    label = f"{path}: number {index}"
    known = {field.name for field in dataclasses.fields(ReportedNumber)}
    missing, unknown = sorted(known - {"se", "decimals"} - set(entry)), sorted(set(entry) - known)
    if missing or unknown:
        raise RecordsError(f"{label}: missing {missing}, unknown {unknown}.")
    for name in ("value", "se"):
        value = entry.get(name)
        if name in entry and (
            isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
        ):
            raise RecordsError(f"{label}: {name} = {value!r}; expected a finite number.")
    decimals = entry.get("decimals", 0)
    if isinstance(decimals, bool) or not isinstance(decimals, int) or decimals < 0:
        raise RecordsError(f"{label}: decimals = {decimals!r}; expected a whole number of digits.")
    if not isinstance(entry["where"], Mapping):
        raise RecordsError(f"{label}: where = {entry['where']!r}; expected a table such as {{ method = 'OLS' }}.")
    for name in ("experiment", "metric", "source"):
        if not isinstance(entry[name], str) or not entry[name]:
            raise RecordsError(f"{label}: {name} = {entry[name]!r}; expected text.")
    if entry["provenance"] not in PROVENANCES:
        raise RecordsError(f"{label}: provenance {entry['provenance']!r}; expected one of {', '.join(PROVENANCES)}.")
    numbers = {name: float(entry[name]) for name in ("value", "se") if name in entry}
    return ReportedNumber(**{**entry, **numbers})
