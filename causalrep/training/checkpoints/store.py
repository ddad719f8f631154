"""Checkpoints of a long fit; only this module uses Orbax.

A checkpoint holds the whole training state (parameters, optimizer, best parameters, keys), the history so far and the
number of the next step, which is also the position in the data. It is written in the background while training
continues, appears under its number only when it is complete, and can be restored onto any number of devices.
"""

import contextlib
import dataclasses
import logging
import math
import re
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jaxtyping import PyTree

from causalrep.base.validation import check_count, check_range
from causalrep.errors import CausalrepWarning, CheckpointError, RecordsError, first_line
from causalrep.parallel.distributed import agree, barrier, is_main
from causalrep.parallel.lock import Lock
from causalrep.storage import as_path
from causalrep.training.checkpoints.digests import Ledger
from causalrep.training.checkpoints.identity import differences, plain
from causalrep.training.checkpoints.mirror import Mirror, bucket_of
from causalrep.training.checkpoints.storable import restored, storable, storable_shapes

_STATE, _HISTORY, _META = "state", "history", "meta"
# Orbax's names of checkpoints that it has not finished; any other name in the folder is somebody else's.
_HALF_WRITTEN = re.compile(r"\d+\.orbax-checkpoint-tmp.*")


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where and how often a fit saves checkpoints, and how many it keeps.

    Attributes:
        folder: A folder for this fit alone, on a file system that all hosts see or in a bucket: ``gs://...``, which
            hosts write together, or for a single process any other that fsspec knows (``s3://...``).
        every_steps: Number of steps after which to save.
        every_minutes: Number of minutes after which to save; whichever of the two comes first.
        keep: Number of latest checkpoints that are kept.
        keep_best: Number of checkpoints with the least validation loss that are kept as well.
        background: Whether checkpoints are written while training continues.
        verify: Whether a restore first compares the files' digests with those taken when they were written.
    """

    folder: Path | str
    every_steps: int | None = None
    every_minutes: float | None = 10.0
    keep: int = 2
    keep_best: int = 0
    background: bool = True
    verify: bool = True

    def __post_init__(self) -> None:
        bucket_of(self.folder)  # refuses a kind of bucket that is unknown, or whose package is not installed
        if self.every_steps is not None:
            check_count("every_steps", self.every_steps)
        if self.every_minutes is not None:
            check_range("every_minutes", self.every_minutes, above=0)
        check_count("keep", self.keep)
        check_count("keep_best", self.keep_best, at_least=0)
        # The working directory may change before the fit starts.
        if isinstance(place := as_path(self.folder), Path):
            object.__setattr__(self, "folder", place.absolute())


class Restored(NamedTuple):
    """The contents of a checkpoint.

    Attributes:
        step: The next step to take.
        state: The training state, on the requested mesh.
        history: Named arrays of the metrics so far.
    """

    step: int
    state: PyTree
    history: dict[str, np.ndarray]


class Store:
    """The checkpoint folder of one fit; a context manager that locks it, and waits for pending writes at its end.

    What it did not write itself is left alone.

    Args:
        policy: Where and how often to save.
        identity: JSON values that identify the fit; a checkpoint with another identity is refused.
        like: Shapes, dtypes and shardings of the training state, as ``jax.ShapeDtypeStruct`` leaves.

    Attributes:
        place: The folder, as the user wrote it.

    Raises:
        InputError: If several processes would write to a bucket that takes the checkpoints of one process only.
        CheckpointError: When it is entered: if the folder cannot be written, or another run uses it.
    """

    def __init__(self, policy: Checkpoints, identity: Mapping[str, Any], like: PyTree):
        leaves = jax.tree_util.tree_leaves_with_path(like)
        shapes = {f"state{jax.tree_util.keystr(path)}": f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}
        self.policy, self.like = policy, like
        self.identity = plain({**identity, **shapes})
        bucket = bucket_of(policy.folder)
        self._last_step, self._last_time = 0, time.monotonic()
        self._mirror = None if bucket is None else Mirror(bucket)
        # etils' paths know few of the schemes that fsspec does, so a bucket's name never becomes one.
        self._root = epath.Path(policy.folder).absolute() if self._mirror is None else self._mirror.root
        self.place = str(bucket or self._root)
        self._lock = Lock(as_path(policy.folder), CheckpointError)
        self._ledger = Ledger(self._root)
        self._noting: threading.Thread | None = None
        self._noted: int | None = None
        self._not_uploaded: Exception | None = None

    def __enter__(self) -> "Store":
        with contextlib.ExitStack() as opened:
            try:
                if is_main():
                    self._root.mkdir(parents=True, exist_ok=True)
                if self._mirror is not None:
                    opened.callback(self._mirror.close)
                opened.enter_context(self._lock)
                if self._mirror is not None:
                    self._mirror.pull()
                if is_main():
                    self._folder("steps").mkdir(parents=True, exist_ok=True)
                    self._folder("digests").mkdir(parents=True, exist_ok=True)
                    self._clear_half_written()
            except (OSError, RecordsError) as error:
                raise CheckpointError(f"{self.policy.folder}: cannot be written ({_reason(error)}).") from error
            barrier("checkpoints")
            self._manager = self._open()
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        try:
            self.wait()
        except CheckpointError:
            # An error that is already being raised comes first.
            if kind is None:
                raise
        finally:
            # Orbax waits once more, and would repeat an error that is already known.
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                self._manager.close()
            self._opened.close()

    def due(self, step: int) -> bool:
        """Whether to save before step ``step``; the clock of process 0 decides for all."""
        policy = self.policy
        self._note_digests()
        if policy.every_steps is not None and step - self._last_step >= policy.every_steps:
            return True
        if policy.every_minutes is None:
            return False
        return bool(agree(time.monotonic() - self._last_time >= 60.0 * policy.every_minutes))

    def save(
        self, step: int, state: PyTree, history: Mapping[str, np.ndarray], validation_loss: float | None = None
    ) -> None:
        """Save the state before step ``step``; returns once the arrays are copied, unless ``background`` is off.

        Raises:
            CheckpointError: If this or the previous checkpoint cannot be written (a full disk); earlier ones are
                complete.
        """
        if step == self.latest():
            return
        self._lock.check()
        metrics = None
        if validation_loss is not None and math.isfinite(validation_loss):
            metrics = {"validation": float(validation_loss)}
        # Orbax has no zero-size arrays.
        observed = {name: np.asarray(values) for name, values in history.items() if np.size(values)}
        shapes = {name: [list(values.shape), str(values.dtype)] for name, values in observed.items()}
        meta = {"step": step, "data_position": step, "identity": self.identity, "history": shapes}
        self.wait(note=False)
        self._note_digests()
        with self._errors(step):
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    **{
                        _STATE: ocp.args.StandardSave(storable(state)),
                        _HISTORY: ocp.args.StandardSave(observed),
                        _META: ocp.args.JsonSave(meta),
                    }
                ),
                metrics=metrics,
                force=True,
            )
            if not self.policy.background:
                self._manager.wait_until_finished()
        self._last_step, self._last_time = step, time.monotonic()

    def wait(self, *, note: bool = True) -> None:
        """Wait until the last checkpoint and its digests are on disk.

        Raises:
            CheckpointError: If it cannot be written.
        """
        with self._errors(self._last_step):
            self._manager.wait_until_finished()
        if note and self._noting is not None:
            self._noting.join()
        self._note_digests()
        if note and self._noting is not None:
            self._noting.join()
        if self._not_uploaded is not None:
            error, self._not_uploaded = self._not_uploaded, None
            # The upload is tried again with the next checkpoint, if the caller continues.
            self._noted = None
            with self._errors(self._last_step):
                raise error

    def latest(self) -> int | None:
        """The step of the newest checkpoint."""
        return self._manager.latest_step()

    def restore(self) -> Restored | None:
        """The newest undamaged checkpoint, or None if there is none.

        A damaged checkpoint is moved aside, with a warning, and the one before it is used.

        Raises:
            CheckpointError: If the checkpoint belongs to another fit; the message names the differences.
        """
        for step in agree(sorted(self._manager.all_steps(), reverse=True)):
            damage = agree(self._ledger.damage(step) if self.policy.verify and is_main() else None)
            if damage is None:
                try:
                    meta = self._meta(step)
                    self._check_identity(meta)
                    contents = self._restore(step, meta["history"])
                except (ValueError, OSError, KeyError) as error:
                    contents, damage = None, first_line(error)
                damage = _any_process(damage)
            if damage is None:
                self._last_step, self._last_time = step, time.monotonic()
                return contents
            warnings.warn(
                f"{self.place}: the checkpoint at step {step} is damaged ({damage}); it is set aside and the one "
                "before it used.",
                CausalrepWarning,
                stacklevel=3,
            )
            self._set_aside(step)
        return None

    def _meta(self, step: int) -> dict[str, Any]:
        return self._manager.restore(step, args=ocp.args.Composite(**{_META: ocp.args.JsonRestore()}))[_META]

    def _restore(self, step: int, saved: Mapping[str, tuple]) -> Restored:
        shapes = {name: jax.ShapeDtypeStruct(tuple(shape), dtype) for name, (shape, dtype) in saved.items()}
        contents = self._manager.restore(
            step,
            args=ocp.args.Composite(
                **{
                    _STATE: ocp.args.StandardRestore(storable_shapes(self.like)),
                    _HISTORY: ocp.args.StandardRestore(shapes),
                }
            ),
        )
        history = {name: np.asarray(values) for name, values in contents[_HISTORY].items()}
        return Restored(step, restored(contents[_STATE], self.like), history)

    def _check_identity(self, meta: Mapping[str, Any]) -> None:
        if shown := differences(meta["identity"], self.identity):
            raise CheckpointError(
                f"{self.place}: holds checkpoints of another fit ({shown}). Choose another folder, or move this one "
                "away."
            )

    def _note_digests(self) -> None:
        """Write the digests of complete checkpoints in the background, and upload both to a bucket."""
        busy = self._noting is not None and self._noting.is_alive()
        if is_main() and not busy and not self._manager.is_saving_in_progress() and self.latest() != self._noted:
            self._noted = self.latest()
            self._noting = threading.Thread(target=self._note, name="causalrep-digests", daemon=True)
            self._noting.start()

    def _note(self) -> None:
        self._ledger.note()
        if self._mirror is not None:
            try:
                self._mirror.push()
            except (OSError, RecordsError) as error:
                self._not_uploaded = error

    def _clear_half_written(self) -> None:
        # They are moved before they are deleted: threads of a save that failed in this process may still write there,
        # which would make a deletion in place fail.
        for folder in self._folder("steps").iterdir():
            if _HALF_WRITTEN.fullmatch(folder.name):
                half = self._folder("damaged") / folder.name
                with contextlib.suppress(OSError):
                    half.parent.mkdir(exist_ok=True)
                    folder.rename(half)
                with contextlib.suppress(OSError):
                    half.rmtree()

    def _set_aside(self, step: int) -> None:
        if is_main():
            target = self._folder("damaged")
            target.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                if (target / str(step)).exists():
                    (target / str(step)).rmtree()
                (self._folder("steps") / str(step)).rename(target / str(step))
                self._ledger.forget(step)
                if self._mirror is not None:
                    self._mirror.set_aside(step)
        barrier("set-aside")
        self._manager.reload()

    def _open(self) -> ocp.CheckpointManager:
        managers, policy = ocp.checkpoint_managers, self.policy
        kept = [managers.LatestN(policy.keep)]
        if policy.keep_best:
            kept.append(
                managers.BestN(
                    get_metric_fn=lambda metrics: metrics["validation"],
                    reverse=True,
                    n=policy.keep_best,
                    keep_checkpoints_without_metrics=False,
                )
            )
        logging.getLogger("absl").setLevel(logging.ERROR)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=managers.AnyPreservationPolicy(kept),
            enable_async_checkpointing=True,
            cleanup_tmp_directories=True,
        )
        return ocp.CheckpointManager(self._folder("steps"), options=options)

    def _folder(self, name: str) -> epath.Path:
        return self._root / name

    @contextlib.contextmanager
    def _errors(self, step: int) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError, RecordsError) as error:
            whole = self._whole()
            before = f"the one at step {whole} is whole" if whole is not None else "there is none before it"
            raise CheckpointError(
                f"{self.place}: the checkpoint at step {step} could not be written ({first_line(error)}); {before}."
            ) from error

    def _whole(self) -> int | None:
        """The step of the newest complete checkpoint in its final place."""
        if self._mirror is not None:
            return max(self._mirror.pushed, default=None)
        # Orbax also counts a checkpoint that failed. A folder is named by its number only once it is complete.
        names = [folder.name for folder in self._folder("steps").iterdir()]
        return max((int(name) for name in names if name.isdigit()), default=None)


def _any_process(problem: str | None) -> str | None:
    """A problem on any process, told to every process."""
    if jax.process_count() == 1:
        return problem
    from jax.experimental import multihost_utils

    troubled = multihost_utils.process_allgather(np.asarray(problem is not None))
    return (problem or "another process could not read it") if np.any(troubled) else None


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or first_line(error)
