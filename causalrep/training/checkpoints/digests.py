"""Stores a SHA-256 digest of every checkpoint file, so that damaged or missing files are detected before a restore."""

import contextlib
import hashlib
import json
import re

from etils import epath

from causalrep.storage import Remote


class Ledger:
    """One JSON file of digests for each complete checkpoint in a folder.

    Args:
        root: The folder, with checkpoints in ``steps/<number>`` and digests in ``digests/<number>.json``.
    """

    def __init__(self, root: epath.Path):
        self.steps, self.digests = root / "steps", root / "digests"

    def note(self) -> None:
        """Write the digests of new checkpoints, and delete those of checkpoints that no longer exist."""
        # A checkpoint that is no longer among the latest may be deleted meanwhile; then its digests are not needed.
        with contextlib.suppress(OSError):
            steps = {folder.name: folder for folder in self.steps.iterdir() if folder.name.isdigit()}
            noted = {name.removesuffix(".json"): self.digests / name for name in names_of_digests(self.digests)}
            for name in noted.keys() - steps.keys():
                noted[name].unlink()
            for name in steps.keys() - noted.keys():
                digests = {str(path.relative_to(steps[name])): digest(path) for path in files(steps[name])}
                part = self.digests / f"{name}.part"
                part.write_text(json.dumps(digests))
                part.replace(self.digests / f"{name}.json")

    def damage(self, step: int) -> str | None:
        """The first fault of a checkpoint's files, as far as their digests tell; None if there is none."""
        try:
            noted = self.digests / f"{step}.json"
            # Digests are written after the checkpoint: a process killed in between leaves a complete one without them.
            if not noted.exists():
                return None
            digests = json.loads(noted.read_text())
        except (OSError, ValueError):
            return None
        for name, noted_digest in digests.items():
            path = self.steps / str(step) / name
            if not path.exists():
                return f"{name} is missing"
            if digest(path) != noted_digest:
                return f"{name} has changed since it was written"
        return None

    def forget(self, step: int) -> None:
        """Delete the digests of a checkpoint."""
        (self.digests / f"{step}.json").unlink(missing_ok=True)


def names_of_digests(folder: epath.Path | Remote) -> list[str]:
    """The files of digests in a folder; a file of any other name is somebody else's."""
    return [path.name for path in folder.iterdir() if re.fullmatch(r"\d+\.json", path.name)]


def files(folder: epath.Path) -> list[epath.Path]:
    """All files below a folder; paths in buckets have no recursive glob."""
    paths: list[epath.Path] = []
    for path in sorted(folder.iterdir()):
        paths += files(path) if path.is_dir() else [path]
    return paths


def digest(path: epath.Path) -> str:
    """SHA-256 of a file's contents, in hexadecimal."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            sha256.update(block)
    return sha256.hexdigest()
