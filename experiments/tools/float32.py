"""Measures the error of float32 against float64, method by method, on the same random numbers.

``python -m experiments.tools.float32 [config ...] [--publish]`` measures the studies that run in float32 on TPUs. It
prints their rows of the table in docs/measurements/float32.md, and with ``--publish`` also writes them there. Both
computations start from the same draws: random numbers are made in float32 and widened for the reference. Everything
that follows (simulation, fits, selection, metric) runs in its own precision.

No TPU is used, so the table does not include the error of a TPU's own kernels. It does include the TPU's algorithm for
singular values: that is plain JAX, and here it replaces LAPACK's in float32.
"""

import argparse
import contextlib
import dataclasses
import datetime
import sys
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.study import Study
from causalrep.study.execution.cell_program import CellProgram
from causalrep.study.report.tables import markdown_table
from experiments import configs
from experiments.terminal import begin
from experiments.tools.pages import update_table

PAGE = configs.ROOT / "docs" / "measurements" / "float32.md"
COMMAND = "python -m experiments.tools.float32 --publish"
HEADER = ["config", "method", "metric", "n", "median", "99%", "largest", "absolute", "off by over 1%", "measured"]


@dataclasses.dataclass(frozen=True)
class Sample:
    """The part of a config's paper scale that is measured.

    Attributes:
        config: Name of the config.
        stride: Every ``stride``-th cell is measured.
        replications: Replications per cell.
    """

    config: str
    stride: int
    replications: int


SAMPLES = (
    Sample("ivl/linear_simulation", 12, 32),
    Sample("ivl/cyclic", 12, 32),
    Sample("ivl/partial_null_space", 12, 32),
    Sample("ivl/optical_device", 5, 4),
    Sample("iv/weak_instruments", 3, 256),
)


def errors(study: Study, cells: Sequence[int], replications: int, *, tpu_svd: bool = True) -> pd.DataFrame:
    """Relative errors of every method's metrics in float32.

    Args:
        study: A compiled study.
        cells: Indices of the cells.
        replications: Replications per cell.
        tpu_svd: Whether float32 uses the TPU's algorithm for singular values.

    Returns:
        A row per cell, replication, method and metric with the columns ``float64``, ``float32``, ``absolute`` (the
        absolute difference) and ``relative`` (the same over the absolute float64 value, or 0 if both are equal).
    """
    # First everything in float32, then everything in float64, with an empty cache between them: otherwise JAX 0.10.2
    # reuses a function that was traced with 64-bit integers in a program without them.
    narrow = [_values(study, cell, replications, "float32", tpu_svd) for cell in cells]
    jax.clear_caches()
    wide = [_values(study, cell, replications, "float64", False) for cell in cells]
    frames = []
    for cell, (columns, low), (_, high) in zip(cells, narrow, wide, strict=True):
        for j, (method, metric) in enumerate(columns):
            frame = pd.DataFrame({"cell": cell, "replication": np.arange(replications), "method": method})
            frames.append(frame.assign(metric=metric, float64=high[:, j], float32=low[:, j]))
    frame = pd.concat(frames, ignore_index=True)
    gap = (frame["float32"] - frame["float64"]).abs()
    return frame.assign(relative=np.where(gap > 0, gap / frame["float64"].abs(), 0.0), absolute=gap)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Summarizes the errors by method and metric.

    Returns:
        A row per method and metric: the number of values ``n``, the ``median``, 99th percentile ``p99`` and ``largest``
        relative error, the largest ``absolute`` error, and the number of values ``changed`` by more than 1%.
    """
    grouped = frame.groupby(["method", "metric"], sort=False)
    return pd.DataFrame(
        {
            "n": grouped.size(),
            "median": grouped["relative"].median(),
            "p99": grouped["relative"].quantile(0.99),
            "largest": grouped["relative"].max(),
            "absolute": grouped["absolute"].max(),
            "changed": grouped["relative"].agg(lambda values: int((values > 0.01).sum())),
        }
    ).reset_index()


def _values(study: Study, cell: int, replications: int, precision: str, tpu_svd: bool) -> tuple:
    study = dataclasses.replace(study, precision=precision, full_products=True)
    wide = precision == "float64"
    with jax.enable_x64(wide), _same_draws(), _tpu_svd() if tpu_svd else contextlib.nullcontext():
        key = (study.name, study.replicate, study.static_values(cell), precision, tpu_svd)
        if key not in _PROGRAMS:
            program = CellProgram(study.replicate, study.static_values(cell), precision, True)
            _PROGRAMS[key] = program, jax.jit(jax.vmap(program.single, in_axes=(None, 0, None)))
        program, batched = _PROGRAMS[key]
        # Replication numbers: the program folds them into the cell's key, so both precisions draw the same.
        lanes = np.arange(replications, dtype=np.uint32)
        values = batched(study.cell_key(cell), lanes, study.traced_values(cell))
        return program.columns, np.asarray(values, np.float64)


_PROGRAMS: dict[tuple, tuple] = {}


@contextlib.contextmanager
def _same_draws() -> Iterator[None]:
    """Draws random numbers in float32 in every precision, then widens them to that precision."""
    originals = {name: getattr(jax.random, name) for name in ("normal", "uniform", "gumbel", "bernoulli")}

    def draw(name: str):
        def drawn(key, shape=(), dtype=None, *bounds, **options):
            return originals[name](key, shape, jnp.float32, *bounds, **options).astype(dtype or jnp.zeros(()).dtype)

        return drawn

    def bernoulli(key, p=0.5, shape=None, **options):
        return originals["bernoulli"](key, jnp.asarray(p, jnp.float32), shape, **options)

    with _replaced(jax.random, {**{name: draw(name) for name in originals}, "bernoulli": bernoulli}):
        yield


@contextlib.contextmanager
def _tpu_svd() -> Iterator[None]:
    """Replaces LAPACK's SVD by the polar-decomposition algorithm to which JAX lowers an SVD on TPUs."""
    from jax._src.tpu.linalg.svd import svd as polar

    def svd(a, full_matrices=True, compute_uv=True):
        return polar(a, full_matrices=full_matrices, compute_uv=compute_uv)

    with _replaced(jnp.linalg, {"svd": svd}):
        yield


@contextlib.contextmanager
def _replaced(module, functions: Mapping) -> Iterator[None]:
    originals = {name: getattr(module, name) for name in functions}
    for name, function in functions.items():
        setattr(module, name, function)
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(module, name, function)


def rows(sample: Sample) -> list[list[str]]:
    """The rows of one config in the table of the page."""
    study = configs.study_of(configs.load(sample.config)["paper"])
    cells = range(0, len(study.settings), sample.stride)
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    lines = []
    for row in summary(errors(study, cells, sample.replications)).itertuples():
        numbers = (f"{number:.0e}" for number in (row.median, row.p99, row.largest, row.absolute))
        lines.append([sample.config, row.method, row.metric, str(row.n), *numbers, str(row.changed), today])
    return lines


def _rank(row: Sequence[str]) -> int:
    return [sample.config for sample in SAMPLES].index(row[0])


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.tools.float32", description=begin(__doc__).split("\n\n")[0]
    )
    parser.add_argument("configs", nargs="*", help="default: all configs that run in float32 on TPUs")
    parser.add_argument("--publish", action="store_true", help=f"write the rows into docs/{PAGE.name}")
    options = parser.parse_args(argv)
    for sample in SAMPLES:
        if options.configs and sample.config not in options.configs:
            continue
        lines = rows(sample)
        print(markdown_table(HEADER, lines), flush=True)
        if options.publish:
            update_table(PAGE, COMMAND, HEADER, {(sample.config,): lines}, _rank)
    return 0


if __name__ == "__main__":
    sys.exit(main())
