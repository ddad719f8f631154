"""Checkpoints in a bucket that Orbax cannot write: whole or absent there too, and local scratch leaves nothing."""

import re
import tempfile
import uuid

import fsspec
import jax
import numpy as np
import pytest

from causalrep.errors import CausalrepWarning, CheckpointError, InputError
from causalrep.training import Checkpoints, make_mesh, train
from causalrep.training.checkpoints import mirror
from tests.training.problems import ADAM, OBJECTIVE, rows

KEY = jax.random.key(0)
DATA = rows(256)
KNOWN = {"steps": 60, "batch_size": 32, "chunk": 5}
ONE = make_mesh(devices=jax.devices()[:1])
FILES = fsspec.filesystem("memory")


@pytest.fixture
def bucket():
    return f"memory://{uuid.uuid4().hex}/fit"


@pytest.fixture(autouse=True)
def no_scratch_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.glob("causalrep-checkpoints-*"))


@pytest.fixture(scope="module")
def whole():
    return train(OBJECTIVE, ADAM, DATA, KEY, mesh=ONE, **KNOWN)


class Stop(Exception):
    """The plug is pulled."""


def stop_at(step):
    def observer(progress):
        if progress.step >= step:
            raise Stop

    return observer


def run(bucket, observers=()):
    kept = Checkpoints(bucket, every_steps=10, every_minutes=None)
    return train(OBJECTIVE, ADAM, DATA, KEY, mesh=ONE, checkpoints=kept, observers=observers, **KNOWN)


def equal(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b), tuple(found), tuple(expected))


def complete(bucket):
    return sorted(int(name.rsplit("/", 1)[1].removesuffix(".json")) for name in FILES.find(f"{bucket}/digests"))


@pytest.fixture
def stopped(bucket):
    with pytest.raises(Stop):
        run(bucket, [stop_at(40)])
    assert complete(bucket) == [20, 30]
    return bucket


def test_a_resumed_fit_is_the_fit_to_the_last_bit(stopped, whole):
    seen = []
    equal(run(stopped, [seen.append]), whole)
    assert seen[0].step == 35
    assert complete(stopped) == [50, 60]
    # What is no longer kept is gone from the bucket.
    assert {name.split("/steps/")[1].split("/")[0] for name in FILES.find(f"{stopped}/steps")} == {"50", "60"}


def test_what_others_put_into_the_bucket_stays_and_does_no_harm(stopped, whole):
    strange = [
        "steps/200_best/weights",
        "steps/notes.txt",
        "digests/readme.txt",
        "digests/readme.json",
        "mine",
    ]
    for name in strange:
        FILES.pipe_file(f"{stopped}/{name}", name.encode())
    equal(run(stopped), whole)
    assert [FILES.cat_file(f"{stopped}/{name}").decode() for name in strange] == strange
    assert {"50.json", "60.json"} < {name.rsplit("/", 1)[1] for name in FILES.find(f"{stopped}/digests")}


def test_a_second_fit_on_the_bucket_is_refused_and_the_first_goes_on(bucket, whole):
    seen = []

    def again(progress):
        if not seen:
            seen.append(progress.step)
            with pytest.raises(CheckpointError, match="in use by another run"):
                run(bucket)

    equal(run(bucket, [again]), whole)
    assert seen
    assert not FILES.exists(f"{bucket}/run.lock")


def test_a_half_uploaded_checkpoint_does_not_count(stopped, whole):
    FILES.rm_file(f"{stopped}/digests/30.json")
    FILES.rm_file(FILES.find(f"{stopped}/steps/30")[0])
    seen = []
    equal(run(stopped, [seen.append]), whole)
    assert seen[0].step == 25


@pytest.mark.parametrize("kind", ["removed", "changed"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(stopped, whole, kind):
    largest = max(FILES.find(f"{stopped}/steps/30/state"), key=FILES.size)
    if kind == "removed":
        FILES.rm_file(largest)
    else:
        raw = bytearray(FILES.cat_file(largest))
        raw[len(raw) // 2] ^= 1
        FILES.pipe_file(largest, bytes(raw))
    with pytest.warns(CausalrepWarning, match=f"{stopped}: the checkpoint at step 30 is damaged"):
        equal(run(stopped), whole)
    assert FILES.find(f"{stopped}/damaged/30")


def test_a_bucket_that_refuses_ends_the_fit_with_the_last_whole_checkpoint_named(bucket, whole, monkeypatch):
    put = type(FILES).put_file

    def refuse(self, source, target, **options):
        if not re.search(r"/(steps|digests)/10\b", target):
            raise PermissionError("403 Forbidden")
        return put(self, source, target, **options)

    monkeypatch.setattr(type(FILES), "put_file", refuse)
    expected = f"{bucket}: the checkpoint at step .* could not be written .*403 Forbidden.*the one at step 10 is whole"
    with pytest.raises(CheckpointError, match=expected):
        run(bucket)
    monkeypatch.setattr(type(FILES), "put_file", put)
    equal(run(bucket), whole)


def test_several_processes_are_refused_before_anything_is_computed(bucket, monkeypatch):
    monkeypatch.setattr(mirror.jax, "process_count", lambda: 2)
    with pytest.raises(InputError, match=r"folder: found 'memory://.*' with 2 processes; expected gs://"):
        run(bucket)
