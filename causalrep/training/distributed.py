"""Several processes as one program: start, agree, stop together, and say which host failed.

JAX's own multi-controller runtime does the work: every process runs the same program on its own devices, and its
coordination service, which lives in process 0, connects them. This module adds what a long run on machines that die
needs:

* :func:`initialize` finds the cluster (TPU pod, Slurm, Open MPI) or takes explicit flags; on one machine it does
  nothing.
* :func:`agree`, :func:`gather` and :func:`barrier` keep processes in step.
* :func:`guard` ends every process, with an exit code that is not 0, soon after one fails, and names that one.
* :func:`preemption` turns SIGTERM into an orderly stop with the exit code :data:`PREEMPTED`, which launchers
  understand as "saved; run me again".

The coordination service's key-value store has no public door in JAX; the one private name used is in :func:`_client`.
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
import numpy as np
from jax.experimental import multihost_utils

from causalrep.errors import CausalrepError, InputError

PREEMPTED = 75  # EX_TEMPFAIL: a temporary failure; what was finished is saved, and the same command goes on from there
INTERRUPTED = 130

_BEAT = 1.0  # seconds between two signs of life
_GRACE = 25.0  # pods and schedulers commonly send SIGKILL 30 s after SIGTERM
_LONG = 7 * 24 * 3600.0
_PREFIX = "causalrep"
# Errors of a collective whose other end is gone: another process is then to blame, and known by shorter silence.
_PEER_ERROR = re.compile(r"gloo|coordination|UNAVAILABLE|DEADLINE_EXCEEDED|heartbeat|connection (reset|closed)", re.I)
_PEER_SILENCE = 10.0


class DistributedError(CausalrepError):
    """The processes of a run cannot be brought together."""


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


def initialize(
    coordinator: str | None = None,
    process_count: int | None = None,
    process_index: int | None = None,
    *,
    connect_timeout: float = 300.0,
    missing_after: float = 60.0,
) -> None:
    """Join the processes of a run; call it before the first JAX computation, and as often as you like.

    Without arguments a TPU pod, Slurm or Open MPI is detected by JAX, and on a single machine nothing happens. Anywhere
    else give all three.

    Args:
        coordinator: ``"host:port"`` of process 0, free to listen on.
        process_count: Number of processes.
        process_index: This process, from 0.
        connect_timeout: Seconds to wait for the others.
        missing_after: Seconds of silence after which a process counts as dead and the others stop.

    Raises:
        InputError: If the flags contradict each other.
        DistributedError: If the processes do not find each other, or JAX has already started on its own.
    """
    explicit = _check_flags(coordinator, process_count, process_index)
    if jax.distributed.is_initialized():
        found = (jax.process_count(), jax.process_index())
        if explicit and found != (process_count, process_index):
            raise DistributedError(
                f"already initialised as process {found[1]} of {found[0]}, not {process_index} of {process_count}"
            )
        return
    if process_count == 1:
        return
    if explicit and process_index:
        _await_coordinator(coordinator, connect_timeout)
    try:
        jax.distributed.initialize(
            coordinator,
            process_count,
            process_index,
            initialization_timeout=int(connect_timeout),
            # The watch below reports first and names the host; JAX's own heartbeat stands behind it.
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
            else f"{coordinator or 'the coordinator'} did not answer ({_first_line(error)})"
        )
        raise DistributedError(f"the processes could not be joined: {reason}.") from error
    if jax.process_count() > 1:
        _Watch.start(missing_after)
        if threading.current_thread() is threading.main_thread() and _is_default_handler():
            # JAX catches SIGTERM too, for a service of its own that only some programs ask: it would be lost.
            signal.signal(signal.SIGTERM, _leave_preempted)


def is_main() -> bool:
    """Whether this process writes and prints: process 0."""
    return jax.process_index() == 0


def gather(array: jax.Array) -> np.ndarray:
    """The whole of an array that is sharded over all hosts, on every host."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        array = multihost_utils.process_allgather(array, tiled=True)
    return np.asarray(array)


def gather_rows(rows: np.ndarray) -> np.ndarray:
    """Every process's rows, equally many each, joined in the order of the processes; bit for bit."""
    if jax.process_count() == 1:
        return rows
    # As 32-bit words, which no setting of precision rounds.
    words = np.ascontiguousarray(rows).view(np.uint32)
    return multihost_utils.process_allgather(words, tiled=True).view(rows.dtype)


def put(values: Any, shardings: Any) -> Any:
    """Values that every process holds, as arrays over the devices of all hosts; random keys too."""
    if jax.process_count() == 1:
        return jax.device_put(values, shardings)

    def one(value: Any, sharding: jax.sharding.Sharding) -> jax.Array:
        if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            data = np.asarray(jax.random.key_data(value))
            return jax.random.wrap_key_data(one(data, sharding), impl=jax.random.key_impl(value))
        array = np.asarray(value)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(
        lambda sharding, tree: jax.tree.map(lambda value: one(value, sharding), tree),
        shardings,
        values,
        is_leaf=lambda leaf: isinstance(leaf, jax.sharding.Sharding),
    )


def agree(value: Any = None) -> Any:
    """Process 0's value, on every process; call it at the same points everywhere.

    Args:
        value: A small JSON value; what other processes pass is ignored.
    """
    if jax.process_count() == 1:
        return value
    key = f"{_PREFIX}/agree/{next(_agreements)}"
    if is_main():
        _client().key_value_set(key, json.dumps(value))
        return value
    return json.loads(_wait_for(key))


def agree_bytes(value: bytes = b"") -> bytes:
    """Process 0's bytes, of any size, on every process."""
    if jax.process_count() == 1:
        return value
    size = agree(len(value))
    own = np.frombuffer(value, np.uint8) if is_main() else np.zeros(size, np.uint8)
    return multihost_utils.broadcast_one_to_all(own).tobytes() if size else b""


def barrier(name: str, timeout: float = _LONG) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        _client().wait_at_barrier(f"{_PREFIX}/{name}/{next(_barriers)}", int(timeout * 1000))


def host_of(process: int) -> str:
    """The name of the host a process runs on."""
    return _Watch.current.hosts[process] if _Watch.current else socket.gethostname()


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Every process ends together: at the end of the block, or soon after one fails or vanishes.

    In a run of several processes an exception in the block is printed, told to the others and ends this process;
    theirs end with the same exit code and a line that names the failing process, its host and its error. With one
    process the block runs as if unguarded.
    """
    watch = _Watch.current
    if watch is None:
        yield
        return
    try:
        yield
        barrier("end")
    except Preempted as stop:
        if is_main():
            _say(str(stop))
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
            _client().key_value_set(f"{_PREFIX}/preempt/{jax.process_index()}", "1", allow_overwrite=True)
        return bool(agree(is_main() and bool(_client().key_value_dir_get(f"{_PREFIX}/preempt/"))))


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
    if threading.current_thread() is not threading.main_thread() or not _is_default_handler():
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
            _say("asked to stop, and still computing: leaving. Finished work is kept.")
            _leave_preempted()

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


class _Watch:
    """A thread in each process: it shows that this one lives, and learns that another has failed or vanished."""

    current: "_Watch | None" = None

    def __init__(self, missing_after: float):
        self.index, self.count, self.missing_after = jax.process_index(), jax.process_count(), missing_after
        self._failing = threading.Event()
        self._stopped = threading.Event()
        _client().key_value_set(f"{_PREFIX}/host/{self.index}", _host(), allow_overwrite=True)
        barrier("hosts")
        hosts = _client().key_value_dir_get(f"{_PREFIX}/host/")
        self.hosts = {int(key.rsplit("/", 1)[1]): host for key, host in hosts}
        # If process 0 dies, JAX aborts this process at once, in C++: the log names the host beforehand.
        if self.index:
            _say(f"process {self.index} of {self.count} on {_host()}; process 0 coordinates, on {self.hosts[0]}")

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
        client, seen = _client(), {}
        # Process 0 watches all others, they watch process 0: a pod's traffic grows with its hosts, not their square.
        watched = range(1, self.count) if self.index == 0 else (0,)
        for beat in itertools.count():
            if self._stopped.wait(_BEAT):
                return
            try:
                client.key_value_set(f"{_PREFIX}/alive/{self.index}/beat", str(beat), allow_overwrite=True)
                failure = self.failure()
                if failure is None:
                    beats = client.key_value_dir_get(f"{_PREFIX}/alive/{'' if self.index == 0 else '0/'}")
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
                failure = Failure(0, self.hosts[0], f"the coordinator is gone ({_first_line(error)})")
            if failure is not None and not self._failing.is_set():
                self._follow(failure)

    def failure(self) -> Failure | None:
        """The first failure any process has told of."""
        found = _client().key_value_dir_get(f"{_PREFIX}/failure/")
        return Failure(**json.loads(found[0][1])) if found else None

    def publish(self, failure: Failure) -> None:
        """Tell the others, unless another failure was told first."""
        if failure.process == self.index:
            self._failing.set()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            _client().key_value_set(f"{_PREFIX}/failure/first", json.dumps(dataclasses.asdict(failure)))

    def fail(self, error: BaseException) -> NoReturn:
        """End this process because of an exception, once the others know."""
        self._failing.set()
        own = Failure(self.index, _host(), _described(error), _exit_code(error))
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
            _say(f"error: {own}")
        else:
            traceback.print_exception(error)
            _say(str(own))
        self.depart(own.code)

    def _blamed(self, patience: float) -> Failure | None:
        until = time.monotonic() + patience
        while True:
            try:
                failure = self.failure()
            except jax.errors.JaxRuntimeError as error:
                return Failure(0, self.hosts[0], f"the coordinator is gone ({_first_line(error)})")
            if failure is not None or time.monotonic() > until:
                return failure
            time.sleep(_BEAT / 4)

    def _follow(self, failure: Failure) -> NoReturn:
        code = failure.code or 1
        _say(f"process {self.index} on {_host()} stops: {failure}")
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
            _client().key_value_set(f"{_PREFIX}/left/{process}", "1", allow_overwrite=True)

    def _left(self) -> list[str]:
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            return [key for key, _ in _client().key_value_dir_get(f"{_PREFIX}/left/")]
        return []


_heard: list[Preemption] = []  # of the outermost block
_agreements = itertools.count()
_barriers = itertools.count()


def _client() -> Any:
    """The coordination service's client; JAX, Orbax and this module reach it by the same private name."""
    from jax._src import distributed

    client = distributed.global_state.client
    if client is None:
        raise DistributedError("the processes are not joined: call initialize() first.")
    return client


def _wait_for(key: str) -> str:
    # In slices, so that signals reach Python between them; the watch ends the process if process 0 is gone.
    while True:
        try:
            return _client().blocking_key_value_get(key, 2000)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


def _check_flags(coordinator: str | None, process_count: int | None, process_index: int | None) -> bool:
    """Whether the flags are given; raises if only some are, or they are impossible."""
    flags = {"coordinator": coordinator, "process_count": process_count, "process_index": process_index}
    given = [name for name, value in flags.items() if value is not None]
    if given and len(given) < 3:
        absent = " and ".join(name for name in flags if name not in given)
        raise InputError(absent, found="None", expected=f"a value, since {' and '.join(given)} is given")
    if not given:
        return False
    for name, value, least in (("process_count", process_count, 1), ("process_index", process_index, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(name, found=repr(value), expected=f"a whole number of at least {least}")
    if process_index >= process_count:
        raise InputError("process_index", found=process_index, expected=f"less than process_count = {process_count}")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError("coordinator", found=repr(coordinator), expected="'host:port' of process 0")
    return True


def _await_coordinator(coordinator: str, timeout: float) -> None:
    # JAX would wait as long, and then abort the process in C++.
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
    """How many processes the environment speaks of, where JAX has started and can no longer look for a cluster."""
    if {"SLURM_STEP_NODELIST", "SLURM_PROCID"} <= set(os.environ):
        return int(os.environ.get("SLURM_NTASKS", "1"))
    if "OMPI_COMM_WORLD_SIZE" in os.environ:
        return int(os.environ["OMPI_COMM_WORLD_SIZE"])
    return len(os.environ.get("TPU_WORKER_HOSTNAMES", "").split(","))


def _is_default_handler() -> bool:
    # None is a handler set outside of Python, such as JAX's.
    return signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, None, _leave_preempted)


def _leave_preempted(*_: object) -> NoReturn:
    """Exit as preempted, and the other processes with this one."""
    if _Watch.current:
        _Watch.current.publish(Failure(jax.process_index(), _host(), "preempted by SIGTERM", PREEMPTED))
        _Watch.current.depart(PREEMPTED)
    _exit(PREEMPTED)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) and error.code else 1
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return 2 if isinstance(error, CausalrepError) else 1


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:300]


def _host() -> str:
    return socket.gethostname()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _exit(code: int) -> NoReturn:
    # Not sys.exit: JAX's orderly shutdown waits for processes that are gone, and the main thread may be in a collective
    # that never ends.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
