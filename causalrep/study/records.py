"""Records in a folder or bucket: a tidy long table, and the parts that make a killed run resumable.

Every write is atomic (:mod:`causalrep.storage`). Two runs on one folder therefore do the work twice but cannot corrupt
it: they write the same bytes, and the last one wins.
"""

import dataclasses
import io
import os
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from causalrep.errors import CausalrepWarning, RecordsError, first_line
from causalrep.storage import AnyPath, as_path, remove_if_empty, remove_named, write_bytes
from causalrep.study.plan import Columns, Study
from causalrep.study.verdicts.claims import ClaimResult
from causalrep.study.verdicts.reported import ReportedNumber

RECORDS = "records.parquet"
PARTS = "parts"
_PART = re.compile(r"cell-\d+-replications-\d+-\d+\.parquet")
_LABEL = re.compile(r"\w+-(loop|vmap|sharded)-\d+-\d+-[0-9a-f]{8}")


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of a study, and where they are stored.

    Attributes:
        frame: One row per setting, method, replication and metric: the setting's columns, then ``method``,
            ``replication``, ``metric``, ``value``.
        study: The study.
        folder: The run's folder, local or in a bucket, or None if it was not written.
        environment: Versions, devices, mode, chunk, times.
        computed: Whether this call computed any of it; False if the run was already finished.
    """

    frame: pd.DataFrame
    study: Study
    folder: AnyPath | None
    environment: dict[str, Any]
    computed: bool = True

    def claims(self) -> list[ClaimResult]:
        """The verdict on each claim of the study."""
        return [claim.evaluate(self.frame) for claim in self.study.claims]

    def markdown(self, reported: Sequence[ReportedNumber] = ()) -> str:
        """The report's tables and claims."""
        from causalrep.study.report.markdown import run_markdown

        return run_markdown(self.study, self.frame, self.claims(), reported)


def cell_frame(study: Study, cell: int, start: int, columns: Columns, values: np.ndarray) -> pd.DataFrame:
    """The rows of some replications in long form: by replication, then method and metric in the author's order."""
    count, width = values.shape
    data: dict[str, Any] = {}
    for field, value in study.settings[cell].items():
        data[field] = np.full(count * width, value, dtype=_dtype(study, field))
    data["method"] = np.tile(np.asarray([method for method, _ in columns], object), count)
    data["replication"] = np.repeat(np.arange(start, start + count, dtype=np.int64), width)
    data["metric"] = np.tile(np.asarray([metric for _, metric in columns], object), count)
    data["value"] = values.reshape(-1).astype(np.float64)
    return pd.DataFrame(data)


def columns_of(frame: pd.DataFrame) -> Columns:
    """The (method, metric) pairs of the first replication of a cell's rows."""
    first = frame[frame["replication"] == frame["replication"].iloc[0]]
    return tuple(zip(first["method"], first["metric"], strict=True))


def join_frames(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The records of all chunks in one table, with the dtypes that a file gives back."""
    frame = pd.concat(frames, ignore_index=True)
    texts = [name for name in frame.columns if frame[name].dtype.kind not in "bif"]
    return frame.astype(dict.fromkeys(texts, "str"))


def records_bytes(frame: pd.DataFrame) -> bytes:
    """A records table as the bytes of its file; equal tables give equal bytes."""
    table = pa.table({name: _arrow_column(frame[name]) for name in frame.columns})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def write_records(frame: pd.DataFrame, path: AnyPath) -> None:
    """Write a records table atomically.

    Raises:
        RecordsError: If it cannot be written.
    """
    write_bytes(path, records_bytes(frame))


def read_records(path: AnyPath | str | os.PathLike) -> pd.DataFrame:
    """Read ``records.parquet``, or any table written by :func:`write_records`, from a folder or a bucket.

    Raises:
        RecordsError: If the file is missing, corrupt or not a records table.
    """
    path = as_path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise RecordsError(f"{path}: no such file; run the study first.") from error
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read ({error.strerror or error}).") from error
    return parse_records(data, str(path))


def parse_records(data: bytes, name: str) -> pd.DataFrame:
    """The table in the bytes of a records file; ``name`` appears in the error.

    Raises:
        RecordsError: If it is corrupt or not a records table.
    """
    try:
        frame = pq.ParquetFile(io.BytesIO(data)).read().to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RecordsError(
            f"{name}: not a readable records file ({first_line(error).rstrip('.')}). Delete it and run the study again."
        ) from error
    missing = [column for column in ("method", "replication", "metric", "value") if column not in frame.columns]
    if missing:
        raise RecordsError(f"{name}: no column {missing}. Delete it and run the study again.")
    return frame


class Parts:
    """The finished chunks of an unfinished run, one small file each.

    Their folder is named after everything that their last digits may depend on (platform, mode, devices, chunk, code),
    so that a run resumed in another mode computes its own parts and never mixes two layouts.

    Args:
        run: The run's folder.
        label: Name of the folder of parts.
    """

    def __init__(self, run: AnyPath, label: str):
        self.run = run
        self.folder = run / PARTS / label
        # One listing for all parts, since a bucket answers slowly.
        try:
            self._found = {path.name for path in self.folder.iterdir()}
        except FileNotFoundError:
            self._found = set()

    def path(self, cell: int, start: int, stop: int) -> AnyPath:
        """The file of a chunk."""
        return self.folder / f"cell-{cell:05d}-replications-{start:07d}-{stop:07d}.parquet"

    def load(self, cell: int, start: int, stop: int) -> pd.DataFrame | None:
        """The chunk if it was finished; a corrupt file counts as unfinished, with a warning."""
        path = self.path(cell, start, stop)
        if path.name not in self._found:
            return None
        try:
            frame = parse_records(path.read_bytes(), str(path))
            if set(frame["replication"]) != set(range(start, stop)):
                raise RecordsError(f"{path}: holds other replications.")
        except FileNotFoundError:
            return None  # another process has finished the run and removed its parts
        except (RecordsError, OSError) as error:
            warnings.warn(f"{path} is damaged and is computed again ({error})", CausalrepWarning, stacklevel=2)
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


def labels_of_parts(run: AnyPath) -> list[str]:
    """The folders of parts of an unfinished run, one for each way to compute them."""
    try:
        return [path.name for path in (run / PARTS).iterdir() if _LABEL.fullmatch(path.name)]
    except FileNotFoundError:
        return []


def remove_parts(run: AnyPath) -> None:
    """Delete the parts of a finished run, and nothing that others have put beside them."""
    for label in labels_of_parts(run):
        remove_named(run / PARTS / label, _PART)
    remove_if_empty(run / PARTS)


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
