"""A replicated study: plan, cells, replications, records, claims, report; a paper's or your own.

A :class:`Study` names a pure function ``replicate(key, setting) -> {method: {metric: scalar}}`` and the
settings to run it at; :func:`run` computes the replications on all the machine has and returns tidy
:class:`Records`.
"""

from causalrep.study.execution.placement import Placement, place
from causalrep.study.execution.programs import study_programs
from causalrep.study.execution.workspace import Workspace
from causalrep.study.plan import Study, grid
from causalrep.study.records import read_records
from causalrep.study.report.figures import AnyFigure, Curves, Figure, save_figure
from causalrep.study.report.markdown import claims_markdown, run_markdown
from causalrep.study.report.tables import Table
from causalrep.study.run import Records, run, run_folder
from causalrep.study.verdicts.claims import Claim, ClaimResult, Holds, Monotone, Ordering, Ratio, Within
from causalrep.study.verdicts.estimates import Estimate, estimate, select, unit_values
from causalrep.study.verdicts.reported import PROVENANCES, ReportedNumber, load_reported

__all__ = [
    "PROVENANCES",
    "AnyFigure",
    "Claim",
    "ClaimResult",
    "Curves",
    "Estimate",
    "Figure",
    "Holds",
    "Monotone",
    "Ordering",
    "Placement",
    "Ratio",
    "Records",
    "ReportedNumber",
    "Study",
    "Table",
    "Within",
    "Workspace",
    "claims_markdown",
    "estimate",
    "grid",
    "load_reported",
    "place",
    "read_records",
    "run",
    "run_folder",
    "run_markdown",
    "save_figure",
    "select",
    "study_programs",
    "unit_values",
]
