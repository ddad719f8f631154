"""Collects the runs of a paper: ``python -m experiments.report ivl [--results DIR] [--scale ...] [--publish]``.

Prints every table beside the published numbers, and says which claims held, failed or are undecided. ``--publish``
writes ``docs/results/<paper>.md`` and its figures from the records. Nobody edits that file by hand.
"""

import argparse
import dataclasses
import difflib
import shutil
import sys
from pathlib import Path
from typing import Any

from causalrep.errors import CausalrepError
from causalrep.storage import AnyPath, as_path, read_json, write_text
from causalrep.study import (
    ClaimResult,
    ReportedNumber,
    Study,
    load_reported,
    read_records,
    run_folder,
)
from causalrep.study.execution.placement import place
from causalrep.study.report.figures import save_figure
from causalrep.study.report.markdown import run_markdown
from experiments import configs
from experiments.terminal import begin

DOCS = configs.ROOT / "docs" / "results"


@dataclasses.dataclass(frozen=True)
class Finished:
    """A finished run of a config.

    Attributes:
        config: Name of the config.
        scale: Scale of the run.
        study: The study, in the precision of the run.
        folder: Folder of the records.
        environment: Contents of ``environment.json``.
    """

    config: str
    scale: str
    study: Study
    folder: AnyPath
    environment: dict[str, Any]


def main(
    argv: list[str] | None = None,
    *,
    config_root: Path = configs.CONFIGS,
    papers_root: Path = configs.PAPERS,
    docs: Path = DOCS,
) -> int:
    """The command line; returns 0, or 2 for a user's error."""
    parser = argparse.ArgumentParser(prog="python -m experiments.report", description=begin(__doc__).split("\n\n")[0])
    parser.add_argument("paper", help="folder of the paper's configs, for example ivl")
    parser.add_argument("--results", default="results", help="folder or bucket of all results (%(default)s)")
    parser.add_argument("--scale", choices=configs.SCALE_NAMES, help="default: the largest scale that has a run")
    parser.add_argument("--publish", action="store_true", help=f"write {docs.name}/<paper>.md and its figures")
    options = parser.parse_args(argv)
    try:
        runs, missing = collect(options.paper, as_path(options.results), options.scale, config_root)
        reported = load_reported(configs.reported_file(options.paper, papers_root))
        print(paper_markdown(options.paper, runs, missing, reported))
        if options.publish:
            print(f"written: {publish(options.paper, runs, missing, reported, docs)}")
    except CausalrepError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def collect(
    paper: str, results: AnyPath, scale: str | None = None, config_root: Path = configs.CONFIGS
) -> tuple[list[Finished], list[str]]:
    """The finished run of each config of a paper, and the configs that have none.

    Only runs of the presets count. A run with other fields on the command line has another folder and is left out.

    Args:
        paper: Folder of the paper's configs.
        results: Folder of all results.
        scale: Scale of the runs; None takes the largest scale that has a run, config by config.
        config_root: Folder of the configs.

    Raises:
        ConfigError: If the paper is unknown or none of its configs was run.
    """
    everything = configs.names(config_root)
    own = [name for name in everything if name.split("/")[0] == paper]
    if not own:
        papers = sorted({name.split("/")[0] for name in everything})
        near = difflib.get_close_matches(paper, papers, n=3, cutoff=0.4) or papers
        raise configs.ConfigError(f"no configs for a paper named {paper!r}; there are: {', '.join(near) or 'none'}")
    runs, missing = [], []
    for name in own:
        # The loop over scales stops at the first run it finds; without one, its else branch notes the config.
        scales = configs.load(name, config_root)
        for candidate in [scale] if scale else reversed(configs.SCALE_NAMES):
            study = configs.study_of(scales[candidate])
            folder = run_folder(study, results, candidate)
            if study.compiled and not (folder / "records.parquet").exists():
                # A TPU computes in float32. The numbers differ, so the run has another folder.
                study = place(study, "float32").study
                folder = run_folder(study, results, candidate)
            if (folder / "records.parquet").exists():
                runs.append(Finished(name, candidate, study, folder, read_json(folder / "environment.json")))
                break
        else:
            missing.append(name)
    if not runs:
        raise configs.ConfigError(
            f"no finished run of {paper} in {results}{f' at scale {scale}' if scale else ''}; "
            f"start with: python -m experiments.run {own[0]}"
        )
    return runs, missing


def paper_markdown(
    paper: str,
    runs: list[Finished],
    missing: list[str],
    reported: tuple[ReportedNumber, ...],
    figures: str = "",
) -> str:
    """The report of a paper: a count of its claims, then tables, claims and origin of each run.

    Args:
        paper: Name of the paper.
        runs: Its finished runs.
        missing: Names of configs without a run.
        reported: Published numbers.
        figures: Folder of the figures as links see it; default the folder of each run.
    """
    verdicts: list[ClaimResult] = []
    sections = []
    for finished in runs:
        frame = read_records(finished.folder / "records.parquet")
        claims = [claim.evaluate(frame) for claim in finished.study.claims]
        verdicts += claims
        table = Path(finished.config).name
        where = f"{figures}/{table}" if figures else str(finished.folder)
        body = run_markdown(finished.study, frame, claims, reported, figures=where)
        sections.append(f"{body}\n{_origin(finished)}\n")
    counts = ", ".join(f"{sum(c.status == s for c in verdicts)} {s}" for s in ("held", "failed", "undecided"))
    head = f"# {paper}: our numbers beside the published ones\n\nClaims: {counts}.\n"
    if missing:
        head += "\nNot run yet: " + ", ".join(missing) + ".\n"
    return "\n".join([head, *sections])


def publish(
    paper: str,
    runs: list[Finished],
    missing: list[str],
    reported: tuple[ReportedNumber, ...],
    docs: Path = DOCS,
) -> Path:
    """Writes ``<docs>/<paper>.md`` and draws its figures from the records; returns the page."""
    folder = docs / paper
    shutil.rmtree(folder, ignore_errors=True)
    for finished in runs:
        frame = read_records(finished.folder / "records.parquet")
        own = [number for number in reported if number.experiment == finished.study.name]
        for figure in finished.study.figures:
            path = folder / Path(finished.config).name / f"{figure.name}.png"
            save_figure(figure, frame, path, own)
    header = f"<!-- Written by `python -m experiments.report {paper} --publish`; do not edit. -->\n\n"
    path = docs / f"{paper}.md"
    write_text(path, header + paper_markdown(paper, runs, missing, reported, figures=paper))
    return path


def _origin(finished: Finished) -> str:
    env = finished.environment
    devices = env.get("devices") or ["unknown device"]
    count = finished.study.replications
    each = f"{count} replications per cell" if count > 1 else "each cell computed once"
    return (
        f"*Scale {finished.scale}, {each}, {env.get('date')}; "
        f"commit {env.get('commit') or 'unknown'}; {len(devices)} x {devices[0]}, mode {env.get('mode')}, "
        f"{env.get('precision', 'float64')}, "
        f"{env.get('wall_seconds')} s of which {env.get('compile_seconds')} s compiling.* "
        f"Regenerate: `python -m experiments.run {finished.config} --scale {finished.scale}`"
    )


if __name__ == "__main__":
    sys.exit(main())
