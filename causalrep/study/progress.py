"""What a person sees while a study runs: a bar with rate and time to go, or one line a cell."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from causalrep.study.plan import Setting, Study


class Progress:
    """A context manager that :meth:`advance` tells of finished chunks; it writes to standard error."""

    def __init__(self, study: Study, *, enabled: bool = True):
        self._study, self._enabled = study, enabled
        self._done = self._computed = self._in_cell = 0
        self._bar: Bar | None = None

    def __enter__(self) -> "Progress":
        self._started = self._cell_started = time.perf_counter()
        console = Console(stderr=True)
        if self._enabled and console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("to go"),
                TimeRemainingColumn(),
                console=console,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._study.name, total=self._study.total_replications, rate="")
        return self

    def advance(self, cell: int, count: int, *, resumed: bool = False) -> None:
        """Note ``count`` more replications of a cell, computed now or found from before."""
        self._done += count
        self._in_cell += count
        self._computed += 0 if resumed else count
        now = time.perf_counter()
        rate = self._computed / max(now - self._started, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, advance=count, rate=f"{rate:.3g}/s" if self._computed else "")
        if self._in_cell < self._study.replications:
            return
        if self._enabled and self._bar is None:
            cells = len(self._study.settings)
            left = (self._study.total_replications - self._done) / rate if self._computed else 0.0
            took = (
                "already done" if resumed else f"{now - self._cell_started:.1f} s, {rate:.3g} replications/s"
            )
            print(
                f"{self._study.name} cell {cell + 1}/{cells} ({spelled(self._study.settings[cell])}): {took}"
                + (f", {left:.0f} s to go" if cell + 1 < cells and not resumed else ""),
                file=sys.stderr,
                flush=True,
            )
        self._in_cell, self._cell_started = 0, now

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def spelled(setting: Setting) -> str:
    """``kappa=0.5, method=x``."""
    return ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in setting.items())
