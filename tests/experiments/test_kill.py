"""A process that is killed at random moments and started again writes the bytes of an uninterrupted run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DRIVER = """
import signal
# A shell starts background jobs with SIGINT ignored, and children inherit this: restore Python's default.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from pathlib import Path
from experiments.run import main
print("ready", flush=True)
sys.exit(main(sys.argv[3:], config_root=Path(sys.argv[1]), papers_root=Path(sys.argv[2])))
"""


def _start(roots, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    command = [
        sys.executable,
        "-c",
        DRIVER,
        str(roots["config_root"]),
        str(roots["papers_root"]),
        *arguments,
    ]
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def _records(results):
    (path,) = results.rglob("records.parquet")
    return path.read_bytes()


def _kill_after(process, results, parts, delay):
    """Kills the process a little after ``parts`` parts are finished, which is anywhere in the work on the next one."""
    while process.poll() is None and len(list(results.rglob("cell-*.parquet"))) < parts:
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


# The fast suite kills runs of two processes (test_faults.py), and fits (tests/training/test_kill.py).
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "parts", "kills", "longest"),
    [
        (["demo/slow"], 64, 8, 0.1),
        (["demo/location", "--replications", "64", "--samples", "8", "9", "--chunk", "1"], 256, 5, 0.02),
    ],
)
def test_killed_at_random_moments_and_resumed(roots, tmp_path, arguments, parts, kills, longest):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = _start(roots, *arguments, "--results", str(whole))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    chance = random.Random(0)
    for moment in sorted(chance.sample(range(parts - 8), kills)):
        process = _start(roots, *arguments, "--results", str(killed))
        _kill_after(process, killed, moment, chance.uniform(0.0, longest))
        assert process.returncode == -signal.SIGKILL
        assert not list(killed.rglob("records.parquet"))
    process = _start(roots, *arguments, "--results", str(killed))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert _records(killed) == _records(whole)
    assert not list(killed.rglob("parts"))


def test_interrupt_says_how_to_resume(roots, tmp_path):
    results = tmp_path / "results"
    process = _start(roots, "demo/slow", "--results", str(results))
    deadline = time.monotonic() + 60
    while not list(results.rglob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)  # the first part shows that imports are done and the run has started
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in err
    assert "Traceback" not in err
