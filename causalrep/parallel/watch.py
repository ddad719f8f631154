"""Failure handling for multi-process runs.

If one process fails, disappears or is preempted, all exit and report which one it was. Process 0 watches all others
and they watch process 0, through the coordination service's key-value store: every process writes a heartbeat each
second, the first failure is published under one key, and a process that exits leaves a note that it has left.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

import jax

from causalrep.errors import CausalrepError, first_line
from causalrep.parallel.processes import PREFIX, agree, barrier, client, is_main

PREEMPTED = 75  # EX_TEMPFAIL: a temporary failure; finished work is saved, and the same command continues from there
INTERRUPTED = 130

_BEAT = 1.0  # seconds between two heartbeats
_GRACE = 25.0  # pods and schedulers commonly send SIGKILL 30 s after SIGTERM
# Errors of a collective whose other end is gone. Another process is then to blame, and a shorter silence names it.
_PEER_ERROR = re.compile(r"gloo|coordination|UNAVAILABLE|DEADLINE_EXCEEDED|heartbeat|connection (reset|closed)", re.I)
_PEER_SILENCE = 10.0


class Preempted(SystemExit):
    """The program was asked to stop and has saved its work; uncaught, it exits with :data:`PREEMPTED`."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED)

    def __str__(self) -> str:
        return "Preempted. Finished work is kept: continue with the same command."


@dataclasses.dataclass(frozen=True)
class Failure:
    """The failure of a process.

    Attributes:
        process: Index of the process.
        host: Name of its host.
        error: The error in one line.
        code: Exit code of the whole run.
    """

    process: int
    host: str
    error: str
    code: int = 1

    def __str__(self) -> str:
        return f"process {self.process} on host {self.host} failed: {self.error}"


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """A block that all processes leave together: at its end, or soon after one of them fails or disappears.

    In a run of several processes, an exception in the block is printed, published to the others and ends this process.
    The others exit with the same code and a line that names the failing process, its host and its error. With one
    process the block runs as if it were not guarded.
    """
    watch = Watch.current
    if watch is None:
        yield
        return
    try:
        yield
        barrier("end")
    except Preempted as stop:
        if is_main():
            say(str(stop))
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            barrier("preempted", _GRACE)
        watch.depart(PREEMPTED)
    except BaseException as error:
        watch.fail(error)
    watch.stop()


class Preemption:
    """Whether SIGTERM has asked the program to stop."""

    def __init__(self) -> None:
        self.requested = False

    def agreed(self) -> bool:
        """True on every process once any was asked; every process must call it at the same point."""
        if jax.process_count() == 1:
            return self.requested
        if self.requested:
            client().key_value_set(f"{PREFIX}/preempt/{jax.process_index()}", "1", allow_overwrite=True)
        return bool(agree(is_main() and bool(client().key_value_dir_get(f"{PREFIX}/preempt/"))))


@contextlib.contextmanager
def preemption(grace: float | None = _GRACE) -> Iterator[Preemption]:
    """A block that SIGTERM asks to stop: it checks :class:`Preemption`, saves, and raises :class:`Preempted`.

    If the block is still running ``grace`` seconds after the signal (in a long computation, where Python cannot act),
    the process exits with :data:`PREEMPTED` anyway; files are written atomically, so none is damaged. A block inside
    another shares the outer one's signal. Nothing is installed if the program has set its own handler for SIGTERM, or
    if the block does not run in the main thread.

    Args:
        grace: Seconds until the process exits; None waits as long as it takes.
    """
    if _heard:
        yield _heard[-1]
        return
    stop = Preemption()
    if threading.current_thread() is not threading.main_thread() or not is_default_handler():
        yield stop
        return
    _heard.append(stop)
    finished = threading.Event()
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    before = signal.signal(signal.SIGTERM, lambda *_: setattr(stop, "requested", True))
    # Python runs signal handlers only between bytecodes of the main thread, which may be inside a long computation. The
    # C-level handler writes to this pipe at once, and the thread below reads it.
    wakeup = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)

    def overdue() -> None:
        while signal.SIGTERM not in os.read(readable, 64):
            if finished.is_set():
                return
        stop.requested = True
        if not finished.wait(grace):
            say("asked to stop, and still computing: leaving. Finished work is kept.")
            leave_preempted()

    thread = threading.Thread(target=overdue, name="causalrep-preemption", daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        _heard.pop()
        finished.set()
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
        os.write(writable, b"\0")
        thread.join()
        os.close(writable)
        os.close(readable)


class Watch:
    """A thread in each process that sends heartbeats and detects that another process has failed or disappeared.

    Args:
        missing_after: Seconds of silence after which a process counts as dead.
    """

    current: "Watch | None" = None

    def __init__(self, missing_after: float):
        self.index, self.count, self.missing_after = jax.process_index(), jax.process_count(), missing_after
        self._failing = threading.Event()
        self._stopped = threading.Event()
        client().key_value_set(f"{PREFIX}/host/{self.index}", host(), allow_overwrite=True)
        barrier("hosts")
        hosts = client().key_value_dir_get(f"{PREFIX}/host/")
        self.hosts = {int(key.rsplit("/", 1)[1]): name for key, name in hosts}
        # If process 0 dies, JAX aborts this process at once, in C++, so the log names its host beforehand.
        if self.index:
            say(f"process {self.index} of {self.count} on {host()}; process 0 coordinates, on {self.hosts[0]}")

    @classmethod
    def start(cls, missing_after: float) -> None:
        """Start the thread; it runs until :meth:`stop`."""
        cls.current = cls(missing_after)
        threading.Thread(target=cls.current._watch, name="causalrep-watch", daemon=True).start()

    def stop(self) -> None:
        """End the watch, once all processes have finished."""
        self._stopped.set()
        type(self).current = None

    def _watch(self) -> None:
        store = client()
        seen: dict[int, Any] = {}
        # Process 0 watches all others and they watch process 0, so that traffic grows with the number of hosts and not
        # with its square.
        watched = range(1, self.count) if self.index == 0 else (0,)
        for beat in itertools.count():
            if self._stopped.wait(_BEAT):
                return
            try:
                store.key_value_set(f"{PREFIX}/alive/{self.index}/beat", str(beat), allow_overwrite=True)
                failure = self.failure()
                if failure is None:
                    beats = store.key_value_dir_get(f"{PREFIX}/alive/{'' if self.index == 0 else '0/'}")
                    shown = {int(key.split("/")[2]): text for key, text in beats}
                    for process in watched:
                        now, last = time.monotonic(), seen.get(process)
                        if last is None or shown.get(process) != last[0]:
                            seen[process] = (shown.get(process), now)
                        elif now - last[1] > self.missing_after:
                            silent = f"no sign of life for {self.missing_after:g} s (killed, or its host is gone)"
                            self.publish(Failure(process, self.hosts[process], silent))
                            self._leave_word(process)
                            failure = self.failure()
                            break
            except jax.errors.JaxRuntimeError as error:
                if self._stopped.is_set():
                    return
                failure = Failure(0, self.hosts[0], f"the coordinator is gone ({first_line(error)})")
            if failure is not None and not self._failing.is_set():
                self._follow(failure)

    def failure(self) -> Failure | None:
        """The first failure that any process has published."""
        published = client().key_value_dir_get(f"{PREFIX}/failure/")
        return Failure(**json.loads(published[0][1])) if published else None

    def publish(self, failure: Failure) -> None:
        """Publish a failure to the other processes, unless another one was published first."""
        if failure.process == self.index:
            self._failing.set()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            client().key_value_set(f"{PREFIX}/failure/first", json.dumps(dataclasses.asdict(failure)))

    def fail(self, error: BaseException) -> NoReturn:
        """End this process because of an exception, after the others have been told."""
        self._failing.set()
        own = Failure(self.index, host(), _described(error), _exit_code(error))
        first = None
        if isinstance(error, RuntimeError | ValueError) and _PEER_ERROR.search(str(error)):
            self.missing_after = min(self.missing_after, _PEER_SILENCE)
            first = self._blamed(self.missing_after + 5 * _BEAT)
        if first is None:
            self.publish(own)
            first = self._blamed(0.0) or own
        if first.process != self.index:
            self._follow(first)
        if isinstance(error, CausalrepError | KeyboardInterrupt):
            say(f"error: {own}")
        else:
            traceback.print_exception(error)
            say(str(own))
        self.depart(own.code)

    def _blamed(self, patience: float) -> Failure | None:
        """The failure that another process publishes within ``patience`` seconds, if any."""
        until = time.monotonic() + patience
        while True:
            try:
                failure = self.failure()
            except jax.errors.JaxRuntimeError as error:
                return Failure(0, self.hosts[0], f"the coordinator is gone ({first_line(error)})")
            if failure is not None or time.monotonic() > until:
                return failure
            time.sleep(_BEAT / 4)

    def _follow(self, failure: Failure) -> NoReturn:
        code = failure.code or 1
        say(f"process {self.index} on {host()} stops: {failure}")
        self.depart(code)

    def depart(self, code: int) -> NoReturn:
        """Exit. Process 0, which holds the key-value store, exits last."""
        if self.index == 0:
            until = time.monotonic() + 5 * _BEAT
            while time.monotonic() < until and len(self._left()) < self.count - 1:
                time.sleep(_BEAT / 4)
            time.sleep(_BEAT / 2)
        else:
            self._leave_word(self.index)
        _exit(code)

    def _leave_word(self, process: int) -> None:
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            client().key_value_set(f"{PREFIX}/left/{process}", "1", allow_overwrite=True)

    def _left(self) -> list[str]:
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            return [key for key, _ in client().key_value_dir_get(f"{PREFIX}/left/")]
        return []


_heard: list[Preemption] = []  # the request of the outermost block, if there is one


def is_default_handler() -> bool:
    """Whether no handler of the user is set for SIGTERM."""
    # None is a handler set outside of Python, such as JAX's.
    return signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, None, leave_preempted)


def leave_preempted(*_: object) -> NoReturn:
    """Exit as preempted, together with the other processes."""
    if Watch.current:
        Watch.current.publish(Failure(jax.process_index(), host(), "preempted by SIGTERM", PREEMPTED))
        Watch.current.depart(PREEMPTED)
    _exit(PREEMPTED)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) and error.code else 1
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return 2 if isinstance(error, CausalrepError) else 1


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def host() -> str:
    """Name of this host."""
    return socket.gethostname()


def say(text: str) -> None:
    """Print to standard error and flush."""
    print(text, file=sys.stderr, flush=True)


def _exit(code: int) -> NoReturn:
    # sys.exit would hang: JAX's orderly shutdown waits for processes that are gone, and the main thread may be in a
    # collective that never ends.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
