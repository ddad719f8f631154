"""The fault matrix of training: processes killed at random moments; what is resumed ends in the same bytes."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("train_worker.py")
ROOT = WORKER.parent.parent.parent
STEPS = 200
FAST, SLOW = 2, 10


def start(out, folder, processes, devices):
    """The processes of one run, or the one process."""
    flag = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flag, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(WORKER), str(out), str(folder), str(STEPS)]
    address = f"localhost:{free_port()}"
    joined = [[address, str(processes), str(index)] if processes > 1 else [] for index in range(processes)]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    return [subprocess.Popen([*command, *join], env=environment, **pipes) for join in joined]


def finish(running, timeout=120):
    """Exit codes and error texts; every process must end by itself."""
    texts = [process.communicate(timeout=timeout)[1] for process in running]
    return [process.returncode for process in running], texts


def free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def wait_until_training(out, running):
    """Whether the run got as far as a first chunk; one resumed at its very end has none left."""
    started = out.with_suffix(".started")
    until = time.monotonic() + 90
    while not started.exists():
        assert time.monotonic() < until
        if any(process.poll() is not None for process in running):
            codes, texts = finish(running)
            assert set(codes) == {0}, texts
            return False
        time.sleep(0.01)
    started.unlink()
    return True


def run(out, folder, processes, devices):
    codes, texts = finish(start(out, folder, processes, devices))
    assert codes == [0] * processes, texts
    return out.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The result of each kind of run that nobody kills."""
    result = {}

    def of(kind, processes, devices):
        if (kind, processes, devices) not in result:
            folder = tmp_path_factory.mktemp("whole")
            result[kind, processes, devices] = run(folder / "out.json", folder / kind, processes, devices)
        return result[kind, processes, devices]

    return of


def disturb(folder, kind, processes, devices, how, chance):
    """Kill one process of a run at a random moment after its first chunk; the others must end too."""
    running = start(folder / "out.json", folder / kind, processes, devices)
    if not wait_until_training(folder / "out.json", running):
        return
    time.sleep(chance.uniform(0.0, 1.0))
    victim = chance.randrange(processes)
    finished = running[victim].poll() is not None
    running[victim].send_signal(how)
    began = time.monotonic()
    codes, texts = finish(running)
    if finished or codes == [0] * processes:
        return
    assert time.monotonic() - began < 60, (victim, codes, texts)
    if how == signal.SIGTERM:
        # After the last chunk a request to stop finds nothing left to stop.
        assert set(codes) <= {75, 0, -signal.SIGTERM}, texts
    else:
        assert codes[victim] == -signal.SIGKILL
        others = [code for index, code in enumerate(codes) if index != victim]
        assert all(code != 0 for code in others), texts
        for index, text in enumerate(texts):
            if index != victim and victim != 0:
                assert f"process {victim} on host {socket.gethostname()} failed" in text


@pytest.mark.parametrize(
    ("kind", "processes", "devices", "times"),
    [
        ("array", 2, 1, FAST),
        pytest.param("array", 1, 1, SLOW, marks=pytest.mark.slow),
        pytest.param("loader", 2, 4, SLOW, marks=pytest.mark.slow),
    ],
)
def test_a_killed_fit_ends_in_the_same_bytes(tmp_path, undisturbed, kind, processes, devices, times):
    chance = random.Random(f"{kind}{processes}")
    for number in range(times):
        disturb(tmp_path, kind, processes, devices, [signal.SIGTERM, signal.SIGKILL][number % 2], chance)
    result = run(tmp_path / "out.json", tmp_path / kind, processes, devices)
    assert result == undisturbed(kind, processes, devices)
