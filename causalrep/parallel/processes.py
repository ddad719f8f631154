"""What processes of one program say to each other: values from process 0, rows from all, a common wait.

JAX's coordination service, which lives in process 0, carries small values; arrays travel as collectives.
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
    """The processes of a run cannot be brought together."""


def is_main() -> bool:
    """Whether this process writes and prints: process 0."""
    return jax.process_index() == 0


def gather(array: jax.Array) -> np.ndarray:
    """The whole of an array that is sharded over all hosts, on every host."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        _meet(array)
        array = multihost_utils.process_allgather(array, tiled=True)
    return np.asarray(array)


def gather_rows(rows: np.ndarray) -> np.ndarray:
    """Every process's rows, equally many each, joined in the order of the processes; bit for bit."""
    if jax.process_count() == 1:
        return rows
    # As 32-bit words, which no setting of precision rounds.
    words = np.ascontiguousarray(rows).view(np.uint32)
    _meet()
    return multihost_utils.process_allgather(words, tiled=True).view(rows.dtype)


def agree(value: Any = None) -> Any:
    """Process 0's value, on every process; call it at the same points everywhere.

    Args:
        value: A small JSON value; what other processes pass is ignored.
    """
    if jax.process_count() == 1:
        return value
    key = f"{PREFIX}/agree/{next(_agreements)}"
    if is_main():
        client().key_value_set(key, json.dumps(value))
        return value
    return json.loads(wait_for(key))


def agree_bytes(value: bytes = b"") -> bytes:
    """Process 0's bytes, of any size, on every process."""
    if jax.process_count() == 1:
        return value
    size = agree(len(value))
    own = np.frombuffer(value, np.uint8) if is_main() else np.zeros(size, np.uint8)
    _meet()
    return multihost_utils.broadcast_one_to_all(own).tobytes() if size else b""


def barrier(name: str, timeout: float = _LONG) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        client().wait_at_barrier(f"{PREFIX}/{name}/{next(_barriers)}", int(timeout * 1000))


def _meet(*results: jax.Array) -> None:
    """Wait for the others before a collective: on CPUs a collective gives up when they come 30 s later.

    They may: each process compiles for itself, and hosts are not equally fast. The coordination service waits as long
    as it takes, and the watch ends the wait if a process is gone.
    """
    jax.block_until_ready(results)
    barrier("meet")


def client() -> Any:
    """The coordination service's client, whose key-value store has no public door: JAX and Orbax use this name too."""
    from jax._src import distributed

    found = distributed.global_state.client
    if found is None:
        raise DistributedError("the processes are not joined: call initialize() first.")
    return found


def wait_for(key: str) -> str:
    """The value of a key, once some process has set it."""
    # In slices, so that signals reach Python between them; the watch ends the process if process 0 is gone.
    while True:
        try:
            return client().blocking_key_value_get(key, 2000)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
