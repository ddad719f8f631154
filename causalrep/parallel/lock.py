"""One run per folder: a lock file that names its run, refuses others, and does not outlive a run that was killed.

A lock of a process of this machine is valid as long as that process lives; its start time tells it from another one
with the same number. A lock of another machine is valid as long as its file changes, which its holder sees to every few
seconds: a host that was preempted or lost its power stops, and the next run takes the folder over after
:data:`SILENT_SECONDS`. On a local disk two starts at once are told apart by ``flock``, in a bucket by creating the
object only where there is none.

Several processes of one run share its folder: process 0 holds the lock for all of them.
"""

import contextlib
import datetime
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from causalrep.errors import CausalrepError, RecordsError
from causalrep.parallel.processes import agree, is_main
from causalrep.storage import AnyPath, Remote, create_file, remove_file, write_bytes

try:
    import fcntl
except ImportError:  # Windows: two starts within a moment of each other are not told apart
    fcntl = None  # type: ignore[assignment]

NAME = "run.lock"
BEAT_SECONDS, SILENT_SECONDS, LOOK_SECONDS, SETTLE_SECONDS = 10.0, 60.0, 2.0, 1.0


class Lock:
    """The lock of a folder, held within a ``with`` block; every process of a run enters it at the same point.

    Args:
        folder: The folder, which exists.
        error: The type of the error that refuses a second run.

    Raises:
        CausalrepError: Of the type ``error``, if another run uses the folder. The message names its process, host and
            start.
    """

    def __init__(self, folder: AnyPath, error: type[CausalrepError] = RecordsError):
        self.folder, self._error = folder, error
        self._path = folder / NAME
        self._own = {"token": uuid.uuid4().hex, **_this_process()}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="causalrep-lock", daemon=True)
        self._lost = False

    def __enter__(self) -> "Lock":
        holder = agree(self._acquire() if is_main() else None)
        if holder is not None:
            raise self._error(
                f"{self.folder}: in use by another run: process {holder['pid']} on host {holder['host']}, started "
                f"{holder['started']}. Wait until it ends or stop it, or choose another folder."
            )
        if is_main():
            self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
            # A lock that cannot be removed is taken over later, like that of a killed run.
            with contextlib.suppress(OSError, RecordsError), self._alone():
                if self._is_own(self._read()[0]):
                    remove_file(self._path)

    def check(self) -> None:
        """Refuse to go on if another run has taken the folder over, since this one was silent for too long.

        Raises:
            CausalrepError: Of the type ``error``.
        """
        if self._lost:
            raise self._error(
                f"{self.folder}: another run has taken it over, since this process did not answer for "
                f"{SILENT_SECONDS:.0f} s. Stop one of the two."
            )

    def _acquire(self) -> dict[str, Any] | None:
        """Take the lock and return None, or return the record of the run that holds it."""
        seen, since = None, time.monotonic()
        while True:
            with self._alone():
                record, beat = self._read()
                alive = _is_alive(record) if record else False
                silent = alive is None and beat == seen and time.monotonic() - since > SILENT_SECONDS
                if alive is False or silent:
                    if self._take(fresh=record is None):
                        return None
                    # Another run was faster.
                    continue
            if alive or seen not in (None, beat):
                return record
            if seen is None:
                seen, since = beat, time.monotonic()
            time.sleep(LOOK_SECONDS)

    def _take(self, *, fresh: bool) -> bool:
        """Write this run's record, and say whether it is there."""
        if isinstance(self._path, Remote) and fresh:
            return create_file(self._path, json.dumps(self._own).encode())
        self._put(self._own)
        if isinstance(self._path, Remote):
            # Of two runs that take over at once, the later one stays.
            time.sleep(SETTLE_SECONDS)
            return (self._read()[0] or {}).get("token") == self._own["token"]
        return True

    def _put(self, record: dict[str, Any]) -> None:
        data = json.dumps(record).encode()
        if isinstance(self._path, Path):
            self._path.write_bytes(data)  # not by renaming another file, since this one is locked
        else:
            write_bytes(self._path, data)

    def _is_own(self, record: dict[str, Any] | None) -> bool:
        """Whether a record is this run's; one that somebody has deleted still is."""
        return not record or record["token"] == self._own["token"]

    def _beat(self) -> None:
        count = 0
        while not self._ended.wait(BEAT_SECONDS):
            # A bucket that does not answer may answer the next time.
            with contextlib.suppress(OSError, RecordsError), self._alone():
                record, count = self._read()[0], count + 1
                if not self._is_own(record):
                    self._lost = True
                    return
                if isinstance(self._path, Path) and record:
                    os.utime(self._path)
                else:
                    self._put({**self._own, "beat": count})

    def _read(self) -> tuple[dict[str, Any] | None, Any]:
        """The record, None without a file and empty if it was cut off, and what changes while its run lives."""
        try:
            data = self._path.read_bytes()
            record = json.loads(data)
            if not isinstance(record, dict) or not {"token", "pid", "host", "started"} <= set(record):
                return {}, None
            return record, self._path.stat().st_mtime_ns if isinstance(self._path, Path) else record.get("beat", 0)
        except FileNotFoundError:
            return None, None
        except ValueError:
            return {}, None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """A moment in which no other process of this machine, or of the network file system, does the same."""
        if isinstance(self._path, Remote) or fcntl is None:
            yield
            return
        while True:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(handle, fcntl.LOCK_EX)
                # Its holder may have removed the file meanwhile: then this is another one than the folder's.
                if _same_file(handle, self._path):
                    yield
                    return
            finally:
                os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _this_process() -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": now.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "machine": _machine(),
        "process_start": _process_start(os.getpid()),
    }


def _machine() -> list[str]:
    """What tells machines, boots and containers with the same name apart, as far as the system says."""
    words = [socket.gethostname()]
    with contextlib.suppress(OSError):
        words.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        words.append(os.readlink("/proc/self/ns/pid"))
    return words


def _is_alive(record: dict[str, Any]) -> bool | None:
    """Whether a lock's process lives; None if it is one of another machine."""
    if record.get("machine") != _machine():
        return None
    return _process_start(record["pid"]) == record.get("process_start")


def _process_start(pid: int) -> str | None:
    """The start time of a living process of this machine, ``""`` where the system does not say; None if it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return ""
