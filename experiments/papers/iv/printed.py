"""Reported numbers of this folder's experiments, and the claims that ours equal them."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd

from causalrep.study import Holds, ReportedNumber, load_reported, select

REPORTED = Path(__file__).with_name("reported.toml")


def numbers_of(experiment: str) -> list[ReportedNumber]:
    """The reported numbers of one of this folder's experiments."""
    return [number for number in load_reported(REPORTED) if number.experiment == experiment]


def printed_digits(numbers: Iterable[ReportedNumber]) -> tuple[Holds, ...]:
    """A claim per source and metric: ours equals every reported number.

    To the printed digits, except that coefficients and standard errors printed to more than six and five
    decimals are compared to 1e-6 and 1e-5.
    """
    groups: dict[tuple[str, str], list[ReportedNumber]] = {}
    for number in numbers:
        groups.setdefault((number.source, number.metric), []).append(number)
    return tuple(
        Holds(f"{metric}: every value of {source}, {_tolerated(group)}", partial(_agree, group))
        for (source, metric), group in groups.items()
    )


def tolerance(number: ReportedNumber) -> float:
    """How far ours may be from a reported number."""
    floor = 1e-6 if number.metric == "coef" else 1e-5 if number.metric.startswith("se") else 0.0
    return max(floor, half_unit(number.value))


def _tolerated(group: list[ReportedNumber]) -> str:
    widths = {tolerance(number) for number in group}
    exceeds = any(tolerance(number) > half_unit(number.value) for number in group)
    return f"within {min(widths):g}" if exceeds and len(widths) == 1 else "to its printed digits"


def half_unit(value: float) -> float:
    """Half a unit of the last digit of a number as printed.

    >>> half_unit(0.132), half_unit(13.2558), half_unit(46.0)
    (0.0005, 5e-05, 0.5)
    """
    text = f"{value:.12g}"
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def _agree(numbers: list[ReportedNumber], frame: pd.DataFrame) -> tuple[bool, str]:
    wrong, gaps = [], []
    for number in numbers:
        values = select(frame, number.where, metric=number.metric)["value"].tolist()
        label = ", ".join(map(str, number.where.values()))
        if len(values) != 1:
            wrong.append(f"{label}: {len(values)} records")
            continue
        gaps.append(abs(values[0] - number.value))
        # The slack is for the float that stands for the printed decimal, nothing else. NaN is not close.
        if not gaps[-1] <= tolerance(number) * (1 + 1e-6):
            wrong.append(f"{label}: ours {values[0]:.8g}, reported {number.value:.12g}")
    if wrong:
        return False, f"{len(wrong)} of {len(numbers)} differ: {'; '.join(wrong)}"
    return True, f"{len(numbers)} compared, largest distance {max(gaps):.1g}"
