"""Start an experiment on several processes: ``python -m experiments.launch <launcher> [flags] -- <run arguments>``.

The launchers are local, tpu, gke and slurm. The arguments after ``--`` are those of ``python -m experiments.run``.
``--dry-run`` prints what would run and runs nothing. Exit code 75 means that the run was preempted: finished work is
kept, and the same command continues from it. With ``--restarts`` a launcher starts such a run again by itself.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

from causalrep.errors import CausalrepError, InputError
from experiments import configs
from experiments.launch import gke, local, slurm, tpu
from experiments.terminal import begin

LAUNCHERS = {"tpu": (tpu.Pod, tpu), "gke": (gke.Workload, gke), "slurm": (slurm.Job, slurm)}
LOCAL_RUN = [sys.executable, "-m", "experiments.run"]


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code of the launched program, or 2 for a user's error."""
    argv = sys.argv[1:] if argv is None else list(argv)
    flags, run = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    options = _parser().parse_args(flags)
    try:
        _check(run)
        if options.launcher == "local":
            if options.dry_run:
                print(local.describe([*LOCAL_RUN, *run], options.processes, options.devices))
                return 0
            return local.launch([*LOCAL_RUN, *run], options.processes, options.devices, restarts=options.restarts)
        kind, module = LAUNCHERS[options.launcher]
        job = kind(**{field.name: getattr(options, field.name) for field in dataclasses.fields(kind)})
        if options.dry_run:
            print(module.describe(job, run))
            return 0
        return module.launch(job, run)
    except CausalrepError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.launch",
        description=begin(__doc__),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    launchers = parser.add_subparsers(dest="launcher", required=True)
    here = _launcher(launchers, "local", local.__doc__ or "")
    here.add_argument("--processes", type=_count, default=2, help="number of processes (%(default)s)")
    here.add_argument("--devices", type=_count, default=1, help="virtual CPU devices per process (%(default)s)")
    for name, (kind, module) in LAUNCHERS.items():
        _add_fields(_launcher(launchers, name, module.__doc__ or ""), kind)
    return parser


def _launcher(launchers: Any, name: str, doc: str) -> argparse.ArgumentParser:
    parser = launchers.add_parser(
        name, help=doc.partition("\n")[0], description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would run")
    parser.add_argument(
        "--restarts", type=_natural, default=0, help="how often to start again after a preemption (%(default)s)"
    )
    return parser


def _add_fields(parser: argparse.ArgumentParser, kind: type) -> None:
    """Adds a flag for each field of a launcher's dataclass, with the field's name, type, default and help."""
    types: dict[type, Callable[[str], Any]] = {int: _count}
    for field in dataclasses.fields(kind):
        if field.name == "restarts":
            continue
        flag, note = "--" + field.name.replace("_", "-"), field.metadata["help"]
        if field.type is bool:
            parser.add_argument(flag, action="store_true", help=note)
        elif field.default is dataclasses.MISSING:
            parser.add_argument(flag, required=True, type=types.get(field.type, str), help=note)
        else:
            shown = f"{note} ({field.default})" if field.default else note
            parser.add_argument(flag, default=field.default, type=types.get(field.type, str), help=shown)


def _check(run: Sequence[str]) -> None:
    """Refuses a misspelled config, and flags that a launcher sets, before anything starts on the hosts."""
    if not run:
        raise InputError("run arguments", found="none", expected="-- <config> [--scale ...] after the launcher's flags")
    configs.load(run[0])
    for flag in ("--coordinator", "--process-count", "--process-index"):
        if any(argument.split("=")[0] in (flag, flag.replace("-", "_").replace("__", "--")) for argument in run):
            raise InputError(flag, found="in the run arguments", expected="nothing: the launcher sets it")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {value}; expected at least 1")
    return value


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"found {value}; expected at least 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
