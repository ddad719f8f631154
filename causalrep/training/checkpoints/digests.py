"""What the files of a fit's checkpoints are: their digests, noted beside them, on any file system."""

import contextlib
import hashlib
import json

from etils import epath


class Ledger:
    """One JSON file of digests for each complete checkpoint of a folder.

    Args:
        root: The folder; checkpoints lie in ``steps/<number>``, digests in ``digests/<number>.json``.
    """

    def __init__(self, root: epath.Path):
        self.steps, self.digests = root / "steps", root / "digests"

    def note(self) -> None:
        """Note what the files of new checkpoints are, and forget those that are gone."""
        # A folder may be deleted meanwhile, being no longer among the latest: then its digests are not needed.
        with contextlib.suppress(OSError):
            steps = {folder.name: folder for folder in self.steps.iterdir() if folder.name.isdigit()}
            noted = {path.stem: path for path in self.digests.iterdir() if path.suffix == ".json"}
            for name in noted.keys() - steps.keys():
                noted[name].unlink()
            for name in steps.keys() - noted.keys():
                digests = {str(path.relative_to(steps[name])): digest(path) for path in files(steps[name])}
                part = self.digests / f"{name}.part"
                part.write_text(json.dumps(digests))
                part.replace(self.digests / f"{name}.json")

    def damage(self, step: int) -> str | None:
        """What is wrong with the files of a checkpoint, as far as their digests tell."""
        try:
            noted = self.digests / f"{step}.json"
            # Written after the checkpoint: a process killed in between leaves a whole checkpoint without digests.
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
        """Drop the digests of a checkpoint."""
        (self.digests / f"{step}.json").unlink(missing_ok=True)


def files(folder: epath.Path) -> list[epath.Path]:
    """All files below a folder; bucket paths have no recursive glob."""
    found: list[epath.Path] = []
    for path in sorted(folder.iterdir()):
        found += files(path) if path.is_dir() else [path]
    return found


def digest(path: epath.Path) -> str:
    """SHA-256 of a file's contents, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            found.update(block)
    return found.hexdigest()
