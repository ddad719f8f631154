"""The main job runs every paper's configs, goes on without data that cannot be had, and reports failures."""

import pytest

from causalrep.errors import DataError
from experiments import configs, reproduce


@pytest.fixture
def calls(monkeypatch):
    """Record what would run, with a failing Monte Carlo."""
    made = []

    def run(arguments, **options):
        made.append(tuple(arguments[:3]))
        return 2 if arguments[0] == "iv/weak_instruments" else 0

    monkeypatch.setattr(reproduce.run, "main", run)
    monkeypatch.setattr(reproduce.report, "main", lambda arguments: made.append(("report", arguments[0])) or 0)
    return made


def test_jobs_are_all_the_configs():
    assert set(reproduce.JOBS) == set(configs.names())
    assert set(reproduce.JOBS.values()) <= set(configs.SCALE_NAMES)
    assert set(reproduce.MAIN) < set(reproduce.JOBS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], set(reproduce.MAIN)),
        (["--all"], set(configs.names())),
        (["scaling"], {"scaling/mlp_fits", "scaling/conv_vae"}),
    ],
)
def test_the_main_job_or_some_papers_or_all(arguments, expected, calls, monkeypatch, tmp_path):
    monkeypatch.setattr(reproduce, "load", lambda name: None)
    reproduce.main([*arguments, "--results", str(tmp_path)])
    assert {call[0] for call in calls if call[0] != "report"} == expected
    assert {call[1] for call in calls if call[0] == "report"} == set(map(reproduce.paper_of, expected))


def test_an_unknown_paper_is_refused(capsys):
    with pytest.raises(SystemExit):
        reproduce.main(["ivv"])
    assert "unknown ivv; there are ivl, iv," in capsys.readouterr().err


def test_missing_data_are_skipped_and_said_so(calls, monkeypatch, capsys, tmp_path):
    def missing(name):
        raise DataError(f"{name}: no file")

    monkeypatch.setattr(reproduce, "load", missing)
    assert reproduce.main(["--results", str(tmp_path)]) == 2, "a failed run shows in the exit code"
    assert not any(call[0] == "ivl/optical_device" for call in calls)
    assert ("report", "ivl") in calls
    assert ("report", "iv") in calls
    printed = capsys.readouterr()
    assert "no file" in printed.err
    assert "ivl/optical_device" in printed.out


def test_one_scale_for_all(calls, monkeypatch, tmp_path):
    monkeypatch.setattr(reproduce, "load", lambda name: None)
    reproduce.main(["--results", str(tmp_path), "--scale", "smoke"])
    assert ("ivl/optical_device", "--scale", "smoke") in calls
