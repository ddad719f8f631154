"""Timing two programs side by side, and the page that shows the result."""

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
PAGE = ROOT / "docs" / "benchmarks.md"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of one unit of work: CPU of the whole process, median and range over repeats."""

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
        ours: Time per unit of our side, compiled.
        peer: Name of the other side.
        theirs: Time per unit of the other side: measured here, or a published figure in seconds.
        unit: What a unit is.
        units: How many of them the task has.
        compile_seconds: Our compile time, paid once, not in ``ours``.
        claim: The ratio promised.
        note: Anything that qualifies the comparison.
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
        """How many times less CPU time ours takes, once compiled."""
        return self._peer_seconds / self.ours.median

    @property
    def ratio_with_compilation(self) -> float:
        """The same for the whole task in a new process with an empty compilation cache."""
        return self.units * self._peer_seconds / (self.units * self.ours.median + self.compile_seconds)

    @property
    def _peer_seconds(self) -> float:
        return self.theirs.median if isinstance(self.theirs, Timing) else self.theirs


def pin() -> int:
    """Confine the process to one processor and check that thread pools are confined too; returns the processor.

    Raises:
        SystemExit: If a thread variable is not 1: BLAS reads it when it is loaded, so it is too late to set it here.
    """
    wrong = [name for name in THREAD_VARIABLES if os.environ.get(name) != "1"]
    if wrong:
        raise SystemExit(f"set {' '.join(f'{name}=1' for name in wrong)} before starting (make benchmarks does)")
    processor = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processor})
    return processor


def measure(work: Callable[[], object], *, units: int, repeats: int, warmup: int = 1) -> Timing:
    """CPU seconds per unit of ``work``, which handles ``units`` units; results are waited for."""
    for _ in range(warmup):
        jax.block_until_ready(work())
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        jax.block_until_ready(work())
        seconds.append((time.process_time() - start) / units)
    return Timing(statistics.median(seconds), min(seconds), max(seconds), repeats)


def page(rows: list[Row]) -> str:
    """The page, in Markdown."""
    lines = [
        "<!-- Written by `make benchmarks`; do not edit. -->",
        "",
        "# Benchmarks",
        "",
        "CPU seconds of the whole process for one unit of work, both sides in one run, confined to one processor and",
        "one BLAS thread. Compile time is paid once per program and is listed apart.",
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
    """A ratio for a reader.

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
