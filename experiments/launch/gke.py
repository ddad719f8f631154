"""TPU slices on Google Kubernetes Engine: a JobSet, given to ``kubectl``, or made by xpk (``--xpk``).

``--tpu v5e:4x4`` names the chip and the topology of a slice. The container image holds a clone of this repository with
its packages installed, and the clone is its working directory. JAX finds the other hosts by itself. A slice that is
preempted or loses a host starts again, up to ``--restarts`` times; after a user's error (exit code 2) it does not.
"""

import dataclasses
import json
import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

from causalrep.errors import InputError
from causalrep.parallel.distributed import PREEMPTED
from experiments.launch.shell import call, option, run_line

# The node label of each chip, and xpk's name for a slice with that many chips. In slices of several hosts all have four
# chips per host (cloud.google.com/kubernetes-engine/docs/concepts/tpus). The names of v4 and v5p slices count cores, of
# which a chip has two.
CHIPS = {
    "v4": ("tpu-v4-podslice", lambda chips: f"v4-{2 * chips}"),
    "v5e": ("tpu-v5-lite-podslice", lambda chips: f"v5litepod-{chips}"),
    "v5p": ("tpu-v5p-slice", lambda chips: f"v5p-{2 * chips}"),
    "v6e": ("tpu-v6e-slice", lambda chips: f"v6e-{chips}"),
}
CHIPS_PER_HOST = 4
USER_ERROR = 2


@dataclasses.dataclass(frozen=True)
class Workload:
    """What to run, and on which slices of which cluster."""

    tpu: str = option("chip and topology of a slice: v5e:4x4, v6e:16x16, v5p:4x4x4, ...")
    image: str = option("container image")
    name: str = option("name of the workload", "causalrep")
    slices: int = option("number of slices", 1)
    namespace: str = option("Kubernetes namespace", "default")
    queue: str = option("Kueue's local queue, if the cluster has one", "")
    xpk: bool = option("let xpk make the JobSet; needs --cluster", False)
    cluster: str = option("cluster, for xpk", "")
    zone: str = option("its zone, for xpk", "")
    project: str = option("its project, for xpk", "")
    restarts: int = 0


def manifest(work: Workload, run: Sequence[str]) -> dict[str, Any]:
    """The JobSet as a JSON object; Kubernetes accepts JSON wherever it accepts YAML."""
    chip, topology, chips = _slice(work.tpu)
    hosts = max(1, chips // CHIPS_PER_HOST)
    labels = {"kueue.x-k8s.io/queue-name": work.queue} if work.queue else {}
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 60,
        "nodeSelector": {
            "cloud.google.com/gke-tpu-accelerator": CHIPS[chip][0],
            "cloud.google.com/gke-tpu-topology": topology,
        },
        "containers": [
            {
                "name": "run",
                "image": work.image,
                # Kubernetes replaces $(NAME) by a variable; $$( stands for a literal $(.
                "command": ["python", "-m", "experiments.run", *(text.replace("$(", "$$(") for text in run)],
                "resources": {"limits": {"google.com/tpu": min(chips, CHIPS_PER_HOST)}},
            }
        ],
    }
    # The exit of a pod fails its job at once (backoffLimit 0). Only a user's error fails it by this rule, and then the
    # JobSet fails for good. After any other failure (preemption, a lost host) the whole JobSet starts again.
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "run", "operator": "In", "values": [USER_ERROR]}}
    job = {
        "parallelism": hosts,
        "completions": hosts,
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [rule]},
        "template": {"spec": pod},
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {
            "name": work.name,
            "namespace": work.namespace,
            "labels": labels,
            "annotations": {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"},
        },
        "spec": {
            "failurePolicy": {
                "maxRestarts": work.restarts,
                "rules": [{"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}],
            },
            "replicatedJobs": [{"name": "slice", "replicas": work.slices, "template": {"spec": job}}],
        },
    }


def xpk_command(work: Workload, run: Sequence[str]) -> list[str]:
    """The command with which xpk creates the same workload."""
    if not work.cluster:
        raise InputError("cluster", found="nothing", expected="the cluster's name, because of --xpk")
    chip, _, chips = _slice(work.tpu)
    place = [f"--{name}={value}" for name, value in (("zone", work.zone), ("project", work.project)) if value]
    again = [f"--max-restarts={work.restarts}", f"--restart-on-exit-codes={PREEMPTED}"] if work.restarts else []
    return [
        *("xpk", "workload", "create", f"--cluster={work.cluster}", *place, f"--workload={work.name}"),
        *(f"--tpu-type={CHIPS[chip][1](chips)}", f"--num-slices={work.slices}", f"--docker-image={work.image}"),
        *(*again, f"--command={run_line('python', run)}"),
    ]


def describe(work: Workload, run: Sequence[str]) -> str:
    """The command that would run, in the syntax of a shell."""
    if work.xpk:
        return shlex.join(xpk_command(work, run))
    return f"kubectl apply -f - <<'MANIFEST'\n{json.dumps(manifest(work, run), indent=2)}\nMANIFEST"


def launch(work: Workload, run: Sequence[str]) -> int:
    """Creates the workload and returns the tool's exit code as soon as the workload is queued."""
    if work.xpk:
        return call(xpk_command(work, run))
    return call(["kubectl", "apply", "-f", "-"], stdin=json.dumps(manifest(work, run)))


def _slice(text: str) -> tuple[str, str, int]:
    match = re.fullmatch(r"(\w+):(\d+(?:x\d+){1,2})", text)
    if not match or match.group(1) not in CHIPS:
        chips = ", ".join(sorted(CHIPS))
        raise InputError("tpu", found=repr(text), expected=f"<chip>:<topology>, such as v5e:4x4; chips are {chips}")
    chip, topology = match.groups()
    return chip, topology, math.prod(int(side) for side in topology.split("x"))
