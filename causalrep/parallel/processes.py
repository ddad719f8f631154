"""Communication between the processes of one program: values from process 0, rows from all, and barriers.

JAX's coordination service in process 0 carries small values; arrays are sent by collectives.
"""

import itertools
import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from causalrep.errors import CausalrepError

PREFIX = "causalrep"
_LONG = 7 * 24 * 3600.0

_agreements = itertools.count()
_barriers = itertools.count()


class DistributedError(CausalrepError):
    """The processes of a run cannot be joined."""


def is_main() -> bool:
    """Whether this is process 0, which alone writes and prints."""
    return jax.process_index() == 0


def gather(array: jax.Array) -> np.ndarray:
    """The whole of an array that is sharded over all hosts, as a NumPy array on every host."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        _meet(array)
        array = multihost_utils.process_allgather(array, tiled=True)
    return np.asarray(array)


def gather_rows(rows: np.ndarray) -> np.ndarray:
    """The rows of all processes (equally many each), joined in the order of the processes without rounding."""
    if jax.process_count() == 1:
        return rows
    # JAX would round float64 to float32 while 64-bit types are disabled; it leaves 32-bit words alone.
    words = np.ascontiguousarray(rows).view(np.uint32)
    _meet()
    return multihost_utils.process_allgather(words, tiled=True).view(rows.dtype)


def agree(value: Any = None) -> Any:
    """The value of process 0, on every process; every process must call it at the same point.

    Args:
        value: A small JSON value; the values of other processes are ignored.
    """
    if jax.process_count() == 1:
        return value
    key = f"{PREFIX}/agree/{next(_agreements)}"
    if is_main():
        client().key_value_set(key, json.dumps(value))
        return value
    return json.loads(wait_for(key))


def agree_bytes(value: bytes = b"") -> bytes:
    """The bytes of process 0, of any size, on every process."""
    if jax.process_count() == 1:
        return value
    size = agree(len(value))
    own = np.frombuffer(value, np.uint8) if is_main() else np.zeros(size, np.uint8)
    _meet()
    return multihost_utils.broadcast_one_to_all(own).tobytes() if size else b""


def barrier(name: str, timeout: float = _LONG) -> None:
    """Wait until every process has reached this point."""
    if jax.process_count() > 1:
        client().wait_at_barrier(f"{PREFIX}/{name}/{next(_barriers)}", int(timeout * 1000))


def _meet(*results: jax.Array) -> None:
    """Wait for the other processes before a collective; on CPUs a collective gives up after 30 s.

    Each process compiles for itself, and hosts are not equally fast, so the delay may be longer. The coordination
    service waits as long as it takes, and the watch ends the wait if a process is gone.
    """
    jax.block_until_ready(results)
    barrier("meet")


def client() -> Any:
    """The client of the coordination service. Its key-value store has no public API; Orbax uses this name as well."""
    from jax._src import distributed

    current = distributed.global_state.client
    if current is None:
        raise DistributedError("the processes are not joined: call initialize() first.")
    return current


def wait_for(key: str) -> str:
    """The value of a key; waits until some process has set it."""
    # It waits in slices of 2 s, so that signals reach Python in between; the watch ends this process if process 0 is
    # gone.
    while True:
        try:
            return client().blocking_key_value_get(key, 2000)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
