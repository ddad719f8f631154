"""Reported numbers of this folder's experiments, and the claims that ours equal them."""

from collections.abc import Iterable
from pathlib import Path

from causalrep.study import PrintedDigits, ReportedNumber, load_reported

REPORTED = Path(__file__).with_name("reported.toml")

# Packages print more digits of coefficients and standard errors than two implementations share.
FLOORS = {"coef": 1e-6} | dict.fromkeys(("se", "se_robust", "se_hc0", "se_cluster", "se_cluster_debiased"), 1e-5)


def numbers_of(experiment: str) -> list[ReportedNumber]:
    """The reported numbers of one of this folder's experiments."""
    return [number for number in load_reported(REPORTED) if number.experiment == experiment]


def printed_digits(numbers: Iterable[ReportedNumber]) -> tuple[PrintedDigits, ...]:
    """A claim per source and metric that ours equals every reported number, to its printed digits or ``FLOORS``."""
    return PrintedDigits.by_source(numbers, FLOORS)
