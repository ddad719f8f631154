"""Folders: resumption to the same bytes from any write, damage, tampering, unwritable places."""

import json
import os

import numpy as np
import pytest

from causalrep.errors import CausalrepWarning, RecordsError
from causalrep.study import Curves, Ordering, Study, Table, read_records, run, run_folder
from causalrep.study import records as disk

CALLS = []


def noisy(key, setting):
    import jax

    CALLS.append(setting["mu"])
    value = float(jax.random.normal(key))
    return {"a": {"x": value}, "b": {"x": value + setting["mu"] + 1}}


@pytest.fixture
def study():
    CALLS.clear()
    return Study(
        "demo/noisy",
        noisy,
        [{"mu": 0.0}, {"mu": 1.0}],
        6,
        compiled=False,
        claims=(Ordering(metric="x", methods=("a", "b")),),
        tables=(Table(title="x", metric="x", columns="mu"),),
        figures=(Curves(x="mu", metric="x"),),
    )


def _run(study, folder, **options):
    return run(study, folder, progress=False, **options)


def test_a_run_leaves_a_complete_folder(study, tmp_path):
    done = _run(study, tmp_path, scale="smoke")
    assert done.folder == tmp_path / "demo" / "noisy" / f"smoke-{study.digest()}"
    names = {"claims.json", "config.json", "environment.json", "records.parquet", "table.md", "x-by-mu.png"}
    assert {path.name for path in done.folder.iterdir()} == names
    assert read_records(done.folder / "records.parquet").equals(done.frame)
    assert json.loads((done.folder / "claims.json").read_text())[0]["status"] == "held"
    environment = json.loads((done.folder / "environment.json").read_text())
    assert {"commit", "devices", "mode", "chunk", "wall_seconds", "compile_seconds", "packages"} <= set(
        environment
    )
    assert "1 held, 0 failed" in (done.folder / "table.md").read_text()
    assert (
        done.frame.dtypes.astype(str).to_dict()
        == run(study, progress=False).frame.dtypes.astype(str).to_dict()
    )


def test_a_finished_run_computes_nothing(study, tmp_path):
    first = _run(study, tmp_path)
    before, calls = (first.folder / "records.parquet").read_bytes(), len(CALLS)
    assert calls == 12
    (first.folder / "table.md").unlink()
    again = _run(study, tmp_path)
    assert len(CALLS) == calls
    assert (again.folder / "records.parquet").read_bytes() == before
    assert (again.folder / "table.md").exists()


class Killed(BaseException):
    pass


def test_a_stop_at_any_write_resumes_to_the_same_bytes(study, tmp_path, monkeypatch):
    reference = (_run(study, tmp_path / "whole").folder / "records.parquet").read_bytes()
    replace, after = os.replace, {"left": 0}

    def failing(source, target):
        if after["left"] == 0:
            raise Killed
        after["left"] -= 1
        replace(source, target)

    stops = 0
    for moment in range(100):
        folder = tmp_path / f"stopped-{moment}"
        after["left"] = moment
        monkeypatch.setattr(os, "replace", failing)
        try:
            _run(study, folder)
            break
        except Killed:
            stops += 1
        monkeypatch.setattr(os, "replace", replace)
        CALLS.clear()
        done = _run(study, folder)
        # Of the 12 replications, those whose part was renamed are not computed again.
        assert len(CALLS) == max(0, 12 - max(0, moment - 1))
        assert (done.folder / "records.parquet").read_bytes() == reference
        assert not (done.folder / "parts").exists()
    assert stops == 1 + 12 + 5


def test_a_damaged_part_is_computed_again(study, tmp_path, monkeypatch):
    whole = (_run(study, tmp_path / "whole").folder / "records.parquet").read_bytes()
    monkeypatch.setattr(disk, "remove_parts", lambda run: None)
    done = _run(study, tmp_path / "damaged")
    parts = sorted((done.folder / "parts").rglob("*.parquet"))
    assert len(parts) == 12
    parts[3].write_bytes(parts[3].read_bytes()[:50])
    (done.folder / "records.parquet").unlink()
    CALLS.clear()
    with pytest.warns(CausalrepWarning, match="damaged"):
        again = _run(study, tmp_path / "damaged")
    assert len(CALLS) == 1
    assert (again.folder / "records.parquet").read_bytes() == whole


def test_damaged_records_are_an_error_that_says_what_to_do(study, tmp_path):
    path = _run(study, tmp_path).folder / "records.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordsError, match=r"records\.parquet.*Delete it"):
        _run(study, tmp_path)
    path.unlink()
    _run(study, tmp_path)
    with pytest.raises(RecordsError, match="no such file"):
        read_records(tmp_path / "nothing.parquet")


def test_another_study_s_records_are_refused(study, tmp_path):
    folder = _run(study, tmp_path).folder
    frame = read_records(folder / "records.parquet")
    disk.write_records(frame[frame["mu"] == 0.0], folder / "records.parquet")
    with pytest.raises(RecordsError, match="cells and replications"):
        _run(study, tmp_path)


def test_a_tampered_config_is_refused(study, tmp_path):
    path = _run(study, tmp_path).folder / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "seed": 9}))
    with pytest.raises(RecordsError, match="another study"):
        _run(study, tmp_path)
    path.write_text("{")
    with pytest.raises(RecordsError, match="JSON"):
        _run(study, tmp_path)


def test_records_of_other_code_are_kept_with_a_warning(study, tmp_path):
    path = _run(study, tmp_path).folder / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "code": "00000000"}))
    with pytest.warns(CausalrepWarning, match="other code"):
        _run(study, tmp_path)


def test_an_unwritable_folder_is_refused_before_computing(study, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(RecordsError, match="cannot be written"):
        _run(study, blocker / "results")
    with pytest.raises(RecordsError, match="cannot be written"):
        _run(study, "/proc/causalrep")
    assert CALLS == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(study, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RecordsError, match="cannot be written"):
        _run(study, tmp_path)
    tmp_path.chmod(0o700)


def test_two_runs_on_one_folder_do_not_disturb_each_other(study, tmp_path):
    reference = (_run(study, tmp_path / "whole").folder / "records.parquet").read_bytes()
    entered = []

    def nested(key, setting):
        # Half-way through, another process runs the same study to its end and removes the parts.
        if not entered and setting["mu"] == 1.0:
            entered.append(1)
            _run(study, tmp_path / "shared")
        return noisy(key, setting)

    import dataclasses

    slow = dataclasses.replace(study, replicate=nested)
    done = _run(slow, tmp_path / "shared")
    assert entered
    assert (done.folder / "records.parquet").read_bytes() == reference
    assert run_folder(slow, tmp_path / "shared") == done.folder


def test_parts_of_another_mode_are_not_mixed_in(location_study, tmp_path, monkeypatch):
    study = location_study()
    monkeypatch.setattr(disk, "remove_parts", lambda run: None)
    done = _run(study, tmp_path, mode="loop")
    bytes_of_loop = (done.folder / "records.parquet").read_bytes()
    (done.folder / "records.parquet").unlink()
    other = _run(study, tmp_path, mode="vmap", chunk=5)
    assert other.environment["replications_resumed"] == 0
    (done.folder / "records.parquet").unlink()
    again = _run(study, tmp_path, mode="loop")
    assert again.environment["replications_computed"] == 0
    assert (done.folder / "records.parquet").read_bytes() == bytes_of_loop
    np.testing.assert_allclose(other.frame["value"], again.frame["value"], rtol=1e-12)
