"""The written report of a run: tables, claims (held, failed and undecided) and figures."""

from collections.abc import Sequence

import pandas as pd

from causalrep.study.plan import Study
from causalrep.study.verdicts.claims import ClaimResult
from causalrep.study.verdicts.reported import ReportedNumber


def run_markdown(
    study: Study,
    frame: pd.DataFrame,
    claims: Sequence[ClaimResult],
    reported: Sequence[ReportedNumber] = (),
    *,
    figures: str = ".",
) -> str:
    """Tables, claims and links to the figures, which are in the folder ``figures``."""
    own = [number for number in reported if number.experiment == study.name]
    cells = f"{len(study.settings)} cells" if len(study.settings) > 1 else "1 cell"
    times = f"{study.replications} replications of {cells}" if study.replications > 1 else f"{cells}, computed once"
    sections = [f"## {study.name}\n\n{times}.\n"]
    sections += [table.markdown(frame, own) for table in study.tables]
    if claims:
        sections.append(claims_markdown(claims))
    sections += [f"![{figure.name}]({figures}/{figure.name}.png)\n" for figure in study.figures]
    return "\n".join(sections)


def claims_markdown(claims: Sequence[ClaimResult]) -> str:
    """The claims by status, failures first, each with its numbers and its independent units."""
    held, failed, undecided = (sum(c.status == s for c in claims) for s in ("held", "failed", "undecided"))
    lines = [f"### Claims: {held} held, {failed} failed, {undecided} undecided", ""]
    for status in ("failed", "undecided", "held"):
        for claim in claims:
            if claim.status == status:
                source = f" ({claim.source})" if claim.source else ""
                units = f", n={claim.n}" if claim.n > 1 else ""
                lines.append(f"- **{status}**{units}: {claim.name}{source}. {claim.detail}.")
    return "\n".join(lines) + "\n"
