"""Processes that end together: one that fails, vanishes or is asked to stop takes the others along, by name."""

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
from typing import NoReturn

import jax

from causalrep.errors import CausalrepError, first_line
from causalrep.parallel.processes import PREFIX, agree, barrier, client, is_main

PREEMPTED = 75  # EX_TEMPFAIL: a temporary failure; what was finished is saved, and the same command goes on from there
INTERRUPTED = 130

_BEAT = 1.0  # seconds between two signs of life
_GRACE = 25.0  # pods and schedulers commonly send SIGKILL 30 s after SIGTERM
# Errors of a collective whose other end is gone: another process is then to blame, and known by shorter silence.
_PEER_ERROR = re.compile(r"gloo|coordination|UNAVAILABLE|DEADLINE_EXCEEDED|heartbeat|connection (reset|closed)", re.I)
_PEER_SILENCE = 10.0


class Preempted(SystemExit):
    """The program was asked to stop and has saved what it had; uncaught, it exits with :data:`PREEMPTED`."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED)

    def __str__(self) -> str:
        return "Preempted. Finished work is kept: go on with the same command."


@dataclasses.dataclass(frozen=True)
class Failure:
    """Which process failed, where and how.

    Attributes:
        process: Its index.
        host: Its host's name.
        error: One line.
        code: The exit code of the whole run.
    """

    process: int
    host: str
    error: str
    code: int = 1

    def __str__(self) -> str:
        return f"process {self.process} on host {self.host} failed: {self.error}"


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Every process ends together: at the end of the block, or soon after one fails or vanishes.

    In a run of several processes an exception in the block is printed, told to the others and ends this process;
    theirs end with the same exit code and a line that names the failing process, its host and its error. With one
    process the block runs as if unguarded.
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
    """Whether the program was asked to stop, by SIGTERM."""

    def __init__(self) -> None:
        self.requested = False

    def agreed(self) -> bool:
        """True on every process once any was asked; call it at the same points everywhere."""
        if jax.process_count() == 1:
            return self.requested
        if self.requested:
            client().key_value_set(f"{PREFIX}/preempt/{jax.process_index()}", "1", allow_overwrite=True)
        return bool(agree(is_main() and bool(client().key_value_dir_get(f"{PREFIX}/preempt/"))))


@contextlib.contextmanager
def preemption(grace: float | None = _GRACE) -> Iterator[Preemption]:
    """A block that SIGTERM asks to stop: it looks at :class:`Preemption`, saves, and raises :class:`Preempted`.

    If the block is still running ``grace`` seconds after the signal (deep in a long computation, where Python cannot
    act) the process exits with :data:`PREEMPTED` all the same; files are written atomically, so none is lost. A block
    inside another hears the outer one's signal. A handler that the program has already set for SIGTERM is left in
    charge, as are programs whose blocks run outside the main thread.

    Args:
        grace: Seconds; None waits as long as it takes.
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
    # The pipe is written at once by the C-level handler, even while the main thread computes outside of Python.
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
    """A thread in each process: it shows that this one lives, and learns that another has failed or vanished."""

    current: "Watch | None" = None

    def __init__(self, missing_after: float):
        self.index, self.count, self.missing_after = jax.process_index(), jax.process_count(), missing_after
        self._failing = threading.Event()
        self._stopped = threading.Event()
        client().key_value_set(f"{PREFIX}/host/{self.index}", host(), allow_overwrite=True)
        barrier("hosts")
        hosts = client().key_value_dir_get(f"{PREFIX}/host/")
        self.hosts = {int(key.rsplit("/", 1)[1]): name for key, name in hosts}
        # If process 0 dies, JAX aborts this process at once, in C++: the log names the host beforehand.
        if self.index:
            say(f"process {self.index} of {self.count} on {host()}; process 0 coordinates, on {self.hosts[0]}")

    @classmethod
    def start(cls, missing_after: float) -> None:
        """Watch until :meth:`stop`."""
        cls.current = cls(missing_after)
        threading.Thread(target=cls.current._watch, name="causalrep-watch", daemon=True).start()

    def stop(self) -> None:
        """End of the watch: all processes have finished."""
        self._stopped.set()
        type(self).current = None

    def _watch(self) -> None:
        store, seen = client(), {}
        # Process 0 watches all others, they watch process 0: a pod's traffic grows with its hosts, not their square.
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
        """The first failure any process has told of."""
        found = client().key_value_dir_get(f"{PREFIX}/failure/")
        return Failure(**json.loads(found[0][1])) if found else None

    def publish(self, failure: Failure) -> None:
        """Tell the others, unless another failure was told first."""
        if failure.process == self.index:
            self._failing.set()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            client().key_value_set(f"{PREFIX}/failure/first", json.dumps(dataclasses.asdict(failure)))

    def fail(self, error: BaseException) -> NoReturn:
        """End this process because of an exception, once the others know."""
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
        """Exit; process 0, which holds the store, last."""
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


_heard: list[Preemption] = []  # of the outermost block


def is_default_handler() -> bool:
    """Whether SIGTERM is free to be handled here."""
    # None is a handler set outside of Python, such as JAX's.
    return signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, None, leave_preempted)


def leave_preempted(*_: object) -> NoReturn:
    """Exit as preempted, and the other processes with this one."""
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
    """The name of this host."""
    return socket.gethostname()


def say(text: str) -> None:
    """Print to standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def _exit(code: int) -> NoReturn:
    # Not sys.exit: JAX's orderly shutdown waits for processes that are gone, and the main thread may be in a collective
    # that never ends.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
