"""Folders and buckets: resumption to the same bytes from any write; damage, tampering, full disks, refusals."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import jax
import numpy as np
import pytest

from causalrep import compilation_cache, storage
from causalrep.errors import CausalrepWarning, InputError, RecordsError
from causalrep.parallel.distributed import PREEMPTED, Preempted
from causalrep.storage import as_path
from causalrep.study import Curves, Ordering, Study, Table, read_records, run, run_folder
from causalrep.study import records as disk

CALLS = []


def noisy(key, setting):
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


def _run(study, folder=None, **options):
    return run(study, folder, progress=False, **options)


def test_a_run_leaves_a_complete_folder(study, tmp_path):
    done = _run(study, tmp_path, scale="smoke")
    assert done.folder == tmp_path / "demo" / "noisy" / f"smoke-{study.digest()}"
    names = {"claims.json", "config.json", "environment.json", "records.parquet", "table.md", "x-by-mu.png"}
    assert {path.name for path in done.folder.iterdir()} == names
    assert read_records(done.folder / "records.parquet").equals(done.frame)
    assert json.loads((done.folder / "claims.json").read_text())[0]["status"] == "held"
    environment = json.loads((done.folder / "environment.json").read_text())
    assert {"commit", "devices", "mode", "chunk", "wall_seconds", "compile_seconds", "packages"} <= set(environment)
    assert "1 held, 0 failed" in (done.folder / "table.md").read_text()
    assert done.frame.dtypes.astype(str).to_dict() == run(study, progress=False).frame.dtypes.astype(str).to_dict()


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


def test_a_disk_that_fills_up_again_and_again_loses_nothing(study, tmp_path, monkeypatch):
    reference = (_run(study, tmp_path / "whole").folder / "records.parquet").read_bytes()
    write, space = Path.write_bytes, {"writes": 0}

    def full(path, data):
        if space["writes"] == 0:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        space["writes"] -= 1
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    folder = tmp_path / "small"
    parts = 0
    for space["writes"] in (0, 1, 2, 3, 4, 5):  # the config each time, and then so many parts
        allowed = space["writes"]
        with pytest.raises(RecordsError, match=r"the disk is full.*run the same command"):
            _run(study, folder)
        parts += max(0, allowed - 1)
        assert len(list(folder.rglob("cell-*.parquet"))) == parts
        assert not [path for path in folder.rglob("*") if path.name.startswith(".")], "no half file is left"
    assert parts == 10
    # The config and the last parts; the environment; the records; then the report of three files, one by one.
    for space["writes"] in (3, 2, 3, 0, 1, 2):
        with pytest.raises(RecordsError, match="the disk is full"):
            _run(study, folder)
    space["writes"] = 100
    CALLS.clear()
    done = _run(study, folder)
    assert CALLS == []
    assert (done.folder / "records.parquet").read_bytes() == reference
    assert len(list(done.folder.iterdir())) == 6


def test_a_bucket_holds_the_same_bytes(study, tmp_path, monkeypatch):
    local = _run(study, tmp_path, scale="smoke").folder
    bucket = f"memory://{uuid.uuid4().hex}/results"
    put, left = type(fsspec.filesystem("memory")).pipe_file, {"writes": 6}

    def failing(self, *arguments, **options):
        if left["writes"] == 0:
            raise OSError("the network is gone")
        left["writes"] -= 1
        return put(self, *arguments, **options)

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", failing)
    with pytest.raises(RecordsError, match=r"memory://.*cannot be written \(the network is gone\)"):
        _run(study, bucket, scale="smoke")
    left["writes"] = 100
    CALLS.clear()
    done = _run(study, bucket, scale="smoke")
    assert len(CALLS) == 12 - 4, "two writes were the check and the config, four were parts"
    assert str(done.folder) == f"{bucket}/demo/noisy/smoke-{study.digest()}"
    names = {"claims.json", "config.json", "environment.json", "records.parquet", "table.md", "x-by-mu.png"}
    assert {path.name for path in done.folder.iterdir()} == names
    for name in names - {"environment.json"}:
        assert (done.folder / name).read_bytes() == (local / name).read_bytes(), name
    CALLS.clear()
    again = _run(study, as_path(bucket), scale="smoke")
    assert CALLS == []
    assert not again.computed
    assert read_records(f"{done.folder}/records.parquet").equals(done.frame)
    storage.write_text(done.folder / "config.json", "{}")
    with pytest.raises(RecordsError, match="another study"):
        _run(study, bucket, scale="smoke")


def test_sigterm_ends_the_run_after_the_part_in_work(study, tmp_path):
    reference = (_run(study, tmp_path / "whole").folder / "records.parquet").read_bytes()

    def stopping(key, setting):
        if len(CALLS) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return noisy(key, setting)

    CALLS.clear()
    with pytest.raises(Preempted) as stop:
        _run(dataclasses.replace(study, replicate=stopping), tmp_path / "stopped")
    assert stop.value.code == PREEMPTED
    assert len(CALLS) == 5
    assert len(list((tmp_path / "stopped").rglob("cell-*.parquet"))) == 5
    done = _run(dataclasses.replace(study, replicate=stopping), tmp_path / "stopped")
    assert len(CALLS) == 12
    assert (done.folder / "records.parquet").read_bytes() == reference


def test_a_profile_is_written_beside_the_results(location_study, tmp_path):
    study = location_study(replications=4)
    done = _run(study, tmp_path, profile=True)
    assert list((done.folder / "profile" / "process-0").rglob("*.xplane.pb"))
    done = _run(study, f"memory://{uuid.uuid4().hex}", profile=True)
    assert [path.name for path in (done.folder / "profile" / "process-0").iterdir()] == ["plugins"]
    with pytest.raises(InputError, match="profile"):
        run(study, profile=True)


def test_tensorboard_scalars_show_progress_and_means(study, tmp_path):
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    done = _run(study, tmp_path / "results", tensorboard=tmp_path / "board", scale="smoke")
    (path,) = (tmp_path / "board" / "demo" / "noisy" / f"smoke-{study.digest()}").iterdir()
    data, damaged = path.read_bytes(), {}
    while data:
        size = int.from_bytes(data[:8], "little")
        assert int.from_bytes(data[8:12], "little") == masked_crc32c(data[:8])
        for value in Event.FromString(data[12 : 12 + size]).summary.value:
            damaged.setdefault(value.tag, []).append(value.simple_value)
        data = data[16 + size :]
    assert damaged["run/replications"] == list(range(1, 13))
    assert set(damaged) == {"run/replications", "run/replications_per_second", "x/a", "x/b"}
    means = done.frame[done.frame["method"] == "b"].groupby("mu")["value"].mean()
    np.testing.assert_allclose(damaged["x/b"], means, rtol=1e-6)


def test_a_run_reads_no_compiled_text_unless_it_is_asked_to_count(location_study, monkeypatch):
    def read(compiled):
        raise AssertionError("the text of a compiled program was read")

    monkeypatch.setattr(jax.stages.Compiled, "as_text", read)
    assert "flops" not in _run(location_study(), None).environment
    with pytest.raises(AssertionError, match="was read"):
        _run(location_study(), None, count_operations=True)


def test_running_a_study_does_not_load_the_reader_of_compiled_programs():
    code = (
        "import sys, jax\n"
        "from causalrep.study import Study, run\n"
        "draw = lambda key, setting: {'m': {'x': jax.random.normal(key)}}\n"
        "run(Study('demo/draw', draw, [{'a': 1}], 2), progress=False)\n"
        "print([name for name in sys.modules if name.startswith('causalrep.aot.hlo')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_code_is_digested_once_per_run(study, tmp_path, monkeypatch):
    import causalrep.study.environment as environment

    read = []
    monkeypatch.setattr(environment, "code_of", lambda function: read.append(function) or {})
    monkeypatch.setattr(environment, "_commit", lambda study: None)
    _run(study, tmp_path)
    assert len(read) == 1


def test_speed_is_part_of_the_environment(location_study):
    study = location_study(replicate=lambda *a: location_study().replicate(*a))
    environment = _run(study, None, count_operations=True).environment
    assert environment["compile_seconds"] > 0
    assert environment["compute_seconds"] > 0
    assert environment["processes"] == 1
    # At least each number of the samples is drawn, scaled and shifted.
    assert environment["flops"] > 2 * 21 * 3 * (20 + 40)
    assert sorted(cell for chunk in environment["chunks"] for cell in chunk["cells"]) == list(range(6))


@pytest.mark.parametrize(("data_end_it", "complete"), [(False, True), (True, False)])
def test_operations_are_counted_with_loops_multiplied_out(data_end_it, complete):
    """A product of 32 x 32 in each of 200 steps and 8 replications; of a loop that data end the turns are not known."""

    def replicate(key, setting):
        x = jax.random.normal(key, (32, 32)) / 32
        if data_end_it:
            last = jax.lax.while_loop(lambda carry: carry.sum() > 1e9, lambda carry: carry @ x, x)
        else:
            last = jax.lax.fori_loop(0, 200, lambda _, carry: carry @ x, x)
        return {"product": {"trace": last.trace()}}

    environment = _run(
        Study("demo/products", replicate, [{"a": 1}], 8), None, mode="vmap", count_operations=True
    ).environment
    assert environment["flops_complete"] is complete
    if complete:
        np.testing.assert_allclose(environment["flops"], 8 * 200 * 2 * 32**3, rtol=0.1)


def test_compiled_programs_are_kept_in_the_user_s_cache(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("CAUSALREP_CACHE", str(tmp_path))
    try:
        compilation_cache.enable_compilation_cache()
        assert jax.config.jax_compilation_cache_dir == before, "what the user has set stays"
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        jax.config.update("jax_compilation_cache_dir", None)
        (tmp_path / "xla").write_text("in the way")
        compilation_cache.enable_compilation_cache()
        assert jax.config.jax_compilation_cache_dir is None
        (tmp_path / "xla").unlink()
        compilation_cache.enable_compilation_cache()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "xla")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


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


@pytest.mark.parametrize("replications", [8, 40])
@pytest.mark.parametrize("folder", [False, True])
def test_a_method_that_is_left_out_somewhere_is_refused(tmp_path, replications, folder):
    def fails_at_times(key, setting):
        value = float(jax.random.normal(key))
        return {"a": {"x": value}, **({"b": {"x": value}} if value > 0 else {})}

    study = Study("demo/left_out", fails_at_times, [{"mu": 0.0}], replications, compiled=False)
    for _ in range(2):  # whatever has been saved before
        with pytest.raises(InputError, match=r"replicate: found a/x.* expected the methods .* give NaN where"):
            _run(study, tmp_path if folder else None)


def test_the_working_directory_may_change(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    def wanders(key, setting):
        os.chdir(tmp_path / "elsewhere")
        return noisy(key, setting)

    done = _run(dataclasses.replace(study, replicate=wanders), "results")
    assert done.folder == run_folder(study, tmp_path / "results")
    assert done.frame.equals(_run(study).frame)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_user_without_a_home_directory_has_no_cache(monkeypatch, tmp_path):
    from causalrep.data.sources.folder import data_folder

    def nowhere(path):
        raise RuntimeError("Could not determine home directory.")

    before = jax.config.jax_compilation_cache_dir
    for name in ("JAX_COMPILATION_CACHE_DIR", "CAUSALREP_CACHE", "CAUSALREP_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: nowhere(None))
    monkeypatch.setattr(Path, "expanduser", nowhere)
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        compilation_cache.enable_compilation_cache()
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert data_folder().is_absolute()
    with pytest.raises(InputError, match="results: found '~/results' without a home directory; expected a full path"):
        as_path("~/results")


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


def test_hosts_with_other_code_are_refused(study, tmp_path, monkeypatch):
    monkeypatch.setattr("causalrep.parallel.distributed.agree", lambda value=None: [study.digest(), "00000000"])
    with pytest.raises(RecordsError, match=r"process 0 on host \S+: another study or other code than in process 0"):
        _run(study, tmp_path)
    assert CALLS == []
