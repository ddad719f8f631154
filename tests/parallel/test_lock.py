"""The lock of a folder: one run at a time, on a disk and in a bucket, and none after its run is dead."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from causalrep.errors import CheckpointError, RecordsError
from causalrep.parallel import lock
from causalrep.parallel.lock import NAME, Lock
from causalrep.storage import as_path, write_bytes

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from causalrep.parallel.lock import Lock
from causalrep.storage import as_path
with Lock(as_path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(params=["disk", "bucket"])
def folder(request, tmp_path):
    return tmp_path if request.param == "disk" else as_path(f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def quick(monkeypatch):
    for name, seconds in (("BEAT", 0.05), ("SILENT", 0.6), ("LOOK", 0.1), ("SETTLE", 0.05)):
        monkeypatch.setattr(lock, f"{name}_SECONDS", seconds)


def holder(folder, seconds=60):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(seconds)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def record(folder):
    return json.loads((folder / NAME).read_bytes())


def elsewhere(folder, **changes):
    """The lock of a process on another machine."""
    with Lock(folder):
        held = record(folder)
    write_bytes(
        folder / NAME, json.dumps({**held, "host": "far", "machine": ["far"], "token": "t", **changes}).encode()
    )


def test_a_second_run_is_refused_by_name_and_a_later_one_is_not(folder):
    with Lock(folder):
        started = record(folder)["started"]
        expected = f"in use by another run: process {os.getpid()} on host .*, started {started}. Wait until it ends"
        with pytest.raises(CheckpointError, match=expected), Lock(folder, CheckpointError):
            pass
    assert not (folder / NAME).exists()
    with pytest.raises(ZeroDivisionError), Lock(folder):
        raise ZeroDivisionError
    with Lock(folder):
        pass


def test_the_lock_of_a_killed_process_of_this_machine_is_taken_over_at_once(tmp_path):
    process = holder(tmp_path)
    with pytest.raises(RecordsError, match=f"process {process.pid} on host"), Lock(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    # It is dead before its parent has noted that.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    before = time.monotonic()
    with Lock(tmp_path):
        assert record(tmp_path)["pid"] == os.getpid()
    assert time.monotonic() - before < lock.SILENT_SECONDS / 2
    process.wait()


def test_another_process_with_the_number_of_a_dead_one_holds_nothing(folder):
    with Lock(folder):
        held = record(folder)
    write_bytes(folder / NAME, json.dumps({**held, "token": "t", "process_start": "1"}).encode())
    with Lock(folder):
        assert record(folder)["process_start"] == held["process_start"]


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"pid": 1}'])
def test_a_lock_that_was_cut_off_holds_nothing(folder, damaged):
    write_bytes(folder / NAME, damaged)
    with Lock(folder):
        assert record(folder)["pid"] == os.getpid()


@pytest.mark.usefixtures("quick")
def test_a_silent_host_is_replaced(folder):
    elsewhere(folder)
    before = time.monotonic()
    with Lock(folder):
        assert time.monotonic() - before > lock.SILENT_SECONDS
        assert record(folder)["pid"] == os.getpid()


@pytest.mark.usefixtures("quick")
def test_a_host_that_answers_is_not_replaced(folder):
    elsewhere(folder)
    ended = threading.Event()

    def beat():
        count = 0
        while not ended.wait(0.1):
            count += 1
            write_bytes(folder / NAME, json.dumps({**record(folder), "beat": count}).encode())

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(RecordsError, match=r"process .* on host far, started"), Lock(folder):
            pass
    finally:
        ended.set()
        thread.join()


@pytest.mark.usefixtures("quick")
def test_a_lock_is_renewed_while_its_run_works(folder):
    def beat():
        return (folder / NAME).stat().st_mtime_ns if isinstance(folder, Path) else record(folder).get("beat")

    with Lock(folder) as held:
        first = beat()
        time.sleep(0.5)
        assert beat() != first
        held.check()


@pytest.mark.usefixtures("quick")
def test_a_run_that_was_replaced_learns_it_and_leaves_the_other_s_lock(folder):
    with Lock(folder) as held:
        elsewhere_record = {**record(folder), "token": "t"}
        write_bytes(folder / NAME, json.dumps(elsewhere_record).encode())
        time.sleep(0.5)
        with pytest.raises(RecordsError, match="another run has taken it over"):
            held.check()
    assert record(folder)["token"] == "t"


@pytest.mark.usefixtures("quick")
def test_one_of_several_starts_at_once_gets_the_folder(folder):
    elsewhere(folder, machine=record_machine(folder), process_start="1")  # of a dead process
    results, ready = [], threading.Barrier(4)

    def start():
        ready.wait()
        try:
            with Lock(folder):
                results.append("held")
                time.sleep(0.5)
        except RecordsError:
            results.append("refused")

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["held", "refused", "refused", "refused"]


def record_machine(folder):
    with Lock(folder):
        return record(folder)["machine"]


def test_the_other_processes_of_a_run_share_the_folder(folder, monkeypatch):
    with Lock(folder):
        # Process 1 learns from process 0 that the folder is theirs.
        monkeypatch.setattr(lock, "is_main", lambda: False)
        monkeypatch.setattr(lock, "agree", lambda value: None)
        with Lock(folder):
            pass
        assert (folder / NAME).exists()
        monkeypatch.setattr(lock, "agree", lambda value: {"pid": 7, "host": "far", "started": "then"})
        with pytest.raises(RecordsError, match="process 7 on host far, started then"), Lock(folder):
            pass
