"""Where files of real data live, and how a file is found, checked and fetched.

A file is looked for in the data folder (``CAUSALREP_DATA``, default ``~/.cache/causalrep``), in a sub-folder
named after the data set; if it is not there it is downloaded from its origin. A file with the wrong checksum is
refused, never used. A copy compressed by gzip, under its name with ``.gz``, serves as well.
"""

import gzip
import hashlib
import logging
import os
import zlib
from pathlib import Path
from urllib.parse import quote

import pooch

from causalrep.errors import DataError

ENVIRONMENT_VARIABLE = "CAUSALREP_DATA"
_CACHE = Path("~/.cache/causalrep")


def data_folder() -> Path:
    """The folder that holds the data sets: ``$CAUSALREP_DATA``, else ``~/.cache/causalrep``."""
    return Path(os.environ.get(ENVIRONMENT_VARIABLE) or _CACHE).expanduser()


def find_file(dataset: str, file_name: str, *, sha256: str, base_url: str, gzipped: bool = False) -> Path:
    """Path of a checked local copy of one file of a data set, downloading it if need be.

    The path may be that of a compressed copy (``<file_name>.gz``), which pandas and NumPy open by themselves.

    Args:
        dataset: Name of the data set's sub-folder.
        file_name: The file's name there and at the origin.
        sha256: Its checksum, in hexadecimal; of the content, if the copy at hand is compressed.
        base_url: Address of the origin's folder, ending in a slash.
        gzipped: The checksum is that of the decompressed contents, which do not depend on who compressed them.

    Raises:
        DataError: If the file is corrupt, or neither present nor downloadable; the message says which file, from
            where, and where to put it.
    """
    places = list(dict.fromkeys([data_folder() / dataset, _CACHE.expanduser() / dataset]))
    for path in [place / name for place in places for name in (file_name, f"{file_name}.gz")]:
        if path.is_file():
            found = _digest(path, gzipped or path.name != file_name)
            if found != sha256:
                raise DataError(
                    f"{dataset}: the file {path} is corrupt (sha256 {found[:12]}..., expected {sha256[:12]}...). "
                    f"Delete it, and it is downloaded again from {base_url}."
                )
            return path
    address = base_url + quote(file_name)
    target = places[0] if _writable(places[0]) else places[-1]
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        known = None if gzipped else f"sha256:{sha256}"
        path = Path(pooch.retrieve(address, known_hash=known, fname=file_name, path=target))
        if gzipped and _digest(path, gzipped) != sha256:
            path.unlink()
            raise ValueError("the download fails its checksum")
        return path
    except Exception as error:
        raise DataError(
            f"{dataset}: the file {file_name!r} is neither in {places[0]} nor could it be downloaded from {address} "
            f"({type(error).__name__}). Put it into {places[0]}, or point {ENVIRONMENT_VARIABLE} at the folder that "
            f"holds {dataset}/{file_name}."
        ) from error


def _digest(path: Path, gzipped: bool) -> str:
    try:
        contents = gzip.decompress(path.read_bytes()) if gzipped else path.read_bytes()
    except (OSError, EOFError, zlib.error):
        return "not gzip data"
    return hashlib.sha256(contents).hexdigest()


def _writable(folder: Path) -> bool:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(existing, os.W_OK)
