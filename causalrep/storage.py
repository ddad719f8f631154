"""Files in a local folder or a bucket, through one small set of functions with atomic writes.

A path is a local path or a URL that fsspec knows: ``gs://bucket/results`` (package gcsfs), ``s3://bucket/results``
(package s3fs), ``memory://results`` (this process only, for tests). On a local disk a file is written under a temporary
name beside its final path, flushed and renamed; in a bucket an object appears when its upload is complete. Either way
nobody reads half a file under its own name, and a full disk leaves the previous file in place.
"""

import contextlib
import dataclasses
import errno
import functools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import fsspec

from causalrep.errors import InputError, RecordsError

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/{1,3}")  # pathlib turns gs://bucket into gs:/bucket
_OPTIONAL = {"gs": "gcsfs", "gcs": "gcsfs", "s3": "s3fs", "s3a": "s3fs"}


@dataclasses.dataclass(frozen=True, order=True)
class Remote:
    """A path in a bucket, with the few methods of :class:`pathlib.Path` that results need.

    Attributes:
        url: ``"gs://bucket/folder/file"``, without a trailing slash.
    """

    url: str

    def __truediv__(self, name: str) -> "Remote":
        return Remote(f"{self.url}/{name}")

    def joinpath(self, *names: str) -> "Remote":
        """The path below this one, from its parts."""
        return Remote("/".join([self.url, *names]))

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.url.rsplit("/", 1)[1]

    @property
    def suffix(self) -> str:
        """The file extension, with its dot."""
        return PurePath(self.name).suffix

    @property
    def parent(self) -> "Remote":
        """The parent folder."""
        return Remote(self.url.rsplit("/", 1)[0])

    def resolve(self) -> "Remote":
        """The path itself, since a URL is absolute."""
        return self

    def exists(self) -> bool:
        """Whether an object or a folder exists here."""
        with _named(self, "read"):
            return _filesystem(self.url).exists(self.url)

    def read_bytes(self) -> bytes:
        """The contents of the object.

        Raises:
            FileNotFoundError: If there is no such object.
            RecordsError: If the bucket does not answer.
        """
        with _named(self, "read"):
            return _filesystem(self.url).cat_file(self.url)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The contents of the object as text."""
        return self.read_bytes().decode(encoding)

    def iterdir(self) -> Iterator["Remote"]:
        """The paths directly below; none if the folder does not exist."""
        with _named(self, "read"):
            files = _filesystem(self.url)
            names = files.ls(self.url, detail=False) if files.exists(self.url) else []
        return iter(sorted(self / name.rstrip("/").rsplit("/", 1)[1] for name in names))


AnyPath = Path | Remote


def as_path(place: str | os.PathLike | Remote) -> AnyPath:
    """A local path or a path in a bucket, from what the user wrote.

    Raises:
        InputError: If the URL's protocol is unknown, or there is no home directory for ``~``.
        RecordsError: If the package that reads this kind of bucket is not installed.

    >>> as_path("memory://results") / "records.parquet"
    Remote(url='memory://results/records.parquet')
    >>> as_path("results").name
    'results'
    """
    if isinstance(place, Remote):
        return place
    text = os.fspath(place)
    match = _URL.match(text)
    if match is None:
        try:
            return Path(text).expanduser() if text.startswith("~") else Path(text)
        except RuntimeError as error:
            raise InputError("results", found=f"{text!r} without a home directory", expected="a full path") from error
    protocol, rest = match.group(1), text[match.end() :].rstrip("/")
    if protocol == "file":
        return Path("/" + rest.lstrip("/"))
    remote = Remote(f"{protocol}://{rest}")
    _filesystem(remote.url)
    return remote


def write_bytes(path: AnyPath, data: bytes) -> None:
    """Write a file atomically; missing local folders are created (buckets have none).

    Raises:
        RecordsError: If it cannot be written; a previous file is still there then.
    """
    if isinstance(path, Remote):
        with _named(path, "written"):
            _filesystem(path.url).pipe_file(path.url, data)
        return
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: AnyPath, text: str) -> None:
    """Write a text file atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: AnyPath, value: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: AnyPath) -> Any:
    """Read a JSON file.

    Raises:
        RecordsError: If it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordsError(f"{path}: not readable as JSON ({error}). Delete the folder and run again.") from error


@contextlib.contextmanager
def atomic_file(path: AnyPath) -> Iterator[Path]:
    """A temporary local path that replaces ``path``, flushed to disk or uploaded, if the block ends without error.

    Raises:
        RecordsError: If it cannot be written.
    """
    if isinstance(path, Remote):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / path.name
            yield temporary
            write_bytes(path, temporary.read_bytes())
        return
    with _named(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with _named(path, "written"):
            yield temporary
            temporary.chmod(0o644)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: AnyPath) -> None:
    """Refuse a folder that cannot be written, before any computation.

    Raises:
        RecordsError: If it cannot be created or a file in it cannot be written.
    """
    if isinstance(folder, Remote):
        probe = folder / ".write-check"
        write_bytes(probe, b"")
        with _named(folder, "written"):
            _filesystem(probe.url).rm_file(probe.url)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".write-check-", dir=folder):
            pass
    except OSError as error:
        raise RecordsError(
            f"{folder}: the results folder cannot be written ({error.strerror or error}). Choose another."
        ) from error


def create_file(path: Remote, data: bytes) -> bool:
    """Write an object where there is none, and say whether it was; some kinds of bucket cannot tell.

    Raises:
        RecordsError: If the bucket does not answer or refuses.
    """
    with _named(path, "written"):
        try:
            _filesystem(path.url).pipe_file(path.url, data, mode="create")
        except FileExistsError:
            return False
        except (TypeError, ValueError, NotImplementedError):  # no such mode
            _filesystem(path.url).pipe_file(path.url, data)
    return True


def remove_file(path: AnyPath) -> None:
    """Delete a file or an object.

    Raises:
        FileNotFoundError: If there is none.
        RecordsError: If the bucket does not answer or refuses.
    """
    if isinstance(path, Remote):
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, "nothing there", path.url)
        with _named(path, "removed"):
            _filesystem(path.url).rm_file(path.url)
        return
    path.unlink()


def remove_tree(folder: AnyPath) -> None:
    """Delete a folder with all its contents, if possible."""
    if isinstance(folder, Remote):
        with contextlib.suppress(Exception):  # each kind of bucket has its own errors, and leftovers do no harm
            _filesystem(folder.url).rm(folder.url, recursive=True)
        return
    shutil.rmtree(folder, ignore_errors=True)


def remove_named(folder: AnyPath, name: re.Pattern) -> None:
    """Delete what has a name of the pattern in a folder, and the folder if nothing else is in it."""
    # Elsewhere others may have removed it.
    with contextlib.suppress(OSError, RecordsError):
        paths: list[AnyPath] = list(folder.iterdir())
        for path in paths:
            if name.fullmatch(path.name):
                remove_file(path) if isinstance(path, Path) and path.is_file() else remove_tree(path)
    remove_if_empty(folder)


def remove_if_empty(folder: AnyPath) -> None:
    """Delete a folder that holds nothing; buckets have no empty folders."""
    if isinstance(folder, Path):
        with contextlib.suppress(OSError):
            folder.rmdir()


def download(source: Remote, target: Path) -> None:
    """Copy an object, or all objects below a path, to a local disk.

    Raises:
        FileNotFoundError: If there is no such object.
        RecordsError: If the bucket does not answer or the disk is full.
    """
    with _named(source, "read"):
        files = _filesystem(source.url)
        # The bucket lists names without their "s3://".
        root, below = files._strip_protocol(source.url), files.find(source.url)
    if not below:
        raise FileNotFoundError(errno.ENOENT, "nothing there", source.url)
    for name in below:
        if name.endswith("/"):  # the marker that some tools leave for a folder
            continue
        path = target / name.removeprefix(root).lstrip("/")
        with _named(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(name, str(path))


def upload(source: Path, target: Remote) -> None:
    """Copy a local file, or a folder with all its contents, to a bucket, object by object.

    Raises:
        FileNotFoundError: If the source does not exist, or is deleted during the upload.
        RecordsError: If the bucket does not answer or refuses.
    """
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.is_dir():
            continue
        place = target.joinpath(*path.relative_to(source).parts)
        with path.open("rb"), _named(place, "written"):
            _filesystem(place.url).put_file(str(path), place.url)


@functools.lru_cache(maxsize=32)
def _open_filesystem(protocol: str) -> fsspec.AbstractFileSystem:
    # Other processes write into the same bucket, so a cached listing would be wrong.
    return fsspec.filesystem(protocol, use_listings_cache=False)


def _filesystem(url: str) -> fsspec.AbstractFileSystem:
    protocol = url.split("://", 1)[0]
    try:
        return _open_filesystem(protocol)
    except ImportError as error:
        package = _OPTIONAL.get(protocol)
        install = f"pip install {package} (or causalrep[cloud])" if package else str(error)
        raise RecordsError(f"{url}: a package that reads {protocol}:// is not installed: {install}.") from error
    except ValueError as error:
        raise InputError("results", found=repr(url), expected="a local folder, gs://..., s3://...") from error


@contextlib.contextmanager
def _named(path: AnyPath, done: str) -> Iterator[None]:
    """Turn errors of the disk or bucket into one that names the path and says what to do."""
    try:
        yield
    except RecordsError:
        raise
    except FileNotFoundError as error:
        if done == "read":
            raise
        raise RecordsError(f"{path}: cannot be {done} ({error.strerror or error}).") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RecordsError(
                f"{path}: cannot be {done}, the disk is full ({error.strerror}). Free some space and run the same "
                "command: finished parts are kept."
            ) from error
        raise RecordsError(f"{path}: cannot be {done} ({error.strerror or error}).") from error
    except Exception as error:
        if isinstance(path, Path):
            raise
        # Clients of buckets have error types of their own: credentials, HTTP statuses.
        raise RecordsError(f"{path}: cannot be {done} ({type(error).__name__}: {error}).") from error
