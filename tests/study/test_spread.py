"""Studies whose replications are long fits on all devices: each one saves itself, and the run resumes inside it."""

import os
import signal

import jax
import pytest

from causalrep.errors import InputError, RecordsError
from causalrep.parallel.distributed import Preempted
from causalrep.study import Study, Workspace, run
from causalrep.training import train
from tests.training.problems import ADAM, OBJECTIVE, rows

DATA = rows(256)
STEPS = 40


def replicate(key, setting, workspace, *, watch=()):
    result = train(
        OBJECTIVE,
        ADAM,
        DATA,
        key,
        steps=STEPS,
        batch_size=setting["batch"],
        chunk=5,
        checkpoints=workspace.checkpoints(every_steps=10, every_minutes=None),
        observers=(*workspace.observers(), *watch),
        profile=workspace.profile,
    )
    return {"fit": {"loss": result.final_loss, "first": result.history["loss"][0]}}


def study(function):
    settings = [{"batch": 32}, {"batch": 64}]
    return Study("demo/spread", function, settings, 2, compiled=False, spread=True, precision="float32")


@pytest.fixture(scope="module")
def whole():
    return run(study(replicate), progress=False).frame


def test_replications_differ_and_run_on_all_devices(whole, tmp_path):
    records = run(study(replicate), tmp_path, progress=False, profile=True, tensorboard=tmp_path / "logs")
    assert records.frame.equals(whole)
    assert records.frame["value"].nunique() == 8
    assert len(records.environment["devices"]) == jax.device_count() == 8
    assert not (records.folder / "checkpoints").exists()
    assert list((records.folder / "profile").rglob("*.xplane.pb"))
    assert len(list((tmp_path / "logs").glob("cell-*-replication-*/*"))) == 4


def test_a_stopped_run_resumes_inside_a_fit(tmp_path, whole):
    seen = []

    def stop(progress):
        seen.append(progress.step)
        if len(seen) == 12:  # the second replication's fourth chunk
            os.kill(os.getpid(), signal.SIGTERM)

    def watched(key, setting, workspace):
        return replicate(key, setting, workspace, watch=(stop,))

    with pytest.raises(Preempted):
        run(study(watched), tmp_path, progress=False)
    first = len(seen)
    assert run(study(watched), tmp_path, progress=False).frame.equals(whole)
    # 4 fits of 8 chunks; the stopped one went on where it was.
    assert first < 16
    assert len(seen) == 32


def test_without_a_folder_nothing_is_saved():
    assert Workspace().checkpoints() is None
    assert Workspace().observers() == ()


def test_spread_needs_ordinary_python():
    with pytest.raises(InputError, match="spread: found True with compiled=True; expected compiled=False"):
        Study("demo/spread", replicate, [{"batch": 32}], 1, spread=True)


def test_a_second_run_on_the_folder_is_refused_and_the_first_goes_on(tmp_path, whole):
    seen = []

    def again(progress):
        if not seen:
            seen.append(progress.step)
            with pytest.raises(RecordsError, match=rf"in use by another run: process {os.getpid()} on host"):
                run(study(watched), tmp_path, progress=False)

    def watched(key, setting, workspace):
        return replicate(key, setting, workspace, watch=(again,))

    records = run(study(watched), tmp_path, progress=False)
    assert records.frame.equals(whole)
    assert seen
    assert not (records.folder / "run.lock").exists()


def test_checkpoints_of_other_code_are_not_continued_and_others_files_stay(tmp_path):
    def study_of(factor):
        def scaled(key, setting, workspace):
            first = replicate(key, setting, workspace)["fit"]["first"]
            if factor == 1 and setting["batch"] == 64:
                raise ZeroDivisionError
            (workspace.folder.parent.parent / "notes.txt").write_text("mine")
            return {"fit": {"first": factor * first}}

        return study(scaled)

    with pytest.raises(ZeroDivisionError):
        run(study_of(1), tmp_path, progress=False)
    records = run(study_of(2), tmp_path, progress=False)
    assert records.environment["replications_resumed"] == 0
    assert {path.name for path in (records.folder / "checkpoints").iterdir()} == {"notes.txt"}
