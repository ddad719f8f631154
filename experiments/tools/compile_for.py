"""``python -m experiments.run <config> --compile-for tpu:v5e:16x16``: would the config run on that slice?

Compiles the config's programs on this machine with the compiler of the slice, and prints what each program needs.
``python -m experiments.tools.compile_for [config ...] [--target ...]`` does this for the paper scale of all or some
configs, and writes their rows into the table of docs/running/pods-without-a-pod.md.
"""

import argparse
import dataclasses
import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
from rich.console import Console
from rich.table import Table

from causalrep.aot.programs import ProgramReport, compile_for
from causalrep.base.validation import check_range
from causalrep.errors import CausalrepError, InputError
from causalrep.study import Study
from causalrep.study.execution.placement import Precision, place
from causalrep.study.execution.programs import host_reason, study_programs
from experiments import configs
from experiments.terminal import begin
from experiments.tools.pages import update_table

PAGE = configs.ROOT / "docs" / "running" / "pods-without-a-pod.md"
TARGETS = ("tpu:v5e:4x4", "tpu:v5e:16x16")
COMMAND = "python -m experiments.tools.compile_for"
HEADER = [
    "config",
    "target",
    "program",
    "bytes/chip",
    "of memory",
    "FLOPs",
    "bytes moved",
    "collectives",
    "compile",
    "estimate",
    "compiled",
]

COLUMNS = (
    "program",
    "bytes/chip (arguments + outputs + temporaries + code)",
    "of memory",
    "FLOPs",
    "bytes moved",
    "collectives",
    "compile",
    "estimate",
)


def compile_study(study: Study, target: str, *, chunk: int | None = None, precision: Precision = "auto") -> int:
    """Compiles a study's programs for a target and prints their reports; returns 1 if any has a problem, else 0."""
    placement = place(study, precision, target.partition(":")[0])
    reports = compile_for(target, study_programs(study, target, chunk=chunk, precision=precision))
    record = placement.record()
    reason = host_reason(placement)
    if reason:
        print(f"{study.name}: nothing to compile for {target}: {reason}.")
        return 0
    print(f"{study.name}: {record['precision']} ({record['precision_why']})")
    print_reports(reports)
    return 1 if any(report.problems for report in reports) else 0


def print_reports(reports: Sequence[ProgramReport]) -> None:
    """Prints a table of the reports and notes on it, and each problem as a line of standard error."""
    table = Table(*COLUMNS, title=f"{reports[0].target}, {reports[0].chips} devices", box=None, pad_edge=False)
    for report in reports:
        table.add_row(report.name, *cells(report))
    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    console.print(table)
    for note in notes(reports):
        print(note)
    for report in reports:
        for problem in report.problems:
            print(f"error: {report.name}: {problem}", file=sys.stderr)


def cells(report: ProgramReport) -> list[str]:
    """The cells of a report's row, without its name."""
    memory, used = "unknown", "unknown"
    if report.too_large:
        memory = used = "does not fit"
    elif report.memory is not None:
        parts = (report.memory.arguments, report.memory.outputs, report.memory.temporaries, report.memory.code)
        memory = f"{size(report.memory.total)} ({' + '.join(map(size, parts))})"
        used = f"{report.memory.total / report.limit:.1%}" if report.limit else "unknown chip"
    # None says that the program was only lowered: XLA inserts collectives when it compiles.
    collectives = "unknown before compiling" if report.collectives is None else "none"
    if report.collective_totals():
        collectives = ", ".join(f"{n} {kind}, {size(b)}" for kind, (n, b) in report.collective_totals().items())
    estimate = "none"
    if report.estimate is not None:
        estimate = f"≥ {seconds(report.estimate.seconds)}, {report.estimate.bound}"
    return [
        memory,
        used,
        "unknown" if report.flops is None else count(report.flops),
        "unknown" if report.bytes is None else size(report.bytes),
        collectives,
        seconds(report.compile_seconds) if report.compile_seconds else f"lowered in {seconds(report.lower_seconds)}",
        estimate,
    ]


def notes(reports: Sequence[ProgramReport]) -> list[str]:
    """Sentences that explain the numbers in the table."""
    if all(report.collectives is None and not report.too_large for report in reports):
        return [
            "Lowered only: JAX compiles for a GPU only where one is present. Memory, collectives and time are unknown."
        ]
    lines = ["Per chip and call. Estimate: roofline from published peaks; nothing was timed."]
    if any(report.open_loops for report in reports):
        most = max(report.open_loops for report in reports)
        lines.append(f"Up to {most} loops end when the data say so (iterative factorizations); each body counts once.")
    kernels = sorted({name for report in reports for name in report.kernels})
    if kernels:
        lines.append(f"FLOPs do not include the compiler's own kernels: {', '.join(kernels)}.")
    if any(report.fast_products for report in reports):
        most = max(report.fast_products for report in reports)
        lines.append(f"Up to {most} matrix products use one bfloat16 pass, the default of float32 programs on TPUs.")
    return lines


def prefer_cpu() -> None:
    """Selects the CPU backend unless the user chose one: with libtpu installed JAX would first look for a TPU."""
    if not jax.config.jax_platforms:
        jax.config.update("jax_platforms", "cpu")


def size(number: float) -> str:
    """A number of bytes with its unit.

    >>> size(512), size(2.5 * 2**20)
    ('512 B', '2.5 MiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError


def count(number: float) -> str:
    """A count with a metric prefix.

    >>> count(950), count(1.23e9)
    ('950', '1.2 G')
    """
    for unit in ("", "k", "M", "G", "T"):
        if number < 1000 or unit == "T":
            return f"{number:.0f}" if not unit else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError


def seconds(number: float) -> str:
    """A duration with its unit.

    >>> seconds(3.2e-6), seconds(0.25), seconds(12.0)
    ('3.2 us', '250 ms', '12 s')
    """
    if number < 1e-3:
        return f"{number * 1e6:.3g} us"
    return f"{number * 1e3:.3g} ms" if number < 1 else f"{number:.3g} s"


def publish(
    names: Sequence[str],
    targets: Sequence[str],
    changes: Mapping[str, str] | None = None,
    page: Path = PAGE,
    most: int | None = None,
) -> int:
    """Writes the rows of some configs at paper scale into the table of the page; returns the number of problems.

    Args:
        names: Names of the configs.
        targets: The slices to compile for.
        changes: Values of text fields that differ from the paper scale; the table names them.
        page: The page that holds the table.
        most: Largest number of programs to compile per config, besides the one that gathers the results. A row says how
            many were left out. Default all.

    Raises:
        InputError: If a config has no such text field, or ``most`` is below 1.
    """
    if most is not None:
        check_range("most", most, at_least=1)
    problems = 0
    for config in names:
        study = configs.study_of(_with_text(config, changes or {}))
        name = config + "".join(f", {field}={value}" for field, value in (changes or {}).items())
        for target in targets:
            print(f"{name} for {target}", file=sys.stderr, flush=True)
            programs = study_programs(study, target)
            # The last program gathers the results; it is always compiled.
            chosen = [*programs[:most], programs[-1]] if most and len(programs) > most + 1 else programs
            reports, left = [], len(programs) - len(chosen)
            for program in chosen:
                reports += compile_for(target, [program])
                *_, compiled, _ = cells(reports[-1])
                print(f"  {program.name}: {compiled}", file=sys.stderr, flush=True)
            problems += sum(len(report.problems) for report in reports)
            # A study that runs on the host does so with any slice of a platform, so the platform has one row.
            platform = target.partition(":")[0]
            rows: dict[tuple[str, str], list[list[str]]] = {(name, target): [], (name, platform): []}
            if reports:
                rows[name, target] = [[name, target, report.name, *_short(report)] for report in reports]
                if left:
                    rows[name, target] += [[name, target, f"{left} more like these, not compiled", *["-"] * 8]]
            else:
                rows[name, platform] = [[name, platform, host_reason(place(study, "auto", platform)), *["-"] * 8]]
            update_table(page, COMMAND, HEADER, rows, lambda row: (row[0], _rank(row[1]), row[2].startswith("gather")))
    return problems


def _with_text(config: str, changes: Mapping[str, str]) -> configs.Config:
    """The paper scale of a config with some of its text fields changed."""
    preset = configs.load(config)["paper"]
    texts = [field.name for field in dataclasses.fields(preset) if isinstance(getattr(preset, field.name), str)]
    for name in changes:
        if name not in texts:
            expected = f"one of {', '.join(texts)}" if texts else "nothing: it has no text fields"
            raise InputError(f"set ({config})", found=name, expected=expected)
    return dataclasses.replace(preset, **changes)


def _rank(target: str) -> tuple[int, str]:
    return (TARGETS.index(target) if target in TARGETS else len(TARGETS), target)


def _short(report: ProgramReport) -> list[str]:
    memory, *rest = cells(report)
    problems = "; ".join(report.problems)
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    return [memory.partition(" (")[0], *rest, today if not problems else f"**{problems}**"]


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code: 1 if a program has a problem."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.tools.compile_for", description=f"Write rows of docs/{PAGE.name}, one per program."
    )
    parser.add_argument("configs", nargs="*", help="default: all")
    parser.add_argument("--target", action="append", help=f"default: {', '.join(TARGETS)}")
    parser.add_argument("--most", type=int, help="largest number of programs to compile per config; default: all")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=TEXT", help="value of a text field of the configs"
    )
    begin(__doc__)
    options = parser.parse_args(argv)
    prefer_cpu()
    changes = dict(change.partition("=")[::2] for change in options.set)
    try:
        names, targets = options.configs or configs.names(), options.target or TARGETS
        return 1 if publish(names, targets, changes, most=options.most) else 0
    except CausalrepError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
