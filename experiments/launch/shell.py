"""What the launchers share: a field with help, and running commands of tools that may not be installed."""

import dataclasses
import shlex
import subprocess
from collections.abc import Sequence
from typing import Any

from causalrep.errors import CausalrepError
from causalrep.parallel.distributed import PREEMPTED


class LaunchError(CausalrepError):
    """A launcher's tool is missing."""


def option(note: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that becomes a flag."""
    return dataclasses.field(default=default, metadata={"help": note})


def call(command: Sequence[str], *, stdin: str | None = None) -> int:
    """Run a command in the terminal and return its exit code.

    Raises:
        LaunchError: If its program is not installed.
    """
    try:
        return subprocess.run(list(command), input=stdin, text=True, check=False).returncode
    except FileNotFoundError as error:
        raise LaunchError(f"{command[0]}: not found. Install it, or see the commands with --dry-run.") from error


def restarting(command: str, restarts: int) -> str:
    """A shell line that runs a command again, so many times, while it exits as preempted."""
    if not restarts:
        return command
    again = f"for start in $(seq 0 {restarts}); do {command}; code=$?; [ $code -eq {PREEMPTED} ] || break; done"
    return f"{again}; exit $code"


def run_line(python: str, run: Sequence[str]) -> str:
    """The experiment's command line, quoted for a shell."""
    return shlex.join([python, "-m", "experiments.run", *run])
