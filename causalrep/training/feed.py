"""Data on the mesh: one interface for arrays held on the devices and for batches that a loader reads."""

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from causalrep.fingerprint import tree_contents
from causalrep.parallel.sharding import by_rows, local_rows, place, replicated
from causalrep.training.loader import GrainLoader
from causalrep.training.objective import Batch


class Feed(Protocol):
    """A source of data for chunks of steps.

    Attributes:
        example: At least one batch, on the mesh, which shows shapes and dtypes.
        sharding: Layout of a chunk's data on the mesh.
    """

    example: Batch
    sharding: NamedSharding

    def chunks(self, counts: list[int], start: int) -> Iterator[Batch]:
        """The data of consecutive chunks from step ``start``; ``counts`` holds the number of steps of each."""
        ...

    def contents(self) -> dict[str, Any]:
        """Plain values by which the same data can be known again."""
        ...


class ArrayFeed:
    """All rows on every device; each step draws its batch from them."""

    def __init__(self, data: Batch, mesh: Mesh):
        self.sharding = replicated(mesh)
        self.example = place(data, self.sharding)
        self._data = data

    def chunks(self, counts: list[int], start: int) -> Iterator[Batch]:
        """The same arrays for every chunk."""
        del start
        return itertools.repeat(self.example, len(counts))

    def contents(self) -> dict[str, Any]:
        """A digest of all bytes of each array."""
        return tree_contents(self._data)


class LoaderFeed:
    """Batches from a loader, stacked per chunk and read one chunk ahead of the program that takes them."""

    def __init__(self, loader: GrainLoader, mesh: Mesh):
        self.sharding = by_rows(mesh, stacked=True)
        self._first = loader.example()
        self.example = place(self._first, replicated(mesh))
        self._loader = loader
        self._rows = local_rows(by_rows(mesh), loader.batch_size)

    def chunks(self, counts: list[int], start: int) -> Iterator[Batch]:
        """Stacks of batches, leaves (count, batch_size, ...), split over the mesh by rows."""
        batches = self._loader.batches(start, self._rows)
        ahead = None
        for count in [*counts, 0]:
            # The devices still work on the previous stack while this one is read.
            ready, ahead = ahead, self._stack([next(batches) for _ in range(count)]) if count else None
            if ready is not None:
                yield ready

    def contents(self) -> dict[str, Any]:
        """The number of elements and a digest of the first batch, which another shuffle changes as well."""
        return {"elements": len(self._loader.dataset), "first_batch": tree_contents(self._first)}

    def _stack(self, batches: list[Batch]) -> Batch:
        def whole(*leaves: np.ndarray) -> jax.Array:
            shape = (len(leaves), self._loader.batch_size, *np.shape(leaves[0])[1:])
            return jax.make_array_from_process_local_data(self.sharding, np.stack(leaves), shape)

        return jax.tree.map(whole, *batches)


def make_feed(data: Batch | GrainLoader, mesh: Mesh) -> Feed:
    """The feed for arrays, or for a loader."""
    return LoaderFeed(data, mesh) if isinstance(data, GrainLoader) else ArrayFeed(data, mesh)
