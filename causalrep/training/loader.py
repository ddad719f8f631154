"""Batches from a grain data set, for images and other data that do not fit on a device."""

import sys
from collections.abc import Iterator
from typing import Any

import grain
import jax
import numpy as np

from causalrep.base.validation import check_counts
from causalrep.errors import DataError, InputError

Rows = Any


class GrainLoader:
    """A grain data set cut into batches, which threads read ahead; each process reads only its own rows.

    The batch of step s consists of elements ``s * batch_size`` to ``(s + 1) * batch_size - 1`` of the data set, for any
    number of processes and after any resume, since the position is the step's number. Shuffling, epochs and
    augmentation are grain's own; all of them are deterministic and have random access.

    >>> import grain, numpy as np
    >>> source = grain.MapDataset.source(np.arange(10)).seed(0).shuffle().repeat()
    >>> loader = GrainLoader(source, batch_size=4)
    >>> loader.example().shape, len(next(loader.batches(start=0)))
    ((4,), 4)

    Args:
        dataset: A ``grain.MapDataset`` whose elements are pytrees of arrays or numbers of fixed shapes. Without
            ``.repeat()`` it ends after one pass.
        batch_size: Rows per step, over all processes.
        threads: Number of reading threads.
        read_ahead: Number of batches kept ready.

    Raises:
        InputError: If ``dataset`` is no ``MapDataset``, is cut into batches already, or has fewer elements than one
            batch.
    """

    def __init__(self, dataset: grain.MapDataset, batch_size: int, *, threads: int = 8, read_ahead: int = 8):
        if not isinstance(dataset, grain.MapDataset):
            raise InputError(
                "dataset",
                found=type(dataset).__name__,
                expected="a grain.MapDataset, which has random access: before .to_iter_dataset() and without .batch()",
            )
        if _cuts_batches(dataset):
            raise InputError(
                "dataset", found="batches, made by .batch()", expected="single rows; the loader makes the batches"
            )
        check_counts(batch_size=batch_size, threads=threads, read_ahead=read_ahead)
        if len(dataset) < batch_size:
            raise InputError(
                "dataset", found=f"{len(dataset)} elements", expected=f"at least batch_size = {batch_size}"
            )
        self.dataset, self.batch_size = dataset, int(batch_size)
        self._reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=read_ahead)

    def __len__(self) -> int:
        """Number of batches; ``sys.maxsize`` for a data set that repeats forever."""
        return sys.maxsize if len(self.dataset) >= sys.maxsize // 2 else len(self.dataset) // self.batch_size

    def example(self) -> Rows:
        """The first batch, to show shapes and dtypes."""
        return _Batches(self.dataset, self.batch_size, np.arange(self.batch_size))[0]

    def batches(self, start: int, rows: np.ndarray | None = None) -> Iterator[Rows]:
        """The batches of steps ``start``, ``start + 1`` and so on.

        Args:
            start: The first step.
            rows: The rows of each batch to read, in order; default all.
        """
        rows = np.arange(self.batch_size) if rows is None else rows
        batches = grain.MapDataset.source(_Batches(self.dataset, self.batch_size, rows, start))
        return iter(batches.to_iter_dataset(self._reading))


def _cuts_batches(dataset: grain.MapDataset) -> bool:
    """Whether ``.batch()`` is among the steps that lead to a data set, of which some have several parents."""
    # Grain does not export the class of a step.
    return type(dataset).__name__ == "BatchMapDataset" or any(map(_cuts_batches, dataset.parents))


class _Batches:
    """Some rows of every batch, as a random-access source of its own."""

    def __init__(self, dataset: grain.MapDataset, batch_size: int, rows: np.ndarray, start: int = 0):
        self._dataset, self._batch_size, self._rows, self._start = dataset, batch_size, rows, start

    def __len__(self) -> int:
        whole = min(len(self._dataset), sys.maxsize // 2) // self._batch_size
        return max(whole - self._start, 0)

    def __getitem__(self, number: int) -> Rows:
        first = (self._start + number) * self._batch_size
        elements = [self._dataset[first + int(row)] for row in self._rows]
        if any(element is None for element in elements):
            raise DataError(
                "the grain data set leaves elements out (.filter), which moves rows between batches: filter the "
                "source beforehand."
            )
        return jax.tree.map(lambda *values: np.stack(values), *elements)
