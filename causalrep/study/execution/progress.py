"""What people see while a study runs: a progress bar, or one line per cell, and TensorBoard on request."""

import sys
import time
from pathlib import Path
from types import TracebackType

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from causalrep.errors import InputError
from causalrep.storage import as_path
from causalrep.study.plan import Setting, Study


class Progress:
    """A context manager that shows progress on standard error; call :meth:`advance` after each chunk."""

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
        """Record ``count`` more replications of a cell, computed now or (``resumed``) in an earlier run."""
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
            took = "already done" if resumed else f"{now - self._cell_started:.1f} s, {rate:.3g} replications/s"
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


class Scalars:
    """A context manager that writes a run's progress as TensorBoard scalars, if a folder is given.

    It plots ``run/replications`` and ``run/replications_per_second`` against milliseconds since the start, and for each
    metric and method the mean over a cell's replications against the cell's number.
    """

    def __init__(self, study: Study, folder: Path | str | None, scale: str):
        self._study, self._writer = study, None
        if folder is None:
            return
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise InputError(
                "tensorboard", found=f"{folder}, without the package tensorboardX", expected="pip install tensorboardX"
            ) from error
        self._writer = SummaryWriter(str(as_path(folder).joinpath(*study.name.split("/"), f"{scale}-{study.digest()}")))

    def __enter__(self) -> "Scalars":
        self._started, self._computed = time.perf_counter(), 0
        return self

    def advance(self, count: int) -> None:
        """Record ``count`` more computed replications."""
        if self._writer is None:
            return
        self._computed += count
        seconds = time.perf_counter() - self._started
        self._writer.add_scalar("run/replications", self._computed, int(1000 * seconds))
        self._writer.add_scalar("run/replications_per_second", self._computed / seconds, int(1000 * seconds))

    def cell(self, cell: int, frames: list[pd.DataFrame]) -> None:
        """Write the means of a finished cell."""
        if self._writer is None:
            return
        means = pd.concat(frames).groupby(["metric", "method"], sort=False)["value"].mean()
        for (metric, method), mean in means.items():
            self._writer.add_scalar(f"{metric}/{method}", mean, cell)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.close()


def spelled(setting: Setting) -> str:
    """A setting as text: ``kappa=0.5, method=x``."""
    return ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in setting.items())
