"""Markdown tables: our number with its standard error, the reported number, and their difference."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from causalrep.errors import InputError
from causalrep.study.verdicts.estimates import Estimate, Where, estimate, nothing_selected, select, unit_values
from causalrep.study.verdicts.reported import ReportedNumber


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A table of one metric, or of several metrics side by side.

    Attributes:
        title: The heading.
        metric: The metric. Several metrics make a column each, with the reported numbers in lines below ours, one line
            per source.
        rows: The column (or columns) of the records that the rows run over, in order of appearance.
        columns: The same for the columns; None makes a table with one value per row, and with the reported number and
            the difference in separate columns.
        where: Restriction on setting fields and methods.
        unit: Columns that index independent units (see :func:`causalrep.study.unit_values`).
        aggregate: ``"mean"`` or ``"median"`` over units.
        reported: Whether to show reported numbers beside ours.
        decimals: Decimals of a value that has no standard error; default six significant digits.
        note: A sentence for the reader, above the table.
    """

    title: str
    metric: str | tuple[str, ...]
    rows: str | tuple[str, ...] = "method"
    columns: str | tuple[str, ...] | None = None
    where: Where = dataclasses.field(default_factory=dict)
    unit: tuple[str, ...] = ("replication",)
    aggregate: Literal["mean", "median"] = "mean"
    reported: bool = True
    decimals: int | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) and self.columns is not None:
            raise InputError(f"table {self.title!r}", found="several metrics and columns", expected="one or the other")

    def markdown(self, frame: pd.DataFrame, reported: Sequence[ReportedNumber] = ()) -> str:
        """The table of these records, in Markdown.

        Raises:
            InputError: If a metric has no rows, or a column is unknown.
        """
        several = not isinstance(self.metric, str)
        data = select(frame, self.where, metric=self.metric)
        for metric in _names(self.metric):
            if metric not in set(data["metric"]):
                raise nothing_selected(f"table {self.title!r}", frame, metric, self.where)
        rows, columns = _names(self.rows), ("metric",) if several else _names(self.columns)
        for name in rows + columns:
            if name not in frame.columns:
                raise InputError(f"table {self.title!r}", found=repr(name), expected=f"one of {list(frame.columns)}")
        cells = {
            key: (estimate(unit_values(part, self.unit), self.aggregate), self._reported(part, reported))
            for key, part in data.groupby(list(rows + columns), sort=False)
        }
        if several:
            body = self._stacked(rows, cells)
        else:
            body = self._wide(rows, columns, cells) if columns else self._narrow(rows, cells)
        note = f"{self.note}\n\n" if self.note else ""
        return f"### {self.title}\n\n{note}{body}\n"

    def _reported(self, part: pd.DataFrame, reported: Sequence[ReportedNumber]) -> tuple[ReportedNumber, ...]:
        fields = _names(self.rows) + _names(self.columns)
        return tuple(n for n in reported if n.speaks_of(part, fields)) if self.reported else ()

    def _show(self, ours: Estimate, *, count: bool = True) -> str:
        return show(ours, count=count, decimals=self.decimals)

    def _narrow(self, rows: tuple[str, ...], cells: dict) -> str:
        with_reported = any(numbers for _, numbers in cells.values())
        header = [*rows, f"{self.metric}, {self.aggregate} ± SE (n)"]
        lines = []
        for key, (ours, numbers) in cells.items():
            line = [*map(_text, key), self._show(ours)]
            if with_reported:
                line += ["; ".join(map(show_reported, numbers)), "; ".join(difference(ours, n) for n in numbers)]
            lines.append(line)
        return markdown_table(header + (["reported", "difference"] if with_reported else []), lines)

    def _stacked(self, rows: tuple[str, ...], cells: dict) -> str:
        counts = {ours.n for ours, _ in cells.values()}
        with_reported = any(numbers for _, numbers in cells.values())
        lines = []
        for key in dict.fromkeys(cell[: len(rows)] for cell in cells):
            own = {m: cells[(*key, m)] for m in self.metric if (*key, m) in cells}
            ours = [self._show(own[m][0], count=len(counts) > 1) if m in own else "" for m in self.metric]
            lines.append([*map(_text, key), *(["ours"] if with_reported else []), *ours])
            for source in dict.fromkeys(n.source for _, numbers in own.values() for n in numbers):
                beside = [
                    "; ".join(
                        f"{_printed(n)} ({_gap(own[m][0], n)})"
                        for n in (own[m][1] if m in own else ())
                        if n.source == source
                    )
                    for m in self.metric
                ]
                lines.append([*[""] * len(rows), source, *beside])
        header = [*rows, *(["source"] if with_reported else []), *self.metric]
        each = f"n = {counts.pop()} in each cell" if len(counts) == 1 else "n in brackets"
        caption = "" if each == "n = 1 in each cell" else f"{self.aggregate} ± SE, {each}.\n\n"
        return caption + markdown_table(header, lines) + (f"\n\n{_legend(cells)}" if with_reported else "")

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
                ours, numbers = cells.get(row + column, (None, ()))
                text = "" if ours is None else self._show(ours, count=len(counts) > 1)
                for number in numbers:
                    text += f"; {show_reported(number)}: {difference(ours, number)}"
                line.append(text)
            lines.append(line)
        each = f", n = {counts.pop()} in each cell" if len(counts) == 1 else ", n in brackets"
        caption = f"{self.metric}, {self.aggregate} ± SE{each}; reported values follow a semicolon.\n\n"
        return caption + markdown_table(header, lines)


def show(ours: Estimate, *, count: bool = True, decimals: int | None = None) -> str:
    """``0.824 ± 0.010 (n=32)``: two digits of the standard error, and as many decimals of the value.

    A value without a standard error has ``decimals`` decimals, or six significant digits.
    """
    if not math.isfinite(ours.value):
        text = str(ours.value)
    elif ours.n > 1 and ours.se > 0 and math.isfinite(ours.se):
        # An se of 0.0102 has its first digit at 10^-2, so two digits need 3 decimals.
        places = max(0, 1 - math.floor(math.log10(ours.se)))
        scale = abs(ours.value) or ours.se
        if places > 8 or scale >= 1e7:
            text = f"{ours.value:.6g} ± {ours.se:.2g}"
        else:
            text = f"{ours.value:.{places}f} ± {ours.se:.{places}f}"
    else:
        whole = ours.value == round(ours.value)  # exact: a count, or 0 and 1
        text = f"{ours.value:.6g}" if decimals is None or whole else f"{ours.value:.{decimals}f}"
    return f"{text} (n={ours.n})" if count else text


def show_reported(number: ReportedNumber) -> str:
    """``0.83 ± 0.02 [paper]``."""
    return f"{_printed(number)} [{number.provenance}]"


def difference(ours: Estimate, number: ReportedNumber) -> str:
    """Ours minus the reported number, in standard errors of the difference if one is known.

    The reported number was rounded, so half a unit of its last printed digit, if known, is not a difference.
    """
    gap = ours.value - number.value
    if number.decimals is not None:
        gap = math.copysign(max(0.0, abs(gap) - 0.5 * 10.0**-number.decimals), gap)
    se = math.hypot(ours.se if ours.n > 1 else 0.0, number.se or 0.0)
    return f"{gap / se:+.1f} SE" if se > 0 and math.isfinite(se) else f"{gap:+.2g}"


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned, so that it can be read as text."""
    table = [[str(cell).replace("|", "\\|") for cell in line] for line in (header, *lines)]
    widths = [max(3, *(len(line[j]) for line in table)) for j in range(len(header))]
    padded = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in table]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])


def _names(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)


def _gap(ours: Estimate, number: ReportedNumber) -> str:
    """``=`` if ours equals the reported number when rounded to its digits; else their difference."""
    text = _digits(number)
    same = math.isfinite(ours.value) and f"{ours.value:.{len(text.partition('.')[2])}f}" == text
    return "=" if same and "e" not in text else difference(ours, number)


def _legend(cells: dict) -> str:
    provenances = {n.source: n.provenance for _, numbers in cells.values() for n in numbers}
    sources = "; ".join(f"{source}: {provenance}" for source, provenance in provenances.items())
    return f"In brackets: ours minus theirs; = if equal in every printed digit. {sources}."


def _printed(number: ReportedNumber) -> str:
    # All printed digits are shown, since ours is compared with the last one.
    se = f" ± {number.se:.12g}" if number.se is not None else ""
    return f"{_digits(number)}{se}"


def _digits(number: ReportedNumber) -> str:
    return f"{number.value:.12g}" if number.decimals is None else f"{number.value:.{number.decimals}f}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
