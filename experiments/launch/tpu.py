"""A Cloud TPU pod slice: runs one command on every host by ``gcloud compute tpus tpu-vm ssh --worker=all``.

JAX finds the other hosts by itself. ``--install`` first copies this folder to every host and installs the package
there. Write results to a bucket that all hosts can reach (``--results gs://...`` after ``--``).
"""

import dataclasses
import shlex
from collections.abc import Sequence

from experiments.launch.shell import call, option, restarting, run_line


@dataclasses.dataclass(frozen=True)
class Pod:
    """An existing slice, and how to reach it."""

    name: str = option("name of the TPU VM")
    zone: str = option("zone of the TPU VM, for example us-west4-a")
    project: str = option("project of the TPU VM, if not gcloud's default", "")
    directory: str = option("folder of the clone on the hosts, in the home folder", "causalrep")
    install: bool = option("first copy this folder to all hosts and install the package there", False)
    restarts: int = 0


def commands(pod: Pod, run: Sequence[str]) -> list[list[str]]:
    """The gcloud commands, in order."""
    where = [f"--zone={pod.zone}", *([f"--project={pod.project}"] if pod.project else []), "--worker=all"]
    ssh = ["gcloud", "compute", "tpus", "tpu-vm", "ssh", pod.name, *where]
    enter = f"cd {shlex.quote(pod.directory)}"
    lines = []
    if pod.install:
        copy = ["gcloud", "compute", "tpus", "tpu-vm", "scp", "--recurse", ".", f"{pod.name}:{pod.directory}", *where]
        setup = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[tpu,data]' gcsfs tensorboardX"
        lines += [copy, [*ssh, f"--command={enter} && {setup}"]]
    body = restarting(run_line(".venv/bin/python", run), pod.restarts)
    return [*lines, [*ssh, f"--command={enter} && {{ {body}; }}"]]


def describe(pod: Pod, run: Sequence[str]) -> str:
    """The commands in the syntax of a shell."""
    return "\n".join(shlex.join(command) for command in commands(pod, run))


def launch(pod: Pod, run: Sequence[str]) -> int:
    """Runs the commands until one fails; returns its exit code."""
    for command in commands(pod, run):
        code = call(command)
        if code:
            return code
    return 0
