"""Run a study: plan, resume, compute, write, report; on one process or many, and resumable at any moment.

In a run of several processes all compute, and process 0 alone reads the folder, writes and prints. It tells the
others what it has read, so that all of them compute, skip and stop alike.
"""

import contextlib
import dataclasses
import functools
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import jax
import pandas as pd

from causalrep import storage
from causalrep.base.validation import check_choice
from causalrep.compilation_cache import enable_compilation_cache
from causalrep.errors import CausalrepWarning, InputError, RecordsError
from causalrep.parallel import distributed
from causalrep.parallel.lock import Lock
from causalrep.storage import AnyPath, as_path
from causalrep.study import records as disk
from causalrep.study.environment import Code, explain, machine_and_code
from causalrep.study.execution.cell_program import check_columns
from causalrep.study.execution.executor import Executor, Mode
from causalrep.study.execution.placement import Placement, Precision, place
from causalrep.study.execution.profile import Trace
from causalrep.study.execution.progress import Progress, Scalars
from causalrep.study.execution.workspace import Workspaces
from causalrep.study.plan import Study, canonical_json
from causalrep.study.records import Records
from causalrep.study.report.figures import save_figure
from causalrep.study.verdicts.reported import ReportedNumber

OtherCode = Literal["refuse", "keep", "recompute"]


@dataclasses.dataclass(frozen=True)
class Options:
    """How a run is computed and shown; the arguments of :func:`run` with these names."""

    mode: Mode
    chunk: int | None
    scale: str
    progress: bool
    profile: bool
    tensorboard: Path | str | None
    count_operations: bool
    other_code: OtherCode


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One call of :func:`run`: everything that is decided before anything is computed.

    Attributes:
        placement: The study with its precision decided, and why.
        folder: The run's folder, or None to keep the records in memory.
        options: How it is computed and shown.
        code: The code, read once: parts and records are compared with it.
    """

    placement: Placement
    folder: AnyPath | None
    options: Options
    code: Code

    @property
    def study(self) -> Study:
        """The study, with its precision decided."""
        return self.placement.study

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, machine and commit."""
        return machine_and_code(self.study, self.code) | self.placement.record()


def run(
    study: Study,
    results: AnyPath | str | None = None,
    *,
    mode: Mode = "auto",
    chunk: int | None = None,
    scale: str = "run",
    reported: Sequence[ReportedNumber] = (),
    progress: bool = True,
    profile: bool = False,
    tensorboard: Path | str | None = None,
    precision: Precision = "auto",
    count_operations: bool = False,
    other_code: OtherCode = "refuse",
) -> Records:
    """Compute the missing replications of a study, write its records and report, and return the records.

    The run's folder is ``results/<name>/<scale>-<digest>``. Finished chunks are kept there until the run is complete,
    so a killed run continues where it stopped and ends with the same bytes in ``records.parquet``; a finished run
    computes nothing and only writes its report again. Two runs on one folder repeat each other's work but cannot
    damage it; of a study of long fits (``spread=True``) the second is refused. SIGTERM ends the run after the current
    chunk, with the exit code ``causalrep.parallel.distributed.PREEMPTED``; the same call then continues from there.

    To use all hosts of a pod, call ``causalrep.parallel.distributed.initialize()`` first, and this function in every
    process, inside ``distributed.guard()``.

    Args:
        study: The study.
        results: Folder for all results, local or ``gs://...``, ``s3://...``; None keeps the records in memory.
        mode: ``"loop"``, ``"vmap"``, ``"sharded"`` or ``"auto"``.
        chunk: Replications per call (and per saved part); default from the program's memory and a fixed budget.
        scale: Prefix of the run's folder.
        reported: Published numbers to show beside ours.
        progress: Show a progress bar, or one line per cell if the output is no terminal.
        profile: Write a trace of the first few chunks to ``profile`` in the run's folder, for TensorBoard or Perfetto.
        tensorboard: Folder for scalars of the run's progress: replications, their rate, and means of the metrics.
        precision: ``"float64"``, ``"float32"`` or ``"host"`` (float64 on the host's processor) instead of the study's
            own; ``"auto"`` leaves it to the study and the platform.
        count_operations: Count the floating-point operations of the compiled programs, by reading their text, and add
            them to the environment.
        other_code: What to do with finished records that other code has computed. ``"refuse"`` raises an error if
            ``replicate``, or any of your own code that it uses, has changed since, and warns if only the library has.
            ``"keep"`` returns the old records with a warning; ``"recompute"`` computes them again.

    Raises:
        Preempted: If SIGTERM asked the run to stop; it is a ``SystemExit``.
        RecordsError: If the folder cannot be written, holds a damaged run, another one or one of other code, or, for a
            study with ``spread=True``, is in use by another run.
        InputError: If the study or an argument is wrong.
    """
    enable_compilation_cache()
    if tensorboard is not None and isinstance(place := as_path(tensorboard), Path):
        tensorboard = place.absolute()
    options = Options(mode, chunk, scale, progress, profile, tensorboard, count_operations, other_code)
    check_choice("other_code", other_code, get_args(OtherCode))
    this = _plan(study, results, precision, options)
    # SIGTERM is heard between two chunks, so that it never cuts a write in two.
    with distributed.preemption() as stop:
        records = _finished_before(this)
        if records is None:
            # Long fits save checkpoints in the folder, which two runs would take from each other.
            alone = this.folder if this.study.spread else None
            with contextlib.nullcontext() if alone is None else Lock(alone):
                records = _write(this, *_compute(this, stop))
        write_report(records, reported)
    return records


# ---------------------------------------------------------------- plan


def run_folder(study: Study, results: AnyPath | str, scale: str = "run") -> AnyPath:
    """``results/<name>/<scale>-<digest>``."""
    return as_path(results).joinpath(*study.name.split("/"), f"{scale}-{study.digest()}")


def _plan(study: Study, results: AnyPath | str | None, precision: Precision, options: Options) -> Run:
    placement = place(study, precision)
    study = placement.study
    folder = None if results is None else run_folder(study, results, options.scale)
    # replicate may change the working directory.
    folder = folder.absolute() if isinstance(folder, Path) else folder
    if options.profile and folder is None:
        raise InputError("profile", found="True without results", expected="a results folder to write the trace to")
    this = Run(placement, folder, options, Code.of(study))
    # Hosts that were not updated alike must not mix their work.
    own = [study.digest(), this.code.digest]
    if distributed.agree(own) != own:
        raise RecordsError(
            f"process {jax.process_index()} on host {distributed.host_of(jax.process_index())}: another study or other "
            "code than in process 0. Bring all hosts to the same version and give them the same command."
        )
    return this


# ---------------------------------------------------------------- resume


def _finished_before(this: Run) -> Records | None:
    """The records of a run that is already finished, in every process; None if something is left to compute."""
    study, folder, main = this.study, this.folder, distributed.is_main()
    if folder is None:
        return None
    if main:
        storage.check_writable(folder)
        _check_config(study, folder)
        if this.options.other_code == "recompute" and _environment(folder).get("code") != this.code.digest:
            with contextlib.suppress(FileNotFoundError):
                storage.remove_file(folder / disk.RECORDS)
    if distributed.agree(main and (folder / disk.RECORDS).exists()):
        return _shared(_read_finished(this, folder) if main else None, study, folder, computed=False)
    if main:
        storage.write_json(folder / "config.json", study.identity())
    return None


def _check_config(study: Study, folder: AnyPath) -> None:
    path = folder / "config.json"
    if path.exists() and canonical_json(storage.read_json(path)) != canonical_json(study.identity()):
        raise RecordsError(
            f"{path}: describes another study than this one, though the folder's name is the same. It was "
            "edited, or two studies share a digest: move the folder away and run again."
        )


def _read_finished(this: Run, folder: AnyPath) -> Records:
    study, frame = this.study, disk.read_records(folder / disk.RECORDS)
    expected = [*study.fields, "method", "replication", "metric", "value"]
    cells = frame[list(study.fields)].drop_duplicates() if list(frame.columns) == expected else ()
    if len(cells) != len(study.settings) or frame["replication"].max() != study.replications - 1:
        raise RecordsError(
            f"{folder / disk.RECORDS}: does not hold this study's cells and replications. Delete it and run again."
        )
    environment = _environment(folder)
    if environment.get("code") != this.code.digest:
        _say_other_code(this, folder, environment)
    return Records(frame, study, folder, environment, computed=False)


def _environment(folder: AnyPath) -> dict[str, Any]:
    path = folder / "environment.json"
    return storage.read_json(path) if path.exists() else {}


def _say_other_code(this: Run, folder: AnyPath, environment: dict[str, Any]) -> None:
    """Refuse, or warn of, finished records that other code has computed."""
    changed = this.code.changed(environment)
    message = f"{this.study.name}: the records in {folder} were computed by other code than today's: " + explain(
        changed, environment
    )
    if changed and this.options.other_code == "refuse":
        raise RecordsError(f"{message} Or keep the old ones with other_code='keep'.")
    warnings.warn(message, CausalrepWarning, stacklevel=5)


# ---------------------------------------------------------------- compute


class _Companions(NamedTuple):
    """Companions of the computation: folders for long fits, a request to stop, and displays of progress."""

    workspaces: Workspaces
    stop: distributed.Preemption
    shown: Progress
    scalars: Scalars
    trace: Trace


def _compute(this: Run, stop: distributed.Preemption) -> tuple[list[pd.DataFrame], dict[str, Any]]:
    """The records of all chunks, in process 0 alone, and the entries of the environment about the computation."""
    study, folder, options, main = this.study, this.folder, this.options, distributed.is_main()
    workspaces = Workspaces(
        folder, options.tensorboard, options.profile and study.spread, main and options.progress, this.code.own
    )
    executor = Executor(study, options.mode, options.chunk, workspaces, count_operations=options.count_operations)
    started = time.perf_counter()
    frames, resumed = [], 0
    with (
        Progress(study, enabled=options.progress and main) as shown,
        Scalars(study, options.tensorboard if main else None, options.scale) as scalars,
        # A long fit writes its own trace.
        Trace(folder if options.profile and not study.spread else None) as trace,
    ):
        companions = _Companions(workspaces, stop, shown, scalars, trace)
        for cell in range(len(study.settings)):
            own, before = _compute_cell(this, executor, cell, companions)
            frames += own
            resumed += before
    return frames, _computation(executor, time.perf_counter() - started, resumed)


def _compute_cell(this: Run, executor: Executor, cell: int, beside: _Companions) -> tuple[list[pd.DataFrame], int]:
    """The records of a cell's chunks, in process 0 alone, and the number of replications finished before this call."""
    study, main = this.study, distributed.is_main()
    size = executor.chunk(cell).size
    chunks = [(start, min(start + size, study.replications)) for start in range(0, study.replications, size)]
    parts, saved = None, {}
    if this.folder is not None and main:
        parts = disk.Parts(this.folder, f"{executor.label}-{size}-{this.code.digest}")
        loaded = {start: parts.load(cell, start, end) for start, end in chunks}
        saved = {start: frame for start, frame in loaded.items() if frame is not None}
    done, frames, resumed = set(distributed.agree(list(saved))), [], 0
    for start, end in chunks:
        if start in done:
            resumed += end - start
            beside.shown.advance(cell, end - start, resumed=True)
            frames += [saved[start]] if main else []
            continue
        if beside.stop.agreed():
            raise distributed.Preempted
        with beside.trace.chunk():
            columns, values = executor.compute(cell, start, end)
        if main:
            if frames:
                check_columns(columns, disk.columns_of(frames[0]), f"replications {start} to {end - 1}")
            frames.append(disk.cell_frame(study, cell, start, columns, values))
        if parts is not None:
            parts.save(frames[-1], cell, start, end)
            beside.workspaces.remove(cell, range(start, end))
        beside.shown.advance(cell, end - start)
        beside.scalars.advance(end - start)
    if main:
        beside.scalars.cell(cell, frames)
    return frames, resumed


def _computation(executor: Executor, wall: float, resumed: int) -> dict[str, Any]:
    """The entries of ``environment.json`` about devices, chunks and times."""
    entries = {
        "devices": [f"{device.platform}: {device.device_kind}" for device in executor.devices],
        "processes": executor.processes,
        "mode": executor.mode,
        "chunk": executor.chunk(0).size,
        "chunks": _chunks(executor),
        "replications_computed": executor.study.total_replications - resumed,
        "replications_resumed": resumed,
        "wall_seconds": round(wall, 3),
        "compile_seconds": round(executor.compile_seconds, 3),
        "compute_seconds": round(executor.compute_seconds, 3),
    }
    if executor.counts_operations:
        entries |= {"flops": executor.flops or None, "flops_complete": executor.flops_exact}
    return entries


def _chunks(executor: Executor) -> list[dict[str, Any]]:
    """Each chunk size with its reason and the cells it serves."""
    entries: dict[Any, dict[str, Any]] = {}
    for cell in range(len(executor.study.settings)):
        chunk = executor.chunk(cell)
        entry = entries.setdefault(chunk, {"cells": [], "replications": chunk.size, "why": chunk.why})
        entry["cells"].append(cell)
        if chunk.bytes is not None:
            entry |= {"bytes_on_each_device": chunk.bytes, "by_memory": chunk.by_memory}
    return list(entries.values())


# ---------------------------------------------------------------- write


def _write(this: Run, frames: list[pd.DataFrame], computation: dict[str, Any]) -> Records:
    """Write the records if the run has a folder, and return them in every process."""
    records = None
    if distributed.is_main():
        frame, environment = disk.join_frames(frames), this.environment | computation
        if this.folder is not None:
            storage.write_json(this.folder / "environment.json", environment)
            disk.write_records(frame, this.folder / disk.RECORDS)
            disk.remove_parts(this.folder)
            Workspaces(this.folder).remove()
            frame = disk.read_records(this.folder / disk.RECORDS)
        records = Records(frame, this.study, this.folder, environment)
    return _shared(records, this.study, this.folder, computed=True)


def _shared(records: Records | None, study: Study, folder: AnyPath | None, *, computed: bool) -> Records:
    """Process 0's records, in every process."""
    if records is not None and jax.process_count() == 1:
        return records
    data = distributed.agree_bytes(b"" if records is None else disk.records_bytes(records.frame))
    environment = distributed.agree(None if records is None else records.environment)
    return records or Records(disk.parse_records(data, "records"), study, folder, environment, computed)


# ---------------------------------------------------------------- report


def write_report(records: Records, reported: Sequence[ReportedNumber] = ()) -> None:
    """Write ``table.md``, ``claims.json`` and the figures of a run, in process 0."""
    if records.folder is None or not distributed.is_main():
        return
    own = [number for number in reported if number.experiment == records.study.name]
    storage.write_json(records.folder / "claims.json", [dataclasses.asdict(claim) for claim in records.claims()])
    storage.write_text(records.folder / "table.md", records.markdown(own))
    for figure in records.study.figures:
        save_figure(figure, records.frame, records.folder / f"{figure.name}.png", own)
