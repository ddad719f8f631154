"""Slurm: a batch script for ``sbatch`` with one task per GPU (or per node), which JAX finds by itself.

A minute before the time limit, and when it is preempted, the job gets SIGTERM. The run then saves its work and exits
with code 75, and the script puts the job back into the queue. Results must be on a file system that all nodes share, or
in a bucket.
"""

import dataclasses
import re
import shlex
from collections.abc import Sequence

from causalrep.errors import InputError
from causalrep.parallel.distributed import PREEMPTED
from experiments.launch.shell import call, option, run_line


@dataclasses.dataclass(frozen=True)
class Job:
    """The resources to ask the scheduler for."""

    nodes: int = option("number of nodes", 1)
    gpus: int = option("GPUs per node; 0 on CPU nodes", 0)
    time: str = option("time limit in Slurm's format", "04:00:00")
    partition: str = option("partition, if not the default", "")
    account: str = option("account, if not the default", "")
    cpus: int = option("CPU cores per task", 8)
    name: str = option("name of the job", "causalrep")
    directory: str = option("folder of the clone, on the shared file system", ".")
    python: str = option("Python interpreter of the environment in that folder", ".venv/bin/python")
    restarts: int = 0

    def __post_init__(self) -> None:
        for field in ("time", "partition", "account", "name"):
            # These values are written into comment lines of the script, which have no quoting.
            if not re.fullmatch(r"[\w.,:@/+-]*", getattr(self, field)):
                raise InputError(field, found=repr(getattr(self, field)), expected="no spaces or special characters")


def script(job: Job, run: Sequence[str]) -> str:
    """The batch script."""
    tasks = job.gpus or 1
    asked = [
        f"--job-name={job.name}",
        f"--nodes={job.nodes}",
        f"--ntasks-per-node={tasks}",
        f"--cpus-per-task={job.cpus}",
        *([f"--gpus-per-node={job.gpus}"] if job.gpus else []),
        f"--time={job.time}",
        *([f"--partition={job.partition}"] if job.partition else []),
        *([f"--account={job.account}"] if job.account else []),
        "--signal=TERM@60",
        "--requeue",
        "--open-mode=append",
    ]
    lines = ["#!/bin/bash", *(f"#SBATCH {flag}" for flag in asked), f"cd {shlex.quote(job.directory)} || exit 2"]
    lines += [f"srun --label {run_line(job.python, run)}", "code=$?"]
    if job.restarts:
        lines += [
            f'if [ $code -eq {PREEMPTED} ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {job.restarts} ]; then',
            '  scontrol requeue "$SLURM_JOB_ID"',
            "fi",
        ]
    return "\n".join([*lines, "exit $code", ""])


def describe(job: Job, run: Sequence[str]) -> str:
    """The script and the command that submits it."""
    return f"sbatch <<'SCRIPT'\n{script(job, run)}SCRIPT"


def launch(job: Job, run: Sequence[str]) -> int:
    """Submits the script with ``sbatch`` and returns its exit code as soon as the job is queued."""
    return call(["sbatch"], stdin=script(job, run))
