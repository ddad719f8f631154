"""Profiling a run: ``jax.profiler`` traces its first chunks into the run's folder."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import jax

from causalrep.storage import AnyPath, Remote, write_bytes

TRACED_CHUNKS = 3


class Trace:
    """A context manager that traces the first few chunks computed inside it, if a folder is given.

    The trace of each process is written to ``profile/process-<index>``. View it with TensorBoard's profile plugin
    (xprof), or open its ``*.trace.json.gz`` at ui.perfetto.dev.

    Args:
        run: The run's folder, or None to trace nothing.
    """

    def __init__(self, run: AnyPath | None):
        self._folder = None if run is None else run / "profile" / f"process-{jax.process_index()}"
        self._left = TRACED_CHUNKS if run is not None else 0
        self._local: Path | None = None

    def __enter__(self) -> "Trace":
        return self

    @contextlib.contextmanager
    def chunk(self) -> Iterator[None]:
        """A block that computes one chunk; it is traced if it is among the first."""
        if self._left and self._local is None:
            # The profiler writes to local disks only; a bucket gets a copy at the end.
            local = self._folder if isinstance(self._folder, Path) else None
            self._local = local or Path(tempfile.mkdtemp(prefix="causalrep-profile-"))
            jax.profiler.start_trace(str(self._local))
        try:
            yield
        finally:
            if self._left:
                self._left -= 1
                if self._left == 0:
                    self._stop()

    def _stop(self) -> None:
        jax.profiler.stop_trace()
        if isinstance(self._folder, Remote) and self._local is not None:
            for file in sorted(self._local.rglob("*")):
                if file.is_file():
                    write_bytes(self._folder.joinpath(*file.relative_to(self._local).parts), file.read_bytes())
        self._local = None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._local is not None:
            self._stop()
            self._left = 0
