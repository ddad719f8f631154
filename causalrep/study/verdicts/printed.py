"""Claims that our numbers equal reported ones, to the digits that were printed."""

import dataclasses
from collections.abc import Iterable, Mapping

import pandas as pd

from causalrep.study.verdicts.claims import ClaimResult
from causalrep.study.verdicts.estimates import nothing_selected, select
from causalrep.study.verdicts.reported import ReportedNumber


@dataclasses.dataclass(frozen=True, eq=False)
class PrintedDigits:
    """Every one of some reported numbers equals ours, to its printed digits.

    A number that has no record, more than one, or one that is not finite fails the claim.

    Attributes:
        name: A short sentence.
        numbers: The reported numbers.
        floors: Smallest tolerance for a metric, by name, if numbers were printed to more digits than can be compared.
        source: Where the paper says so.
    """

    name: str
    numbers: tuple[ReportedNumber, ...]
    floors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    source: str = ""

    @classmethod
    def by_source(
        cls, numbers: Iterable[ReportedNumber], floors: Mapping[str, float] | None = None
    ) -> "tuple[PrintedDigits, ...]":
        """One claim per source and metric, named after both."""
        floors = floors or {}
        groups: dict[tuple[str, str], list[ReportedNumber]] = {}
        for number in numbers:
            groups.setdefault((number.source, number.metric), []).append(number)
        return tuple(
            cls(f"{metric}: every value of {source}, {_allowed(group, floors)}", tuple(group), floors)
            for (source, metric), group in groups.items()
        )

    def evaluate(self, frame: pd.DataFrame) -> ClaimResult:
        """The verdict on these records.

        Raises:
            InputError: If a number's metric is not among the records.
        """
        wrong, gaps = [], []
        for number in self.numbers:
            if number.metric not in set(frame["metric"]):
                raise nothing_selected(f"claim {self.name!r}", frame, number.metric, number.where)
            values = select(frame, number.where, metric=number.metric)["value"].tolist()
            cell = ", ".join(map(str, number.where.values()))
            if len(values) != 1:
                wrong.append(f"{cell}: {len(values)} records")
                continue
            gaps.append(abs(values[0] - number.value))
            # The slack is for the float that stands for the printed decimal. NaN is not close to anything.
            if not gaps[-1] <= tolerance(number, self.floors) * (1 + 1e-6):
                wrong.append(f"{cell}: ours {values[0]:.8g}, reported {number.value:.12g}")
        if wrong:
            detail = f"{len(wrong)} of {len(self.numbers)} differ: {'; '.join(wrong)}"
        else:
            detail = f"{len(self.numbers)} compared, largest distance {max(gaps):.1g}"
        count = int(frame["replication"].nunique())
        return ClaimResult(self.name, "failed" if wrong else "held", None, None, count, detail, self.source)


def tolerance(number: ReportedNumber, floors: Mapping[str, float] | None = None) -> float:
    """The largest distance from a reported number that counts as equal."""
    return max((floors or {}).get(number.metric, 0.0), half_unit(number.value))


def half_unit(value: float) -> float:
    """Half a unit of the last digit of a number as printed.

    >>> half_unit(0.132), half_unit(13.2558), half_unit(46.0)
    (0.0005, 5e-05, 0.5)
    """
    text = f"{value:.12g}"
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def _allowed(group: list[ReportedNumber], floors: Mapping[str, float]) -> str:
    widths = {tolerance(number, floors) for number in group}
    wider = any(tolerance(number, floors) > half_unit(number.value) for number in group)
    return f"within {min(widths):g}" if wider and len(widths) == 1 else "to its printed digits"
