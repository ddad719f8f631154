"""Run several processes as one program: start them, keep them in step, and stop them together.

JAX's own multi-controller runtime does the work: every process runs the same program on its own devices, and the
coordination service in process 0 connects them. This module adds what a long run needs on machines that may fail:

* :func:`initialize` finds the cluster (TPU pod, Slurm, Open MPI) or takes explicit flags; on one machine it does
  nothing.
* :func:`agree`, :func:`gather` and :func:`barrier` keep processes in step.
* :func:`guard` ends every process with a nonzero exit code soon after one of them fails, and names that one.
* :func:`preemption` turns SIGTERM into an orderly stop with the exit code :data:`PREEMPTED`, which launchers take as
  "saved; run the same command again".

Import from here. Communication is implemented in :mod:`causalrep.parallel.processes`, failure handling in
:mod:`causalrep.parallel.watch`.
"""

import os
import signal
import socket
import threading
import time

import jax

from causalrep.base.validation import check_count
from causalrep.errors import InputError, first_line
from causalrep.parallel.processes import (
    DistributedError,
    agree,
    agree_bytes,
    barrier,
    gather,
    gather_rows,
    is_main,
)
from causalrep.parallel.watch import (
    INTERRUPTED,
    PREEMPTED,
    Failure,
    Preempted,
    Preemption,
    Watch,
    guard,
    is_default_handler,
    leave_preempted,
    preemption,
)

__all__ = [
    "INTERRUPTED",
    "PREEMPTED",
    "DistributedError",
    "Failure",
    "Preempted",
    "Preemption",
    "agree",
    "agree_bytes",
    "barrier",
    "gather",
    "gather_rows",
    "guard",
    "host_of",
    "initialize",
    "is_main",
    "preemption",
]


def initialize(
    coordinator: str | None = None,
    process_count: int | None = None,
    process_index: int | None = None,
    *,
    connect_timeout: float = 300.0,
    missing_after: float = 60.0,
) -> None:
    """Join the processes of a run. Call it before the first JAX computation; further calls do nothing.

    Without arguments, JAX detects a TPU pod, Slurm or Open MPI, and on a single machine nothing happens. Elsewhere give
    the first three arguments.

    Args:
        coordinator: ``"host:port"`` of process 0; the port must be free.
        process_count: Number of processes.
        process_index: Index of this process, from 0.
        connect_timeout: Seconds to wait for the other processes.
        missing_after: Seconds of silence after which a process counts as dead and the others stop.

    Raises:
        InputError: If the flags contradict each other.
        DistributedError: If the processes do not find each other, or JAX has already started.
    """
    explicit = _check_flags(coordinator, process_count, process_index)
    if jax.distributed.is_initialized():
        current = (jax.process_count(), jax.process_index())
        if explicit and current != (process_count, process_index):
            raise DistributedError(
                f"already initialized as process {current[1]} of {current[0]}, not {process_index} of {process_count}"
            )
        return
    if process_count == 1:
        return
    if coordinator is not None and process_index:
        _await_coordinator(coordinator, connect_timeout)
    try:
        jax.distributed.initialize(
            coordinator,
            process_count,
            process_index,
            initialization_timeout=int(connect_timeout),
            # Our watch reports first and names the host; JAX's own heartbeat is the fallback.
            heartbeat_timeout_seconds=int(2 * missing_after + 10),
            shutdown_timeout_seconds=30,
        )
    except ValueError as error:
        if explicit:
            raise DistributedError(f"the processes could not be joined: {error}") from error
        return  # no cluster was detected: a single machine
    except RuntimeError as error:
        late = "must be called before" in str(error)
        if late and not explicit and _expected_processes() == 1:
            return
        reason = (
            "JAX had already started: join the processes before the first computation"
            if late
            else f"{coordinator or 'the coordinator'} did not answer ({first_line(error)})"
        )
        raise DistributedError(f"the processes could not be joined: {reason}.") from error
    if jax.process_count() > 1:
        Watch.start(missing_after)
        if threading.current_thread() is threading.main_thread() and is_default_handler():
            # JAX also installs a SIGTERM handler, for a service of its own that few programs use; the signal would be
            # lost there.
            signal.signal(signal.SIGTERM, leave_preempted)


def host_of(process: int) -> str:
    """The name of the host a process runs on."""
    return Watch.current.hosts[process] if Watch.current else socket.gethostname()


def _check_flags(coordinator: str | None, process_count: int | None, process_index: int | None) -> bool:
    """Whether the flags are given; raises an error if only some are, or a value is impossible."""
    flags = {"coordinator": coordinator, "process_count": process_count, "process_index": process_index}
    given = [name for name, value in flags.items() if value is not None]
    if given and len(given) < 3:
        absent = " and ".join(name for name in flags if name not in given)
        raise InputError(absent, found="None", expected=f"a value, since {' and '.join(given)} is given")
    if coordinator is None or process_count is None or process_index is None:
        return False
    for name, value, least in (("process_count", process_count, 1), ("process_index", process_index, 0)):
        check_count(name, value, at_least=least)
    if process_index >= process_count:
        raise InputError("process_index", found=process_index, expected=f"less than process_count = {process_count}")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError("coordinator", found=repr(coordinator), expected="'host:port' of process 0")
    return True


def _await_coordinator(coordinator: str, timeout: float) -> None:
    # JAX would wait as long and then abort the process in C++, without a Python exception.
    host, _, port = coordinator.rpartition(":")
    until = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise DistributedError(
                    f"the coordinator {coordinator} did not answer within {timeout:g} s ({error}). Is process 0 "
                    "running there, and the port open?"
                ) from error
            time.sleep(0.2)


def _expected_processes() -> int:
    """Number of processes according to the environment, for when JAX has started and cannot look for a cluster."""
    if {"SLURM_STEP_NODELIST", "SLURM_PROCID"} <= set(os.environ):
        return int(os.environ.get("SLURM_NTASKS", "1"))
    if "OMPI_COMM_WORLD_SIZE" in os.environ:
        return int(os.environ["OMPI_COMM_WORLD_SIZE"])
    return len(os.environ.get("TPU_WORKER_HOSTNAMES", "").split(","))
