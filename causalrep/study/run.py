"""Run a study: plan -> cells -> replications -> records, resumable at any moment, on one process or many.

In a run of several processes all compute, and process 0 alone looks at the folder, writes and prints. What it finds
there it tells the others, so that all of them compute, skip and stop alike.
"""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import inspect
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import pandas as pd

import causalrep
from causalrep import storage
from causalrep.compilation_cache import enable_compilation_cache
from causalrep.errors import CausalrepWarning, InputError, RecordsError
from causalrep.parallel import distributed
from causalrep.storage import AnyPath, as_path
from causalrep.study import records as disk
from causalrep.study.execution.executor import Executor, Mode
from causalrep.study.execution.placement import Precision, place
from causalrep.study.execution.profile import Trace
from causalrep.study.execution.progress import Progress, Scalars
from causalrep.study.execution.workspace import Workspaces
from causalrep.study.plan import Study, canonical_json
from causalrep.study.report.figures import save_figure
from causalrep.study.verdicts.claims import ClaimResult
from causalrep.study.verdicts.reported import ReportedNumber


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of a study and where they lie.

    Attributes:
        frame: One row per setting, method, replication and metric: the setting's columns, then ``method``,
            ``replication``, ``metric``, ``value``.
        study: The study.
        folder: The run's folder, local or in a bucket, or None if it was not written.
        environment: Versions, devices, mode, chunk, times.
        computed: Whether this call computed any of it; if not, all was found finished.
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
) -> Records:
    """Compute what is not yet computed of a study, write its records and report, and return them.

    The run's folder is ``results/<name>/<scale>-<digest>``. Finished chunks are kept there until the run is
    complete, so a killed run continues where it was and ends with the same bytes in ``records.parquet``; a
    finished run computes nothing and only writes its report afresh. Two runs on one folder repeat each other's work
    but cannot damage it. SIGTERM ends the run after the chunk in work, with the exit code
    ``causalrep.parallel.distributed.PREEMPTED``; the same call then goes on from there.

    To use all hosts of a pod, call ``causalrep.parallel.distributed.initialize()`` first, and this function in every
    process, inside ``distributed.guard()``.

    Args:
        study: The study.
        results: Folder for all results, local or ``gs://...``, ``s3://...``; None keeps the records in memory alone.
        mode: ``"loop"``, ``"vmap"``, ``"sharded"`` or ``"auto"``.
        chunk: Replications per call (and per saved part); default from the program's memory and a fixed
            budget.
        scale: Prefix of the run's folder.
        reported: Published numbers to show beside ours.
        progress: Show a progress bar, or one line a cell if output is no terminal.
        profile: Write a trace of the first few chunks to ``profile`` in the run's folder, for TensorBoard or Perfetto.
        tensorboard: Folder for scalars of the run's progress: replications, their rate, the metrics' means so far.
        precision: ``"float64"``, ``"float32"`` or ``"host"`` (float64 on the host's processor) instead of the study's
            own; ``"auto"`` leaves it to the study and the platform.

    Raises:
        Preempted: If SIGTERM asked the run to stop; it is a ``SystemExit``.
        RecordsError: If the folder cannot be written, or holds a damaged or another run.
        InputError: If the study or an argument is wrong.
    """
    enable_compilation_cache()
    placement = place(study, precision)
    study = placement.study
    folder = None if results is None else run_folder(study, results, scale)
    if profile and folder is None:
        raise InputError("profile", found="True without results", expected="a results folder to write the trace to")
    main = distributed.is_main()
    _check_processes(study)
    if folder is not None:
        if main:
            storage.check_writable(folder)
            _check_config(study, folder)
        if distributed.agree(main and (folder / disk.RECORDS).exists()):
            done = _shared(_finished(study, folder) if main else None, study, folder, computed=False)
            write_report(done, reported)
            return done
        if main:
            storage.write_json(folder / "config.json", study.identity())
    workspaces = Workspaces(folder, tensorboard, profile and study.spread, console=main and progress)
    executor = Executor(study, mode, chunk, workspaces)
    started = time.perf_counter()
    with (
        distributed.preemption() as stop,
        Progress(study, enabled=progress and main) as shown,
        Scalars(study, tensorboard if main else None, scale) as scalars,
        Trace(folder if profile and not study.spread else None) as trace,
    ):
        frames, resumed = _compute(study, executor, folder, workspaces, stop, shown, scalars, trace)
        finished = None
        if main:
            frame = pd.concat(frames, ignore_index=True)
            texts = [name for name in frame.columns if frame[name].dtype.kind not in "bif"]
            frame = frame.astype(dict.fromkeys(texts, "str"))
            environment = _environment(study, executor, time.perf_counter() - started, resumed) | placement.record()
            finished = Records(frame, study, folder, environment)
        if folder is not None and main:
            storage.write_json(folder / "environment.json", environment)
            disk.write_records(frame, folder / disk.RECORDS)
            disk.remove_parts(folder)
            workspaces.remove()
            finished = dataclasses.replace(finished, frame=disk.read_records(folder / disk.RECORDS))
        finished = _shared(finished, study, folder, computed=True)
        write_report(finished, reported)
    return finished


def _shared(finished: Records | None, study: Study, folder: AnyPath | None, *, computed: bool) -> Records:
    """Process 0's records, in every process."""
    if jax.process_count() == 1:
        return finished
    data = distributed.agree_bytes(b"" if finished is None else disk.records_bytes(finished.frame))
    environment = distributed.agree(None if finished is None else finished.environment)
    return finished or Records(disk.parse_records(data, "records"), study, folder, environment, computed)


def run_folder(study: Study, results: AnyPath | str, scale: str = "run") -> AnyPath:
    """``results/<name>/<scale>-<digest>``."""
    return as_path(results).joinpath(*study.name.split("/"), f"{scale}-{study.digest()}")


def write_report(finished: Records, reported: Sequence[ReportedNumber] = ()) -> None:
    """Write ``table.md``, ``claims.json`` and the figures of a run, in process 0."""
    if finished.folder is None or not distributed.is_main():
        return
    own = [number for number in reported if number.experiment == finished.study.name]
    claims = finished.claims()
    storage.write_json(finished.folder / "claims.json", [dataclasses.asdict(claim) for claim in claims])
    storage.write_text(finished.folder / "table.md", finished.markdown(own))
    for figure in finished.study.figures:
        save_figure(figure, finished.frame, finished.folder / f"{figure.name}.png", own)


def _compute(
    study: Study,
    executor: Executor,
    folder: AnyPath | None,
    workspaces: Workspaces,
    stop: distributed.Preemption,
    shown: Progress,
    scalars: Scalars,
    trace: Trace,
) -> tuple[list[pd.DataFrame], int]:
    """The records of every chunk in process 0, nothing in the others; and the replications found from before."""
    frames: list[pd.DataFrame] = []
    resumed = 0
    main, code = distributed.is_main(), code_digest(study)
    for cell in range(len(study.settings)):
        size = executor.chunk(cell).size
        starts = range(0, study.replications, size)
        parts, found = None, {}
        if folder is not None and main:
            parts = disk.Parts(folder, f"{executor.label}-{size}-{code}")
            loaded = {start: parts.load(cell, start, min(start + size, study.replications)) for start in starts}
            found = {start: frame for start, frame in loaded.items() if frame is not None}
        done = set(distributed.agree(list(found)))
        for start in starts:
            end = min(start + size, study.replications)
            if start in done:
                resumed += end - start
                shown.advance(cell, end - start, resumed=True)
                frames += [found[start]] if main else []
                continue
            if stop.agreed():
                raise distributed.Preempted
            with trace.chunk():
                columns, values = executor.compute(cell, start, end)
            if main:
                frame = disk.cell_frame(study, cell, start, columns, values)
                frames.append(frame)
                if parts is not None:
                    parts.save(frame, cell, start, end)
                    workspaces.remove(cell, range(start, end))
            shown.advance(cell, end - start)
            scalars.advance(end - start)
        if main:
            scalars.cell(cell, frames[-len(starts) :])
    return frames, resumed


def _check_processes(study: Study) -> None:
    """Refuse to mix the work of hosts that were not updated alike."""
    own = [study.digest(), code_digest(study)]
    if distributed.agree(own) != own:
        raise RecordsError(
            f"process {jax.process_index()} on host {distributed.host_of(jax.process_index())}: another study or other "
            "code than in process 0. Bring all hosts to the same version and give them the same command."
        )


def _check_config(study: Study, folder: AnyPath) -> None:
    path = folder / "config.json"
    if path.exists() and canonical_json(storage.read_json(path)) != canonical_json(study.identity()):
        raise RecordsError(
            f"{path}: describes another study than this one, though the folder's name is the same. It was "
            "edited, or two studies share a digest: move the folder away and run again."
        )


def _finished(study: Study, folder: AnyPath) -> Records:
    frame = disk.read_records(folder / disk.RECORDS)
    expected = [*study.fields, "method", "replication", "metric", "value"]
    cells = frame[list(study.fields)].drop_duplicates() if list(frame.columns) == expected else ()
    if len(cells) != len(study.settings) or frame["replication"].max() != study.replications - 1:
        raise RecordsError(
            f"{folder / disk.RECORDS}: does not hold this study's cells and replications. Delete it and run again."
        )
    path = folder / "environment.json"
    environment = storage.read_json(path) if path.exists() else {}
    if environment.get("code") != code_digest(study):
        warnings.warn(
            f"The records in {folder} were computed by other code than today's (causalrep "
            f"{environment.get('causalrep', 'unknown')}, commit {environment.get('commit') or 'unknown'}). "
            "Delete the folder to compute them again.",
            CausalrepWarning,
            stacklevel=3,
        )
    return Records(frame, study, folder, environment, computed=False)


def code_digest(study: Study) -> str:
    """Eight hexadecimal digits of the library's source and of the file, or package, that defines ``replicate``.

    Parts computed by other code are never mixed into a run; finished records computed by other code are kept,
    with a warning.
    """
    sources = sorted(Path(causalrep.__file__).parent.rglob("*.py"))
    own = [path for path in _source_files(study) if path not in sources]
    digest = hashlib.sha256()
    for path in [*sources, *own]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _source_files(study: Study) -> list[Path]:
    """The file of ``replicate``; all files of its folder if that is a package, whose modules it may call."""
    function = study.replicate
    while hasattr(function, "func"):
        function = function.func
    try:
        path = Path(inspect.getsourcefile(inspect.unwrap(function)) or "")
    except TypeError:
        return []
    if not path.is_file():
        return []
    path = path.resolve()
    return sorted(path.parent.glob("*.py")) if (path.parent / "__init__.py").exists() else [path]


def _environment(study: Study, executor: Executor, wall: float, resumed: int) -> dict[str, Any]:
    packages = ("jax", "jaxlib", "numpy", "scipy", "pandas", "pyarrow", "optax", "flax", "numpyro")
    return {
        "causalrep": causalrep.__version__,
        "commit": _commit(study),
        "code": code_digest(study),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "devices": [f"{device.platform}: {device.device_kind}" for device in executor.devices],
        "backend": jax.default_backend(),
        "processes": executor.processes,
        "mode": executor.mode,
        "chunk": executor.chunk(0).size,
        "chunks": _chunks(study, executor),
        "replications_computed": study.total_replications - resumed,
        "replications_resumed": resumed,
        "wall_seconds": round(wall, 3),
        "compile_seconds": round(executor.compile_seconds, 3),
        "compute_seconds": round(executor.compute_seconds, 3),
        "flops": executor.flops or None,
        "flops_complete": executor.flops_exact,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "command": " ".join(sys.argv),
    }


def _chunks(study: Study, executor: Executor) -> list[dict[str, Any]]:
    """Each chunk size with its reason and the cells it serves."""
    found: dict[Any, dict[str, Any]] = {}
    for cell in range(len(study.settings)):
        chunk = executor.chunk(cell)
        entry = found.setdefault(chunk, {"cells": [], "replications": chunk.size, "why": chunk.why})
        entry["cells"].append(cell)
        if chunk.cost is not None:
            entry |= {"bytes_on_each_device": chunk.cost.bytes, "by_memory": chunk.by_memory}
    return list(found.values())


def _commit(study: Study) -> str | None:
    folder = next(iter(_source_files(study)), Path(causalrep.__file__)).parent
    try:
        git = ["git", "-C", str(folder)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
        if head.returncode:
            return None
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + (" with changes" if changed.stdout.strip() else "")
