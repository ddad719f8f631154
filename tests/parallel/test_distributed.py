"""Joining, agreeing, failing and stopping together: alone in this process, and with a second one."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.parallel import distributed
from causalrep.parallel.distributed import PREEMPTED, DistributedError, Preempted
from experiments.launch.local import _free_port, environment

ROOT = Path(__file__).resolve().parents[2]

PAIR = """
import hashlib, os, signal, sys, threading, time
import jax, numpy as np
from jax.experimental import multihost_utils
from causalrep.errors import RecordsError
from causalrep.parallel import distributed

index, port, what, victim = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
for _ in range(2):
    distributed.initialize(f"127.0.0.1:{port}", 2, index, missing_after=8.0)
mine = index == victim
with distributed.guard():
    assert distributed.is_main() == (index == 0)
    assert distributed.agree(["process", index]) == ["process", 0]
    assert distributed.agree_bytes(b"0123456789" * 10**5 if index == 0 else b"") == b"0123456789" * 10**5
    rows = distributed.gather_rows(np.full((2, 1), np.pi * 1e-200 + index))
    assert rows.tolist() == [[np.pi * 1e-200]] * 2 + [[np.pi * 1e-200 + 1]] * 2
    distributed.barrier("here")
    if what == "late" and mine:
        time.sleep(35)  # as if one process compiled for longer than a collective waits for its peer
    if what == "late":
        assert distributed.gather_rows(np.ones((1, 64))).shape == (2, 64)
    print("ready", flush=True)
    if what == "raise" and mine:
        raise RecordsError("the disk is full") if index else ZeroDivisionError("a mistake")
    if what == "kill" and mine:
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "stop":
        with distributed.preemption() as stop:
            while not stop.agreed():
                time.sleep(0.05)
        raise distributed.Preempted
    if what == "early":  # SIGTERM where nothing is to be saved
        time.sleep(60)
    if what == "overdue":
        with distributed.preemption(grace=0.5):
            hashlib.pbkdf2_hmac("sha256", b"long", b"work outside of Python", 10**9)
    if what not in ("end", "late"):
        while True:  # in a collective that the other one never joins
            multihost_utils.process_allgather(np.ones(3))
            time.sleep(0.05)
print("ended", flush=True)
"""

SCENARIOS = ["end 0", "raise 0", "raise 1", "kill 0", "kill 1", "stop 1", "overdue 1", "early 0"]


class Pair:
    """Two processes of the script above."""

    def __init__(self, what, victim):
        variables = {**os.environ, **environment(1), "PYTHONPATH": str(ROOT)}
        port = str(_free_port())
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-u", "-c", PAIR, str(index), port, what, victim],
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in range(2)
        ]

    def ready(self):
        for process in self.processes:
            for line in process.stdout:
                if line == "ready\n":
                    break
        return self

    def end(self):
        """Exit codes and error texts."""
        outputs = [process.communicate(timeout=300) for process in self.processes]
        return [process.returncode for process in self.processes], [err for _, err in outputs]


@pytest.fixture(scope="module")
def pairs():
    """Every scenario at once: most of their time is start-up and waiting."""
    started = {scenario: Pair(*scenario.split()) for scenario in SCENARIOS}
    yield started
    for pair in started.values():
        for process in pair.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def test_processes_end_together(pairs):
    assert pairs["end 0"].end()[0] == [0, 0]


@pytest.mark.slow
def test_a_process_that_comes_late_to_a_collective_is_waited_for():
    assert Pair("late", "1").end()[0] == [0, 0]


def test_a_failure_ends_all_and_is_named(pairs):
    codes, errors = pairs["raise 0"].end()
    assert codes == [1, 1]
    assert "Traceback" in errors[0]
    assert re.search(r"process 1 on \S+ stops: process 0 on host \S+ failed: ZeroDivisionError: a mistake", errors[1])
    codes, errors = pairs["raise 1"].end()
    assert codes == [2, 2], "a user's error has the command line's code everywhere"
    assert "Traceback" not in errors[1]
    assert "error: process 1 on host" in errors[1]
    assert re.search(r"process 0 on \S+ stops: process 1 on host \S+ failed: RecordsError: the disk is full", errors[0])


def test_a_killed_process_ends_the_other_in_bounded_time(pairs):
    codes, errors = pairs["kill 1"].end()
    assert codes == [1, -signal.SIGKILL]
    assert re.search(r"process 1 on host \S+ failed: no sign of life for", errors[0])
    codes, errors = pairs["kill 0"].end()
    assert codes[0] == -signal.SIGKILL
    assert codes[1] not in (0, PREEMPTED)
    # JAX's own abort may come first, which knows no host: the log names it beforehand.
    assert re.search(r"process 1 of 2 on \S+; process 0 coordinates, on \S+", errors[1])


def test_sigterm_to_one_stops_both_at_the_same_point(pairs):
    pair = pairs["stop 1"].ready()
    pair.processes[1].send_signal(signal.SIGTERM)
    codes, errors = pair.end()
    assert codes == [PREEMPTED, PREEMPTED]
    assert "continue with the same command" in errors[0]


def test_long_work_outside_of_python_does_not_outlast_the_grace(pairs):
    pair = pairs["overdue 1"].ready()
    pair.processes[1].send_signal(signal.SIGTERM)
    codes, errors = pair.end()
    assert codes == [PREEMPTED, PREEMPTED]
    assert "still computing: leaving" in errors[1]


def test_sigterm_is_never_lost(pairs):
    pair = pairs["early 0"].ready()
    pair.processes[0].send_signal(signal.SIGTERM)
    codes, errors = pair.end()
    assert codes == [PREEMPTED, PREEMPTED]
    assert "preempted by SIGTERM" in errors[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"coordinator": "a:1"}, "process_count and process_index: found None"),
        ({"process_count": 2, "process_index": 0}, "coordinator: found None"),
        ({"coordinator": "a:1", "process_count": 2, "process_index": 2}, "process_index: found 2"),
        ({"coordinator": "a:1", "process_count": 0, "process_index": 0}, "process_count: found 0"),
        ({"coordinator": "a:1", "process_count": 2, "process_index": -1}, "process_index: found -1"),
        ({"coordinator": "a", "process_count": 2, "process_index": 0}, "coordinator: found 'a'; expected 'host:port'"),
        ({"coordinator": "a:99999", "process_count": 2, "process_index": 0}, "coordinator"),
        ({"coordinator": "a:1", "process_count": True, "process_index": 0}, "process_count: found True"),
    ],
)
def test_contradictory_flags_are_named(flags, message):
    with pytest.raises(InputError, match=re.escape(message)):
        distributed.initialize(**flags)


def test_alone_nothing_happens(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_", "TPU_WORKER")):
            monkeypatch.delenv(name)
    jax.devices()
    distributed.initialize()
    distributed.initialize("localhost:1", 1, 0)
    assert not jax.distributed.is_initialized()
    assert distributed.is_main()
    assert distributed.agree({"a": 1}) == {"a": 1}
    assert distributed.agree_bytes(b"x") == b"x"
    rows = np.ones((2, 3))
    assert distributed.gather_rows(rows) is rows
    distributed.barrier("alone")
    with pytest.raises(KeyError), distributed.guard():
        raise KeyError("as it was")
    assert distributed.host_of(0)


def test_starting_too_late_on_a_cluster_is_an_error(monkeypatch):
    jax.devices()
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[1-2]")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    with pytest.raises(DistributedError, match="before the first computation"):
        distributed.initialize()
    monkeypatch.undo()
    with pytest.raises(DistributedError, match="before the first computation"):
        distributed.initialize(f"127.0.0.1:{_free_port()}", 2, 0)


def test_a_coordinator_that_is_not_there_is_named():
    with pytest.raises(DistributedError, match=r"127.0.0.1:\d+ did not answer within 0.3 s"):
        distributed.initialize(f"127.0.0.1:{_free_port()}", 2, 1, connect_timeout=0.3)


def test_sigterm_asks_and_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with distributed.preemption() as stop:
        assert not stop.agreed()
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not stop.requested and time.monotonic() < deadline:
            time.sleep(0.01)
        assert stop.agreed()
    assert signal.getsignal(signal.SIGTERM) == before
    assert Preempted().code == PREEMPTED
    assert "same command" in str(Preempted())


def test_a_program_s_own_handler_is_left_in_charge():
    caught = []
    before = signal.signal(signal.SIGTERM, lambda *_: caught.append(1))
    try:
        with distributed.preemption() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
            assert caught == [1]
            assert not stop.requested
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_the_main_thread_no_handler_is_set():
    outputs = []

    def body():
        with distributed.preemption() as stop:
            outputs.append(stop.agreed())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert outputs == [False]
