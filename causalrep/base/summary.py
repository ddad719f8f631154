"""The printed result of an estimator: facts, a table of estimates, and notes."""

import html
import math
import textwrap
from dataclasses import dataclass, field

import pandas as pd

WIDTH = 92


@dataclass(frozen=True)
class Summary:
    """The result of ``estimator.summary()``; prints as text and renders as HTML in a notebook.

    Attributes:
        title: Name of the estimator.
        facts: Label and value pairs shown above the table.
        table: One row per coefficient or effect.
        notes: Sentences shown below the table: diagnostics, warnings, assumptions.
    """

    title: str
    facts: list[tuple[str, str]]
    table: pd.DataFrame
    notes: list[str] = field(default_factory=list)

    def as_frame(self) -> pd.DataFrame:
        """The table of coefficients or effects."""
        return self.table.copy()

    def __str__(self) -> str:
        label_width = max((len(label) for label, _ in self.facts), default=0)
        facts = [f"{label:<{label_width}}  {value}" for label, value in self.facts]
        notes = [textwrap.fill(note, WIDTH, subsequent_indent="  ") for note in self.notes]
        rule = "-" * WIDTH
        parts = [self.title, rule, *facts, rule, _text(self.table), rule, *notes]
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        facts = "".join(f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in self.facts)
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        table = self.table.to_html(float_format=_number, na_rep="")
        return f"<h4>{html.escape(self.title)}</h4><table>{facts}</table>{table}<ul>{notes}</ul>"


def z_value(estimate: float, se: float) -> float:
    """``estimate / se``: infinite for a standard error of zero, and NaN if the estimate is zero as well.

    >>> z_value(1.0, 0.5), z_value(-1.0, 0.0), z_value(0.0, 0.0)
    (2.0, -inf, nan)
    """
    if se == 0:
        return math.nan if estimate == 0 or math.isnan(estimate) else math.copysign(math.inf, estimate)
    return float(estimate / se)


def _text(table: pd.DataFrame) -> str:
    return table.to_string(float_format=_number, na_rep="")


def _number(value: float) -> str:
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3e}"
    return f"{value:.4f}"
