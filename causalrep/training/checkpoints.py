"""Checkpoints of a long fit: the one module that knows Orbax.

A checkpoint is the whole training state (parameters, optimizer, best parameters, keys), the history so far and the
number of the next step, which is also the position in the data. It appears under its number only when complete, in
the background, while training goes on; it can be restored onto any number of devices.
"""

import contextlib
import dataclasses
import json
import logging
import math
import shutil
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jaxtyping import PyTree

from causalrep.errors import CausalrepWarning, CheckpointError, InputError
from causalrep.training.digests import digest, files
from causalrep.training.distributed import agree, barrier, is_main
from causalrep.validation import check_range

_STATE, _HISTORY, _META = "state", "history", "meta"


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where, how often and how many checkpoints a fit keeps.

    Attributes:
        folder: A folder of this fit alone, on a file system that all hosts see, or a bucket (``gs://...``).
        every_steps: Save when so many steps have passed since the last save.
        every_minutes: Save when so many minutes have passed; whichever of the two comes first.
        keep: Latest checkpoints kept.
        keep_best: Checkpoints of least validation loss kept beside them.
        background: Write while training goes on.
        verify: Compare the files' digests with those noted when they were written before a restore.
    """

    folder: Path | str
    every_steps: int | None = None
    every_minutes: float | None = 10.0
    keep: int = 2
    keep_best: int = 0
    background: bool = True
    verify: bool = True

    def __post_init__(self) -> None:
        if str(self.folder).startswith("memory://"):
            raise InputError("folder", found=repr(str(self.folder)), expected="a local path or a bucket's")
        if self.every_steps is not None:
            check_range("every_steps", self.every_steps, at_least=1)
        if self.every_minutes is not None:
            check_range("every_minutes", self.every_minutes, above=0)
        check_range("keep", self.keep, at_least=1)
        check_range("keep_best", self.keep_best, at_least=0)


class Restored(NamedTuple):
    """What a checkpoint gives back.

    Attributes:
        step: The next step to take.
        state: The training state, on the mesh asked for.
        history: Named arrays of what was observed so far.
    """

    step: int
    state: PyTree
    history: dict[str, np.ndarray]


class Store:
    """The open checkpoint folder of one fit; a context manager that waits for pending writes.

    Args:
        policy: Where and how often.
        identity: What the fit is, as JSON values; a checkpoint of another identity is refused.
        like: The training state's shapes, dtypes and shardings, as ``jax.ShapeDtypeStruct`` leaves.
    """

    def __init__(self, policy: Checkpoints, identity: Mapping[str, Any], like: PyTree):
        leaves = jax.tree_util.tree_leaves_with_path(like)
        shapes = {f"state{jax.tree_util.keystr(path)}": f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}
        self.policy, self.like = policy, like
        self.identity = json.loads(json.dumps({**identity, **shapes}))
        self.root = epath.Path(policy.folder).expanduser().absolute()
        self._last_step, self._last_time = 0, time.monotonic()
        try:
            if is_main():
                self._folder("steps").mkdir(parents=True, exist_ok=True)
                self._folder("digests").mkdir(parents=True, exist_ok=True)
                self._clear_half_written()
        except OSError as error:
            raise CheckpointError(f"{self.root}: cannot be written ({error.strerror or error}).") from error
        barrier("checkpoints")
        self._manager = self._open()
        self._noting: threading.Thread | None = None
        self._noted: int | None = None

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        try:
            self.wait()
        except CheckpointError:
            # An error is already on its way: it comes first.
            if kind is None:
                raise
        finally:
            # It waits once more, and would repeat an error that is known by now.
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                self._manager.close()

    def due(self, step: int) -> bool:
        """Whether to save before step ``step``: process 0's clock decides for all."""
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
            CheckpointError: If this or the previous checkpoint cannot be written (a full disk); the ones before are
                whole.
        """
        if step == self.latest():
            return
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
                        _STATE: ocp.args.StandardSave(_without_keys(state)),
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
        """Wait until the last checkpoint, and what its files are, is on disk.

        Raises:
            CheckpointError: If it cannot be written.
        """
        with self._errors(self._last_step):
            self._manager.wait_until_finished()
        self._note_digests()
        if note and self._noting is not None:
            self._noting.join()

    def latest(self) -> int | None:
        """The step of the newest checkpoint."""
        return self._manager.latest_step()

    def restore(self) -> Restored | None:
        """The newest whole checkpoint, or ``None`` if there is none.

        A damaged one is set aside, with a warning, and the one before it used.

        Raises:
            CheckpointError: If the checkpoint is of another fit; the differing parts are named.
        """
        for step in agree(sorted(self._manager.all_steps(), reverse=True)):
            damage = agree(self._damage(step) if is_main() else None)
            if damage is None:
                try:
                    meta = self._meta(step)
                    self._check_identity(meta)
                    restored = self._restore(step, meta["history"])
                except (ValueError, OSError, KeyError) as error:
                    restored, damage = None, _first_line(error)
                damage = _any_process(damage)
            if damage is None:
                self._last_step, self._last_time = step, time.monotonic()
                return restored
            warnings.warn(
                f"{self.root}: the checkpoint at step {step} is damaged ({damage}); it is set aside and the one before "
                "it used.",
                CausalrepWarning,
                stacklevel=3,
            )
            self._set_aside(step)
        return None

    def _meta(self, step: int) -> dict[str, Any]:
        return self._manager.restore(step, args=ocp.args.Composite(**{_META: ocp.args.JsonRestore()}))[_META]

    def _restore(self, step: int, saved: Mapping[str, tuple]) -> Restored:
        shapes = {name: jax.ShapeDtypeStruct(tuple(shape), dtype) for name, (shape, dtype) in saved.items()}
        found = self._manager.restore(
            step,
            args=ocp.args.Composite(
                **{
                    _STATE: ocp.args.StandardRestore(jax.tree.map(_key_shape, self.like)),
                    _HISTORY: ocp.args.StandardRestore(shapes),
                }
            ),
        )
        history = {name: np.asarray(values) for name, values in found[_HISTORY].items()}
        return Restored(step, _with_keys(found[_STATE], self.like), history)

    def _check_identity(self, meta: Mapping[str, Any]) -> None:
        theirs, ours = _flat(meta["identity"]), _flat(self.identity)
        differ = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
        if differ:
            pairs = [(name, theirs.get(name, "absent"), ours.get(name, "absent")) for name in differ[:5]]
            shown = "; ".join(f"{name}: {there!r} there, {here!r} here" for name, there, here in pairs)
            more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
            raise CheckpointError(
                f"{self.root}: holds checkpoints of another fit ({shown}{more}). Choose another folder, or move this "
                "one away."
            )

    def _damage(self, step: int) -> str | None:
        """What is wrong with the files of a checkpoint, as far as their digests tell."""
        try:
            noted = self._folder("digests") / f"{step}.json"
            # Written after the checkpoint: a process killed in between leaves a whole checkpoint without digests.
            if not self.policy.verify or not noted.exists():
                return None
            digests = json.loads(noted.read_text())
        except (OSError, ValueError):
            return None
        folder = self._folder("steps") / str(step)
        for name, noted_digest in digests.items():
            path = folder / name
            if not path.exists():
                return f"{name} is missing"
            if digest(path) != noted_digest:
                return f"{name} has changed since it was written"
        return None

    def _note_digests(self) -> None:
        """Note, in the background, what the files of complete checkpoints are."""
        busy = self._noting is not None and self._noting.is_alive()
        if is_main() and not busy and not self._manager.is_saving_in_progress() and self.latest() != self._noted:
            self._noted = self.latest()
            self._noting = threading.Thread(target=self._write_digests, name="causalrep-digests", daemon=True)
            self._noting.start()

    def _write_digests(self) -> None:
        # A folder may be deleted meanwhile, being no longer among the latest: then its digests are not needed.
        with contextlib.suppress(OSError):
            steps = {folder.name: folder for folder in self._folder("steps").iterdir() if folder.name.isdigit()}
            noted = {path.stem: path for path in self._folder("digests").iterdir() if path.suffix == ".json"}
            for name in noted.keys() - steps.keys():
                noted[name].unlink()
            for name in steps.keys() - noted.keys():
                digests = {str(path.relative_to(steps[name])): digest(path) for path in files(steps[name])}
                part = self._folder("digests") / f"{name}.part"
                part.write_text(json.dumps(digests))
                part.replace(self._folder("digests") / f"{name}.json")

    def _clear_half_written(self) -> None:
        # Out of the way before they are deleted: threads of a save that failed in this process may still write there,
        # and would make a deletion in place fail.
        for folder in self._folder("steps").iterdir():
            if not folder.name.isdigit():
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
                (self._folder("digests") / f"{step}.json").unlink(missing_ok=True)
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
        return self.root / name

    @contextlib.contextmanager
    def _errors(self, step: int) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            # Orbax also counts the one that failed; a folder has its number for a name once it is complete.
            names = [folder.name for folder in self._folder("steps").iterdir()]
            whole = max((int(name) for name in names if name.isdigit()), default=None)
            before = f"the one at step {whole} is whole" if whole is not None else "there is none before it"
            raise CheckpointError(
                f"{self.root}: the checkpoint at step {step} could not be written ({_first_line(error)}); {before}."
            ) from error


def _any_process(problem: str | None) -> str | None:
    """A problem that any process has, on every process."""
    if jax.process_count() == 1:
        return problem
    from jax.experimental import multihost_utils

    troubled = multihost_utils.process_allgather(np.asarray(problem is not None))
    return (problem or "another process could not read it") if np.any(troubled) else None


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_keys(state: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, state)


def _key_shape(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    if not _is_key(leaf):
        return leaf
    data = jax.eval_shape(jax.random.key_data, leaf)
    return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=leaf.sharding)


def _with_keys(state: PyTree, like: PyTree) -> PyTree:
    def one(leaf: jax.Array, shape: jax.ShapeDtypeStruct) -> jax.Array:
        return jax.random.wrap_key_data(leaf, impl=_implementation(shape)) if _is_key(shape) else leaf

    return jax.tree.map(one, state, like)


def _implementation(shape: jax.ShapeDtypeStruct) -> str:
    found: list[str] = []
    # key_impl takes arrays and tracers, not shapes.
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), shape)
    return found[0]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key, item in value.items() for k, v in _flat(item, f"{name}.{key}" if name else key).items()}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def remove(folder: Path | str) -> None:
    """Delete a fit's checkpoints, once its result is safe elsewhere."""
    path = epath.Path(folder).expanduser()
    if is_main() and path.exists():
        shutil.rmtree(path) if Path(path).is_dir() else path.rmtree()
