"""Times two programs in one run, and writes the page that shows the result."""

import dataclasses
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jax

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "measurements" / "benchmarks.md"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclasses.dataclass(frozen=True)
class Timing:
    """CPU seconds of the whole process per unit of work: median and range over repeats."""

    median: float
    low: float
    high: float
    repeats: int

    def __str__(self) -> str:
        return f"{_seconds(self.median)} ({_seconds(self.low)} to {_seconds(self.high)}, {self.repeats} repeats)"


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the page.

    Attributes:
        task: What both sides compute.
        ours: Time per unit of our side, once compiled.
        peer: Name of the other side.
        theirs: Time per unit of the other side, measured here, or a published number of seconds.
        unit: Name of the unit of work.
        units: Number of units in the task.
        compile_seconds: Our compile time, which is paid once and is not part of ``ours``.
        claim: The promised ratio.
        note: Whatever a reader must know to judge the comparison.
    """

    task: str
    ours: Timing
    peer: str
    theirs: Timing | float
    unit: str
    units: int
    compile_seconds: float
    claim: float
    note: str

    @property
    def ratio(self) -> float:
        """CPU time of the other side over ours, once compiled."""
        return self._peer_seconds / self.ours.median

    @property
    def ratio_with_compilation(self) -> float:
        """The same ratio for the whole task in a new process with an empty compilation cache."""
        return self.units * self._peer_seconds / (self.units * self.ours.median + self.compile_seconds)

    @property
    def _peer_seconds(self) -> float:
        return self.theirs.median if isinstance(self.theirs, Timing) else self.theirs


def pin() -> int:
    """Confines the process to one processor, checks that thread pools have one thread, and returns the processor.

    Raises:
        SystemExit: If a thread variable is not 1. BLAS reads these variables when it is loaded, which is before this
            function runs.
    """
    wrong = [name for name in THREAD_VARIABLES if os.environ.get(name) != "1"]
    if wrong:
        raise SystemExit(f"set {' '.join(f'{name}=1' for name in wrong)} before starting (make benchmarks does)")
    processor = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processor})
    return processor


def measure(work: Callable[[], object], *, units: int, repeats: int, warmup: int = 1) -> Timing:
    """CPU seconds per unit of ``work``, which handles ``units`` units. Every call waits for its results."""
    for _ in range(warmup):
        jax.block_until_ready(work())
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        jax.block_until_ready(work())
        seconds.append((time.process_time() - start) / units)
    return Timing(statistics.median(seconds), min(seconds), max(seconds), repeats)


def page(rows: list[Row]) -> str:
    """The page in Markdown."""
    lines = [
        "<!-- Written by `make benchmarks`; do not edit. -->",
        "",
        "# Benchmarks",
        "",
        "CPU seconds of the whole process per unit of work. Both sides are measured in one run, on one processor and",
        "with one BLAS thread. Compile time is paid once per program and has its own column.",
        "",
        "| task | unit | causalrep | peer | peer's time | ratio | promised | compile | ratio, compile included |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        theirs = str(row.theirs) if isinstance(row.theirs, Timing) else f"{_seconds(row.theirs)} (published)"
        verdict = "kept" if row.ratio >= row.claim else "not kept"
        lines.append(
            f"| {row.task} | {row.unit} | {row.ours} | {row.peer} | {theirs} | **{times(row.ratio)}** | "
            f"{row.claim:g}x, {verdict} | {row.compile_seconds:.1f} s | {times(row.ratio_with_compilation)} |"
        )
    lines += ["", *(f"- *{row.task}*: {row.note}" for row in rows), "", _origin(), ""]
    return "\n".join(lines)


def times(ratio: float) -> str:
    """A ratio as text, with a decimal below 10.

    >>> times(116.2), times(1.36), times(0.52)
    ('116x', '1.4x', '0.5x')
    """
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def _origin() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    where = commit.stdout.strip() if commit.returncode == 0 else "unknown"
    return (
        f"Commit {where}, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()} CPU with {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, jax {jax.__version__}. No accelerator was measured."
    )


def _seconds(value: float) -> str:
    if value >= 1.0:
        return f"{value:.2f} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"
