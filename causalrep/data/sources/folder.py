"""Finds, checks and downloads the files of real data sets.

A file is looked for in the data folder (``CAUSALREP_DATA``, by default ``~/.cache/causalrep``), in the subfolder named
after its data set, and downloaded from its origin if it is not there. A gzip copy, named with an extra ``.gz``, serves
as well. A file with the wrong checksum is refused, never used.
"""

import gzip
import hashlib
import logging
import os
import tempfile
import zlib
from pathlib import Path
from urllib.parse import quote

import pooch

from causalrep.errors import DataError

ENVIRONMENT_VARIABLE = "CAUSALREP_DATA"


def data_folder() -> Path:
    """The folder that holds the data sets: ``$CAUSALREP_DATA`` if it is set, else ``~/.cache/causalrep``.

    >>> data_folder().is_absolute()
    True
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    try:
        return Path(chosen).expanduser() if chosen else cache_folder()
    except RuntimeError as error:
        raise DataError(f"{ENVIRONMENT_VARIABLE}={chosen}: there is no home directory; give a full path.") from error


def cache_folder() -> Path:
    """The user's own folder, for downloads and prepared copies; a temporary one where there is no home directory."""
    try:
        return Path.home() / ".cache" / "causalrep"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "causalrep"


def find_file(dataset: str, file_name: str, *, sha256: str, base_url: str | None, gzipped: bool = False) -> Path:
    """The path of a checked local copy of one file of a data set, which is downloaded first if necessary.

    The path may be that of a compressed copy (``<file_name>.gz``), which pandas and NumPy open by themselves.

    Args:
        dataset: Name of the data set's subfolder.
        file_name: Name of the file, the same there and at the origin.
        sha256: Expected checksum in hexadecimal; for a compressed copy, the checksum of the decompressed contents.
        base_url: Address of the origin's folder, ending in a slash; ``None`` if the file cannot be downloaded.
        gzipped: The file is itself a gzip file and ``sha256`` is that of its decompressed contents, which do not depend
            on the program that compressed them.

    Raises:
        DataError: If the file is corrupt, or neither present nor downloadable. The message names the file, its origin,
            and the folder to put it into.
    """
    # The cache is searched too, because downloads go there when the data folder is read-only.
    places = list(dict.fromkeys([data_folder() / dataset, cache_folder() / dataset]))
    for path in [place / name for place in places for name in (file_name, f"{file_name}.gz")]:
        if path.is_file():
            actual = digest(path, decompress=gzipped or path.name != file_name)
            if actual != sha256:
                again = f"it is downloaded again from {base_url}" if base_url else "put a good copy in its place"
                raise DataError(
                    f"{dataset}: the file {path} is corrupt (sha256 {actual[:12]}..., expected {sha256[:12]}...). "
                    f"Delete it, and {again}."
                )
            return path
    if base_url is None:
        raise DataError(
            f"{dataset}: the file {places[0] / file_name} does not exist, and it has no origin to be downloaded from."
        )
    address = base_url + quote(file_name)
    target = places[0] if _writable(places[0]) else places[-1]
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        known = None if gzipped else f"sha256:{sha256}"
        path = Path(pooch.retrieve(address, known_hash=known, fname=file_name, path=target))
        if gzipped and digest(path, decompress=True) != sha256:
            path.unlink()
            raise ValueError("the download fails its checksum")
        return path
    except Exception as error:
        raise DataError(
            f"{dataset}: the file {file_name!r} is neither in {places[0]} nor could it be downloaded from {address} "
            f"({type(error).__name__}). Put it into {places[0]}, or point {ENVIRONMENT_VARIABLE} at the folder that "
            f"holds {dataset}/{file_name}."
        ) from error


def digest(path: Path, *, decompress: bool = False) -> str:
    """SHA-256 of a file or of its decompressed contents, in hexadecimal; ``"not gzip data"`` if there are none."""
    try:
        contents = gzip.decompress(path.read_bytes()) if decompress else path.read_bytes()
    except (OSError, EOFError, zlib.error):
        return "not gzip data"
    return hashlib.sha256(contents).hexdigest()


def _writable(folder: Path) -> bool:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(existing, os.W_OK)
