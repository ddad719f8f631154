"""The folders and observers that a long replication gets in addition to its key and setting."""

import dataclasses
import re
from pathlib import Path

from causalrep.storage import AnyPath, remove_if_empty, remove_named, remove_tree
from causalrep.training import Checkpoints, Console, TensorBoard
from causalrep.training.observe import Observer

CHECKPOINTS = "checkpoints"
_CODE = re.compile("any|[0-9a-f]{8}")
_REPLICATION = re.compile(r"cell-\d+-replication-\d+")


@dataclasses.dataclass(frozen=True)
class Workspace:
    """The third argument of the ``replicate`` function of a study with ``spread=True``.

    Attributes:
        folder: This replication's own folder for checkpoints, deleted once the replication is recorded; None if the
            run has no folder.
        tensorboard: Folder for this replication's scalars, or None.
        profile: Folder for a trace, or None.
        console: Whether lines of progress may be printed.
    """

    folder: AnyPath | None = None
    tensorboard: Path | None = None
    profile: Path | None = None
    console: bool = False

    def part(self, name: str) -> "Workspace":
        """The workspace of one of several fits of a replication, with folders of its own and no trace."""
        folder = None if self.folder is None else self.folder / name
        tensorboard = None if self.tensorboard is None else self.tensorboard / name
        return dataclasses.replace(self, folder=folder, tensorboard=tensorboard, profile=None)

    def checkpoints(self, **policy) -> Checkpoints | None:
        """:class:`~causalrep.training.Checkpoints` in the folder, or None without a folder."""
        return None if self.folder is None else Checkpoints(str(self.folder), **policy)

    def observers(self) -> tuple[Observer, ...]:
        """The observers for :func:`~causalrep.training.train` that the run's options ask for."""
        lines = (Console(),) if self.console else ()
        return lines if self.tensorboard is None else (*lines, TensorBoard(self.tensorboard))


@dataclasses.dataclass(frozen=True)
class Workspaces:
    """The workspaces of a run's replications.

    Attributes:
        run: The run's folder.
        tensorboard: Folder for scalars of the whole run.
        profile: Whether to write traces.
        console: Whether lines of progress may be printed.
        code: Digest of the study's code; checkpoints of other code are not continued.
    """

    run: AnyPath | None = None
    tensorboard: Path | str | None = None
    profile: bool = False
    console: bool = False
    code: str = "any"

    def of(self, cell: int, replication: int) -> Workspace:
        """The workspace of one replication."""
        name = f"cell-{cell:05d}-replication-{replication:07d}"
        return Workspace(
            folder=self.run.joinpath(CHECKPOINTS, self.code, name) if self.run is not None else None,
            tensorboard=None if self.tensorboard is None else Path(self.tensorboard) / name,
            profile=Path(str(self.run)) / "profile" if self.profile and isinstance(self.run, Path) else None,
            console=self.console,
        )

    def remove(self, cell: int | None = None, replications: range = range(0)) -> None:
        """Delete the checkpoints of some replications of a cell, or of all cells if none is given."""
        if self.run is None:
            return
        if cell is None:
            self._remove_all(self.run / CHECKPOINTS)
            return
        for replication in replications:
            folder = self.of(cell, replication).folder
            if folder is not None:
                remove_tree(folder)

    def _remove_all(self, folder: AnyPath) -> None:
        """Delete the folders of all replications, and nothing that others have put beside them."""
        try:
            codes = [path for path in folder.iterdir() if _CODE.fullmatch(path.name)]
        except FileNotFoundError:
            return
        for code in codes:
            remove_named(code, _REPLICATION)
        remove_if_empty(folder)
