"""Replicated studies: a plan, its records, claims about them, and a report; for a paper's tables or your own.

A :class:`Study` names a pure function ``replicate(key, setting) -> {method: {metric: scalar}}`` and the settings to run
it at; :func:`run` computes the replications on all devices and returns tidy :class:`Records`.
"""

from causalrep.study.execution.programs import study_programs
from causalrep.study.execution.workspace import Workspace
from causalrep.study.plan import Study, grid
from causalrep.study.records import Records, read_records
from causalrep.study.report.figures import Curves, Figure
from causalrep.study.report.markdown import claims_markdown
from causalrep.study.report.tables import Table
from causalrep.study.run import run, run_folder
from causalrep.study.verdicts.claims import (
    Claim,
    ClaimResult,
    Holds,
    Monotone,
    Ordering,
    Ratio,
    RelativeGain,
    Within,
)
from causalrep.study.verdicts.estimates import Estimate, estimate, select, unit_values
from causalrep.study.verdicts.printed import PrintedDigits
from causalrep.study.verdicts.reported import ReportedNumber, load_reported

__all__ = [
    "Claim",
    "ClaimResult",
    "Curves",
    "Estimate",
    "Figure",
    "Holds",
    "Monotone",
    "Ordering",
    "PrintedDigits",
    "Ratio",
    "Records",
    "RelativeGain",
    "ReportedNumber",
    "Study",
    "Table",
    "Within",
    "Workspace",
    "claims_markdown",
    "estimate",
    "grid",
    "load_reported",
    "read_records",
    "run",
    "run_folder",
    "select",
    "study_programs",
    "unit_values",
]
