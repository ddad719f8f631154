"""Shared by the launchers: fields with help texts, and calls of tools that may not be installed."""

import dataclasses
import shlex
import subprocess
from collections.abc import Sequence
from typing import Any

from causalrep.errors import CausalrepError
from causalrep.parallel.distributed import PREEMPTED


class LaunchError(CausalrepError):
    """The tool of a launcher is missing."""


def option(note: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that becomes a flag of the command line."""
    return dataclasses.field(default=default, metadata={"help": note})


def call(command: Sequence[str], *, stdin: str | None = None) -> int:
    """Runs a command in the terminal and returns its exit code.

    Raises:
        LaunchError: If the program is not installed.
    """
    try:
        return subprocess.run(list(command), input=stdin, text=True, check=False).returncode
    except FileNotFoundError as error:
        raise LaunchError(f"{command[0]}: not found. Install it, or see the commands with --dry-run.") from error


def restarting(command: str, restarts: int) -> str:
    """A shell line that runs a command again while it exits as preempted, at most ``restarts`` times."""
    if not restarts:
        return command
    again = f"for start in $(seq 0 {restarts}); do {command}; code=$?; [ $code -eq {PREEMPTED} ] || break; done"
    return f"{again}; exit $code"


def run_line(python: str, run: Sequence[str]) -> str:
    """The command line of the experiment, quoted for a shell."""
    return shlex.join([python, "-m", "experiments.run", *run])
