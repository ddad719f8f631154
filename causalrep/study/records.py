"""Records on disk: a tidy long table, written atomically, and the parts that make a killed run resumable.

A file appears under its name only when it is complete: it is written beside it, flushed to disk and renamed.
Two
processes on one folder therefore do the work twice but cannot corrupt it: they write the same bytes, the last
rename wins.
"""

import contextlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from causalrep.errors import CausalrepWarning, RecordsError
from causalrep.study.execute import Columns
from causalrep.study.plan import Study

RECORDS = "records.parquet"
PARTS = "parts"


def cell_frame(study: Study, cell: int, start: int, columns: Columns, values: np.ndarray) -> pd.DataFrame:
    """Long rows of some replications: by replication, then method and metric in the author's order."""
    count, width = values.shape
    data: dict[str, Any] = {}
    for field, value in study.settings[cell].items():
        data[field] = np.full(count * width, value, dtype=_dtype(study, field))
    data["method"] = np.tile(np.asarray([method for method, _ in columns], object), count)
    data["replication"] = np.repeat(np.arange(start, start + count, dtype=np.int64), width)
    data["metric"] = np.tile(np.asarray([metric for _, metric in columns], object), count)
    data["value"] = values.reshape(-1).astype(np.float64)
    return pd.DataFrame(data)


def write_records(frame: pd.DataFrame, path: Path) -> None:
    """Write a records table so that the same table always gives the same bytes."""
    table = pa.table({name: _arrow_column(frame[name]) for name in frame.columns})
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_records(path: Path | str) -> pd.DataFrame:
    """Read ``records.parquet``, or any table written by :func:`write_records`.

    Raises:
        RecordsError: If the file is missing, corrupt or not a records table.
    """
    path = Path(path)
    try:
        frame = pq.ParquetFile(path).read().to_pandas()
    except FileNotFoundError as error:
        raise RecordsError(f"{path}: no such file; run the study first.") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RecordsError(
            f"{path}: not a readable records file ({_first_line(error)}). Delete it and run the study again."
        ) from error
    missing = [name for name in ("method", "replication", "metric", "value") if name not in frame.columns]
    if missing:
        raise RecordsError(f"{path}: no column {missing}. Delete it and run the study again.")
    return frame


class Parts:
    """The finished chunks of an unfinished run, one small file each.

    They lie in a folder named after all that their last digits may depend on (platform, mode, devices,
    chunk), so that a run resumed in another mode starts its own and no records mix two.
    """

    def __init__(self, run: Path, label: str):
        self.run = run
        self.folder = run / PARTS / label

    def path(self, cell: int, start: int, stop: int) -> Path:
        """Where a chunk lies."""
        return self.folder / f"cell-{cell:05d}-replications-{start:07d}-{stop:07d}.parquet"

    def load(self, cell: int, start: int, stop: int) -> pd.DataFrame | None:
        """The chunk if it was finished; a corrupt file counts as unfinished, with a warning."""
        path = self.path(cell, start, stop)
        if not path.exists():
            return None
        try:
            frame = read_records(path)
            if set(frame["replication"]) != set(range(start, stop)):
                raise RecordsError(f"{path}: holds other replications.")
        except RecordsError as error:
            warnings.warn(
                f"{path} is damaged and is computed again ({error})", CausalrepWarning, stacklevel=2
            )
            return None
        return frame

    def save(self, frame: pd.DataFrame, cell: int, start: int, stop: int) -> None:
        """Write a finished chunk."""
        try:
            write_records(frame, self.path(cell, start, stop))
        except RecordsError:
            # Another process may have finished the run and removed the parts: none is needed then.
            if not (self.run / RECORDS).exists():
                raise


def remove_parts(run: Path) -> None:
    """Drop the parts of a finished run."""
    shutil.rmtree(run / PARTS, ignore_errors=True)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it, flushed to disk, when the block ends well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise RecordsError(f"{path}: cannot be written ({error.strerror or error}).") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise RecordsError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        RecordsError: If it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordsError(
            f"{path}: not readable as JSON ({error}). Delete the folder and run again."
        ) from error


def check_writable(folder: Path) -> None:
    """Refuse, before any computation, a folder that cannot be written.

    Raises:
        RecordsError: If it cannot be created or a file in it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".write-check-", dir=folder):
            pass
    except OSError as error:
        raise RecordsError(
            f"{folder}: the results folder cannot be written ({error.strerror or error}). Choose another."
        ) from error


def _dtype(study: Study, field: str) -> Any:
    values = [setting[field] for setting in study.settings]
    if isinstance(values[0], str):
        return object
    if isinstance(values[0], bool):
        return np.bool_
    return np.int64 if all(isinstance(value, int) for value in values) else np.float64


def _arrow_column(column: pd.Series) -> pa.Array:
    if column.dtype.kind in "bif":
        return pa.array(column.to_numpy(), from_pandas=False)
    return pa.array(column.to_numpy(object), pa.string())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
