"""Markdown tables: our number with its standard error, the reported one, and how far apart they are."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from causalrep.errors import InputError
from causalrep.study.reported import ReportedNumber
from causalrep.study.summary import Estimate, Where, estimate, select, unit_values


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A table of one metric.

    Attributes:
        title: Its heading.
        metric: The metric shown.
        rows: The column of the records, or several, that the rows run over, in order of appearance.
        columns: The same for the columns; ``None`` for a table with one value a row, its reported number and
            their difference in separate columns.
        where: Restriction on setting fields and methods.
        unit: Columns that index independent units (see :func:`causalrep.study.unit_values`).
        aggregate: ``"mean"`` or ``"median"`` over units.
        reported: Show reported numbers beside ours.
    """

    title: str
    metric: str
    rows: str | tuple[str, ...] = "method"
    columns: str | tuple[str, ...] | None = None
    where: Where = dataclasses.field(default_factory=dict)
    unit: tuple[str, ...] = ("replication",)
    aggregate: Literal["mean", "median"] = "mean"
    reported: bool = True

    def markdown(self, frame: pd.DataFrame, reported: Sequence[ReportedNumber] = ()) -> str:
        """The table of these records.

        Raises:
            InputError: If nothing matches, or a column is unknown.
        """
        data = select(frame, self.where, metric=self.metric)
        if data.empty:
            raise InputError(
                f"table {self.title!r}",
                found=f"no rows with metric {self.metric!r} and {dict(self.where)}",
                expected=f"metrics {sorted(set(frame['metric']))}",
            )
        rows, columns = _names(self.rows), _names(self.columns)
        for name in rows + columns:
            if name not in frame.columns:
                raise InputError(
                    f"table {self.title!r}", found=repr(name), expected=f"one of {list(frame.columns)}"
                )
        cells = {
            key: (estimate(unit_values(part, self.unit), self.aggregate), self._reported(part, reported))
            for key, part in data.groupby(list(rows + columns), sort=False)
        }
        body = self._wide(rows, columns, cells) if columns else self._narrow(rows, cells)
        return f"### {self.title}\n\n{body}\n"

    def _reported(self, part: pd.DataFrame, reported: Sequence[ReportedNumber]) -> ReportedNumber | None:
        if not self.reported:
            return None
        fields = _names(self.rows) + _names(self.columns)
        return next((number for number in reported if number.speaks_of(part, fields)), None)

    def _narrow(self, rows: tuple[str, ...], cells: dict) -> str:
        with_reported = any(number is not None for _, number in cells.values())
        header = [*rows, f"{self.metric}, {self.aggregate} ± SE (n)"]
        lines = []
        for key, (ours, number) in cells.items():
            line = [*map(_text, key), show(ours)]
            if with_reported:
                line += [show_reported(number), difference(ours, number)] if number else ["", ""]
            lines.append(line)
        return markdown_table(header + (["reported", "difference"] if with_reported else []), lines)

    def _wide(self, rows: tuple[str, ...], columns: tuple[str, ...], cells: dict) -> str:
        row_keys = list(dict.fromkeys(key[: len(rows)] for key in cells))
        column_keys = list(dict.fromkeys(key[len(rows) :] for key in cells))
        counts = {ours.n for ours, _ in cells.values()}
        header = [
            *rows,
            *(", ".join(f"{n}={_text(v)}" for n, v in zip(columns, k, strict=True)) for k in column_keys),
        ]
        lines = []
        for row in row_keys:
            line = list(map(_text, row))
            for column in column_keys:
                ours, number = cells.get(row + column, (None, None))
                text = "" if ours is None else show(ours, count=len(counts) > 1)
                if number is not None:
                    text += f"; {show_reported(number)}: {difference(ours, number)}"
                line.append(text)
            lines.append(line)
        each = f", n = {counts.pop()} in each cell" if len(counts) == 1 else ", n in brackets"
        caption = f"{self.metric}, {self.aggregate} ± SE{each}; reported values follow a semicolon.\n\n"
        return caption + markdown_table(header, lines)


def show(found: Estimate, *, count: bool = True) -> str:
    """``0.824 ± 0.010 (n=32)``: two digits of the standard error, as many of the value."""
    if not math.isfinite(found.value):
        text = str(found.value)
    elif found.n > 1 and found.se > 0 and math.isfinite(found.se):
        digits = max(0, 1 - math.floor(math.log10(found.se)))
        scale = abs(found.value) or found.se
        if digits > 8 or scale >= 1e7:
            text = f"{found.value:.6g} ± {found.se:.2g}"
        else:
            text = f"{found.value:.{digits}f} ± {found.se:.{digits}f}"
    else:
        text = f"{found.value:.6g}"
    return f"{text} (n={found.n})" if count else text


def show_reported(number: ReportedNumber) -> str:
    """``0.83 ± 0.02 [paper]``."""
    se = f" ± {number.se:g}" if number.se is not None else ""
    return f"{number.value:g}{se} [{number.provenance}]"


def difference(ours: Estimate, number: ReportedNumber) -> str:
    """Ours minus the reported, in standard errors of the difference where one is known."""
    gap = ours.value - number.value
    se = math.hypot(ours.se if ours.n > 1 else 0.0, number.se or 0.0)
    return f"{gap / se:+.1f} SE" if se > 0 and math.isfinite(se) else f"{gap:+.2g}"


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned for reading as text."""
    table = [[str(cell).replace("|", "\\|") for cell in line] for line in (header, *lines)]
    widths = [max(3, *(len(line[j]) for line in table)) for j in range(len(header))]
    padded = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in table
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])


def _names(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
