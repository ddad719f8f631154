"""Observing a fit: progress after each chunk of steps, on the console or in TensorBoard."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from causalrep.storage import as_path


class Progress(NamedTuple):
    """The progress of a fit after one chunk of steps.

    Attributes:
        step: Number of steps done.
        steps: Number of steps in all.
        metrics: Means over the chunk's steps and over the fits that still run; ``"loss"`` is one of them.
        validation: The last validation loss, averaged over fits; None if none was computed in this chunk.
        steps_per_second: Steps per second over the chunk, without compilation.
        examples_per_second: Rows per second, of all fits.
        flops_per_second: Floating-point operations of the updates per second, by the compiler's own count of the
            program before optimization; None if the backend does not count.
        compile_seconds: Seconds of compilation since the start of the fit.
    """

    step: int
    steps: int
    metrics: Mapping[str, float]
    validation: float | None
    steps_per_second: float
    examples_per_second: float
    flops_per_second: float | None
    compile_seconds: float


Observer = Callable[[Progress], None]


class Stopwatch:
    """Measures each chunk and passes a :class:`Progress` to the observers."""

    def __init__(self, observers: Sequence[Observer], batch_size: int, lanes: int):
        self._observers, self._batch_size, self._lanes = tuple(observers), batch_size, lanes
        self._compile_seconds = 0.0
        self._step_flops: float | None = None
        self._counted = False
        self.begin()

    def begin(self) -> None:
        """Start the clock of the first chunk."""
        self._last, self._last_compile = time.perf_counter(), self._compile_seconds

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """A block whose time counts as compilation."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._compile_seconds += time.perf_counter() - start

    def flops(self, count: Callable[[], float | None]) -> None:
        """Count a step's operations once, if there are observers."""
        if self._observers and not self._counted:
            with self.compiling():
                self._step_flops = count()
            self._counted = True

    def chunk(self, step: int, steps: int, history: Mapping[str, np.ndarray], status: Mapping[str, np.ndarray]) -> None:
        """Record the end of a chunk at ``step``."""
        now = time.perf_counter()
        if not self._observers:
            return
        taken = history["loss"].shape[-1]
        # The programs of the chunks run one after the other, so the time between two ends belongs to one chunk.
        seconds = max(now - self._last - (self._compile_seconds - self._last_compile), 1e-9)
        self._last, self._last_compile = now, self._compile_seconds
        rate = taken / seconds
        progress = Progress(
            step=step,
            steps=steps,
            metrics={name: _mean(values) for name, values in history.items() if name != "validation"},
            validation=last_finite(history["validation"]),
            steps_per_second=rate,
            examples_per_second=rate * self._batch_size * self._lanes,
            flops_per_second=None if self._step_flops is None else rate * self._step_flops,
            compile_seconds=self._compile_seconds,
        )
        for observer in self._observers:
            observer(progress)


class TensorBoard:
    """An observer that writes scalars for TensorBoard, without TensorFlow.

    Args:
        folder: The log folder.
    """

    def __init__(self, folder: Path | str):
        from tensorboardX import SummaryWriter

        # The working directory may change before the first chunk.
        place = as_path(folder)
        place = place.absolute() if isinstance(place, Path) else place
        self._writer = SummaryWriter(str(place), flush_secs=10)

    def __call__(self, progress: Progress) -> None:
        """Write the scalars of one chunk at its last step."""
        scalars: dict[str, float | None] = {f"train/{name}": value for name, value in progress.metrics.items()}
        scalars["speed/steps_per_second"] = progress.steps_per_second
        scalars["speed/examples_per_second"] = progress.examples_per_second
        scalars["speed/flops_per_second"] = progress.flops_per_second
        scalars["validation/loss"] = progress.validation
        for name, value in scalars.items():
            if value is not None and np.isfinite(value):
                self._writer.add_scalar(name, value, progress.step)

    def close(self) -> None:
        """Write pending scalars; a later chunk opens another file in the folder."""
        self._writer.close()


class Console:
    """An observer that prints a line at most every ``every`` seconds, and one at the end.

    >>> import io
    >>> progress = Progress(10, 10, {"loss": 0.5}, None, 20.0, 640.0, 1e9, 0.1)
    >>> Console(file=(out := io.StringIO()))(progress); print(out.getvalue().strip())
    step 10/10  loss 0.5  20 steps/s  640 examples/s  1 GFLOP/s  compiled in 0.1 s
    """

    def __init__(self, every: float = 10.0, file=None):
        self._every, self._file, self._last = every, file, -np.inf

    def __call__(self, progress: Progress) -> None:
        """Print the progress if it is time, or the last step."""
        now = time.perf_counter()
        if now - self._last < self._every and progress.step < progress.steps:
            return
        self._last = now
        parts = [f"step {progress.step}/{progress.steps}"]
        parts += [f"{name} {value:.4g}" for name, value in progress.metrics.items()]
        if progress.validation is not None:
            parts.append(f"validation {progress.validation:.4g}")
        parts.append(f"{progress.steps_per_second:.4g} steps/s")
        parts.append(f"{progress.examples_per_second:.4g} examples/s")
        if progress.flops_per_second is not None:
            parts.append(f"{progress.flops_per_second / 1e9:.3g} GFLOP/s")
        parts.append(f"compiled in {progress.compile_seconds:.2g} s")
        print("  ".join(parts), file=self._file or sys.stderr, flush=True)


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def last_finite(values: np.ndarray) -> float | None:
    """The last finite value along the last axis, the mean over the axes before it."""
    finite = values.mean(axis=tuple(range(values.ndim - 1)))
    finite = finite[np.isfinite(finite)]
    return float(finite[-1]) if finite.size else None
