"""Run one experiment: ``python -m experiments.run ivl/linear_simulation [--scale ...] [--field value]``.

Run it in the root of the repository. ``--list`` shows every config, and ``<config> --help`` every field with its
default. A run may be stopped at any moment and continues with the same command. On a TPU pod, or under Slurm or Open
MPI, start the command on every host. On other clusters also give ``--coordinator``, ``--process-count`` and
``--process-index``; ``python -m experiments.launch`` does this for you.
"""

import argparse
import dataclasses
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table as Listing

from causalrep.errors import CausalrepError, CausalrepWarning
from causalrep.parallel import distributed
from causalrep.study import Records, claims_markdown, load_reported, run
from experiments import configs
from experiments.terminal import begin
from experiments.tools.compile_for import compile_study, prefer_cpu

LOWER_BOUND = "operations in library calls, such as factorizations, are not counted; loops of unknown length count once"


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the command line that do not belong to a config.

    Attributes:
        scale: Preset: smoke takes seconds, small takes minutes, paper is the full setup.
        results: Folder for all results, or a bucket: gs://..., s3://...
        mode: How replications run; auto chooses by device.
        chunk: Replications per call; None chooses by the program's memory.
        precision: Replaces the study's precision: float64, float32 (full matrix products), or float64 on the host.
        compile_for: Compile for a slice and report, without running (tpu:v5e:16x16, any topology; cuda only lowers).
        profile: Write a trace of the first chunks next to the results, and count operations.
        count_operations: Count the floating-point operations of the compiled programs.
        other_code: Records of changed code: refuse them, keep them with a warning, or recompute them.
        tensorboard: Folder for TensorBoard scalars that show the run's progress.
        coordinator: host:port of process 0, if no cluster is detected.
        process_count: Number of processes, if no cluster is detected.
        process_index: Index of this process, from 0, if no cluster is detected.
    """

    scale: Literal["smoke", "small", "paper"] = "small"
    results: str = "results"
    mode: Literal["auto", "loop", "vmap", "sharded"] = "auto"
    chunk: int | None = None
    precision: Literal["auto", "float64", "float32", "host"] = "auto"
    compile_for: str | None = None
    profile: bool = False
    count_operations: bool = False
    other_code: Literal["refuse", "keep", "recompute"] = "refuse"
    tensorboard: str | None = None
    coordinator: str | None = None
    process_count: int | None = None
    process_index: int | None = None


def main(
    argv: list[str] | None = None,
    *,
    config_root: Path = configs.CONFIGS,
    papers_root: Path = configs.PAPERS,
    tables: bool = True,
) -> int:
    """The command line; returns the exit code.

    The codes are 0, 2 for a user's error, 75 if the run was preempted and 130 if it was interrupted. With
    ``--compile-for``, 1 says that a program does not fit the slice or runs an unexpected collective. If one of several
    processes fails, all of them end with its code.

    Args:
        argv: Arguments; default those of this process.
        config_root: Folder of the configs.
        papers_root: Folder with the published numbers of each paper.
        tables: Whether to print tables and claims. The main job prints them later, in one report per paper.
    """
    argv, description = sys.argv[1:] if argv is None else list(argv), begin(__doc__)
    warnings.showwarning = _show_warning
    try:
        if not argv or argv[0] in ("-h", "--help"):
            print(f"{description}\n")
            _list(config_root)
            return 0 if argv else 2
        if "--list" in argv:
            _list(config_root)
            return 0
        if argv[0].startswith("-"):
            raise configs.ConfigError(f"the config comes first, found {argv[0]!r}; for example: ivl/linear_simulation")
        name, arguments = argv[0], argv[1:]
        options, config = _parse(name, arguments, config_root)
        if options.compile_for is not None:
            prefer_cpu()
            study = configs.study_of(config)
            return compile_study(study, options.compile_for, chunk=options.chunk, precision=options.precision)
        distributed.initialize(options.coordinator, options.process_count, options.process_index)
        with distributed.guard():
            started = time.perf_counter()
            reported = load_reported(configs.reported_file(name.split("/")[0], papers_root))
            records = run(
                configs.study_of(config),
                options.results,
                mode=options.mode,
                chunk=options.chunk,
                scale=options.scale,
                reported=reported,
                profile=options.profile,
                tensorboard=options.tensorboard,
                precision=options.precision,
                count_operations=options.count_operations or options.profile,
                other_code=options.other_code,
            )
            if distributed.is_main():
                _print_report(records, reported if tables else None, time.perf_counter() - started)
    except distributed.Preempted as stop:
        print(stop, file=sys.stderr)
        return distributed.PREEMPTED
    except KeyboardInterrupt:
        print("\nInterrupted. Finished parts are kept; the same command continues from them.", file=sys.stderr)
        return distributed.INTERRUPTED
    except CausalrepError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(name: str, arguments: list[str], root: Path) -> tuple[Options, configs.Config]:
    scales = configs.load(name, root)
    # The scale sets the defaults of all other fields, so it is read first. tyro then checks all arguments.
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--scale", default=Options.scale)
    try:
        scale = early.parse_known_args(arguments)[0].scale
    except argparse.ArgumentError:
        scale = Options.scale
    preset = scales.get(scale, scales[Options.scale])
    clash = {field.name for field in dataclasses.fields(preset)} & {f.name for f in dataclasses.fields(Options)}
    if clash:
        raise configs.ConfigError(f"{name}: the command line has options named {sorted(clash)}; rename these fields.")
    # One dataclass with two groups of flags; the empty name keeps tyro from writing --options.scale.
    command = dataclasses.make_dataclass(
        "Command",
        [
            (
                "options",
                Annotated[Options, tyro.conf.arg(name="")],
                dataclasses.field(default_factory=Options),
            ),
            ("config", Annotated[type(preset), tyro.conf.arg(name="")], dataclasses.field(default=preset)),
        ],
        frozen=True,
    )
    entry = configs.entry(name, root)
    description = f"{entry.reproduces} Expected time: {entry.expected_time}"
    parsed = tyro.cli(command, args=arguments, prog=f"python -m experiments.run {name}", description=description)
    return parsed.options, parsed.config


def _list(root: Path) -> None:
    listing = Listing("config", "reproduces", "expected time", "data", box=None, pad_edge=False)
    for entry in configs.entries(root):
        listing.add_row(entry.name, entry.reproduces, entry.expected_time, ", ".join(entry.data))
    console = Console()
    if not console.is_terminal:
        # One line per config, in case a program reads the list.
        console = Console(width=500)
    console.print(listing)


def _print_report(records: Records, reported: tuple | None, seconds: float) -> None:
    if reported is not None:
        own = [number for number in reported if number.experiment == records.study.name]
        print()
        for table in records.study.tables:
            print(table.markdown(records.frame, own))
        claims = records.claims()
        if claims:
            print(claims_markdown(claims))
    if records.computed:
        print(_speed(records.environment))
    print(f"{len(records.frame)} records in {seconds:.1f} s: {records.folder}")


def _speed(environment: Mapping[str, Any]) -> str:
    """Says how many replications were computed, how fast, and with how many operations."""
    count, compute = environment["replications_computed"], environment["compute_seconds"]
    devices = f"{len(environment['devices'])} x {environment['devices'][0]}"
    processes = f", {environment['processes']} processes" if environment["processes"] > 1 else ""
    lines = [
        f"{count} replications in {compute:.3g} s ({count / max(compute, 1e-9):.3g}/s) after "
        f"{environment['compile_seconds']:.3g} s of compiling; {environment['mode']} on {devices}{processes}."
    ]
    for chunk in environment["chunks"]:
        if chunk.get("by_memory"):
            cells = ", ".join(str(cell + 1) for cell in chunk["cells"])
            lines.append(f"Cells {cells}: {chunk['replications']} replications per call, limited by {chunk['why']}.")
    if environment.get("flops") and count:
        each, rate = environment["flops"] / count, environment["flops"] / max(compute, 1e-9)
        least, why = ("", "") if environment["flops_complete"] else ("at least ", f" ({LOWER_BOUND})")
        lines.append(f"As compiled: {least}{each:.3g} FLOP per replication, so {least}{rate:.3g} FLOP/s{why}.")
    return "\n".join(lines)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    if issubclass(category, CausalrepWarning):
        print(f"warning: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
