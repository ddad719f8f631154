"""Places local and remote behave alike; a write is all or nothing; errors say what to do."""

import errno
import os
import uuid
from pathlib import Path

import fsspec
import pytest

from causalrep import storage
from causalrep.errors import InputError, RecordsError
from causalrep.storage import Remote, as_path


@pytest.fixture(params=["local", "memory"])
def place(request, tmp_path):
    return as_path(tmp_path) if request.param == "local" else as_path(f"memory://{uuid.uuid4().hex}/results")


def test_what_is_written_is_read(place):
    path = place / "a" / "b.json"
    assert path.parent == place.joinpath("a")
    assert (path.name, path.suffix) == ("b.json", ".json")
    assert not path.exists()
    storage.check_writable(place)
    storage.write_json(path, {"x": [1, 2]})
    storage.write_json(path, {"x": 3})
    assert storage.read_json(path) == {"x": 3}
    assert path.read_bytes() == b'{\n  "x": 3\n}\n'
    assert path.exists()
    storage.write_text(place / "a" / "c.txt", "λ")
    with storage.atomic_file(place / "a" / "d.bin") as temporary:
        temporary.write_bytes(b"d")
    assert [entry.name for entry in sorted((place / "a").iterdir())] == ["b.json", "c.txt", "d.bin"]
    assert (place / "a" / "c.txt").read_text(encoding="utf-8") == "λ"
    storage.remove_tree(place / "a")
    assert not path.exists()
    storage.remove_tree(place / "a")
    with pytest.raises(FileNotFoundError):
        path.read_bytes()
    with pytest.raises(RecordsError, match="not readable as JSON"):
        storage.read_json(path)


def test_a_block_that_fails_leaves_the_file_as_it_was(place):
    storage.write_text(place / "x", "before")

    def fail():
        with storage.atomic_file(place / "x") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (place / "x").read_text() == "before"
    assert [entry.name for entry in place.iterdir()] == ["x"]


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_full_disk_is_named_and_loses_nothing(tmp_path, monkeypatch, moment):
    storage.write_text(tmp_path / "x", "before")

    def full(*arguments):
        if moment == "write":
            with open(arguments[0], "wb") as file:
                file.write(arguments[1][:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    owner, name = {"write": (Path, "write_bytes"), "fsync": (os, "fsync"), "replace": (os, "replace")}[moment]
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(RecordsError, match=r"x: cannot be written, the disk is full.*run the same command"):
        storage.write_text(tmp_path / "x", "after")
    monkeypatch.undo()
    assert (tmp_path / "x").read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_bucket_that_refuses_is_named(monkeypatch):
    class Forbidden(Exception):
        """As gcsfs has its own: not an OSError."""

    def refuse(self, path, value, **options):
        raise Forbidden("403")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", refuse)
    with pytest.raises(RecordsError, match=r"memory://b/x: cannot be written \(Forbidden: 403\)"):
        storage.write_text(as_path("memory://b/x"), "x")
    with pytest.raises(RecordsError, match="cannot be written"):
        storage.check_writable(as_path("memory://b"))


def test_places_are_recognised(tmp_path):
    assert as_path("gs-like/folder") == Path("gs-like/folder")
    assert as_path("~/results") == Path.home() / "results"
    assert as_path("file:///tmp/x") == Path("/tmp/x")
    assert as_path("memory://bucket/results/") == Remote("memory://bucket/results")
    assert as_path(Path("memory://bucket/results")) == Remote("memory://bucket/results")  # pathlib drops a slash
    assert as_path(Remote("memory://x")) == Remote("memory://x")
    with pytest.raises(InputError, match="results: found 'nowhere://bucket'; expected a local folder, gs://"):
        as_path("nowhere://bucket")


def test_a_missing_package_is_named(monkeypatch):
    def absent(protocol, **options):
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec, "filesystem", absent)
    storage._open_filesystem.cache_clear()
    with pytest.raises(RecordsError, match=r"gs://bucket/results: .* not installed: pip install gcsfs"):
        as_path("gs://bucket/results")
