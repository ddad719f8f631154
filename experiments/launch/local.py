"""Several processes on this machine, each with its own virtual CPU devices: for tests, and to rehearse a pod.

The processes find each other through a free port. The launcher prints their output with the index of the process in
front. If one process fails, the launcher stops the others, reports which one it was and exits with its code.
"""

import os
import queue
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import TextIO

from causalrep.parallel.distributed import PREEMPTED

# A process that fails tells the others, which then exit by themselves. They get the first time for this, then SIGTERM,
# and after the second time SIGKILL.
LEAVE_SECONDS = 5.0
TERMINATE_SECONDS = 5.0
# Preempted processes first finish the chunk that they compute.
SAVE_SECONDS = 40.0


def commands(command: Sequence[str], processes: int, port: int) -> list[list[str]]:
    """The command of each process."""
    if processes == 1:
        return [list(command)]
    join = ["--coordinator", f"127.0.0.1:{port}", "--process-count", str(processes), "--process-index"]
    return [[*command, *join, str(index)] for index in range(processes)]


def environment(devices: int) -> dict[str, str]:
    """Environment variables of the processes that differ from those of this process."""
    flags = re.sub(r"--xla_force_host_platform_device_count=\S+", "", os.environ.get("XLA_FLAGS", "")).strip()
    return {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), "XLA_FLAGS": flags}


def describe(command: Sequence[str], processes: int, devices: int) -> str:
    """The commands in the syntax of a shell."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment(devices).items() if value)
    return "\n".join(f"{settings} {shlex.join(line)} &" for line in commands(command, processes, 12345)) + "\nwait"


def launch(
    command: Sequence[str],
    processes: int,
    devices: int,
    *,
    restarts: int = 0,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Runs the processes to their end; returns 0, or the exit code of the first one that failed.

    SIGTERM and SIGINT are passed on to all processes.

    Args:
        command: The program and its arguments, to which the flags of each process are added.
        processes: Number of processes.
        devices: Virtual CPU devices per process.
        restarts: How often to start again after the exit code :data:`PREEMPTED`.
        out: Stream for the output of the processes; default the output of this process.
        err: Stream for their errors; default the errors of this process.
    """
    while True:
        run = _Run(command, processes, devices, out or sys.stdout, err or sys.stderr)
        code = run.finish()
        if code != PREEMPTED or restarts == 0 or run.asked_to_stop:
            return code
        restarts -= 1
        print(f"launch: preempted; starting again ({restarts} more restarts)", file=err or sys.stderr, flush=True)


class _Run:
    def __init__(self, command: Sequence[str], processes: int, devices: int, out: TextIO, err: TextIO):
        self.asked_to_stop = False
        self._err = err
        self._ended: queue.Queue[tuple[int, int]] = queue.Queue()
        self._threads: list[threading.Thread] = []
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **environment(devices)}
        self._before = {kind: signal.signal(kind, self._pass_on) for kind in (signal.SIGTERM, signal.SIGINT)}
        self._processes: list[subprocess.Popen] = []
        for index, line in enumerate(commands(command, processes, _free_port())):
            process = subprocess.Popen(
                line,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C then reaches only the launcher, which passes it on once
            )
            self._processes.append(process)
            for pipe, sink in ((process.stdout, out), (process.stderr, err)):
                self._start(_stream, pipe, sink, f"[{index}] " if processes > 1 else "")
            self._start(lambda index=index, process=process: self._ended.put((index, process.wait())))

    def finish(self) -> int:
        """Waits for all processes and stops the rest if one fails."""
        first, deadline, sent = 0, None, None
        left = len(self._processes)
        try:
            while left:
                try:
                    index, code = self._ended.get(timeout=0.2 if deadline is None else max(0.0, deadline - _now()))
                except queue.Empty:
                    # The rest did not exit in time: first SIGTERM, at the next deadline SIGKILL.
                    if deadline is not None and _now() >= deadline:
                        sent = signal.SIGTERM if sent is None else signal.SIGKILL
                        self._signal(sent)
                        deadline = _now() + TERMINATE_SECONDS
                    continue
                left -= 1
                if code and not first:
                    # Popen reports a death by signal s as -s, a shell as 128 + s.
                    first = code if code > 0 else 128 - code
                    self._tell(index, code)
                    deadline = _now() + (SAVE_SECONDS if code == PREEMPTED else LEAVE_SECONDS)
        finally:
            self._signal(signal.SIGKILL)
            for thread in self._threads:
                thread.join()
            for kind, handler in self._before.items():
                signal.signal(kind, handler)
        return first

    def _tell(self, index: int, code: int) -> None:
        how = f"exited with code {code}"
        if code == PREEMPTED:
            how = f"was preempted and saved its work (code {code})"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        others = "" if len(self._processes) == 1 else "; the others are stopped"
        where = f"process {index} on host {socket.gethostname()}"
        print(f"launch: {where} {how}{others}", file=self._err, flush=True)

    def _pass_on(self, number: int, frame: object) -> None:
        self.asked_to_stop = True
        self._signal(signal.Signals(number))

    def _signal(self, kind: signal.Signals) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(kind)

    def _start(self, function, *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)


def _stream(pipe: TextIO, sink: TextIO, prefix: str) -> None:
    for line in pipe:
        sink.write(f"{prefix}{line}")
        sink.flush()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _now() -> float:
    return time.monotonic()
