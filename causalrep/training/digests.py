"""What the files of a folder are: their digests, on any file system."""

import hashlib

from etils import epath


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
