"""The main job runs the configs that say so, skips those whose data cannot be loaded, and reports failures."""

import pytest

from causalrep.data import available
from causalrep.errors import DataError
from experiments import configs, reproduce

ENTRIES = {entry.name: entry for entry in configs.entries()}
MAIN = {name for name, entry in ENTRIES.items() if entry.main}


@pytest.fixture
def calls(monkeypatch):
    """Records what would run; one Monte Carlo study fails."""
    made = []

    def run(arguments, **options):
        made.append(tuple(arguments[:3]))
        return 2 if arguments[0] == "iv/weak_instruments" else 0

    monkeypatch.setattr(reproduce.run, "main", run)
    monkeypatch.setattr(reproduce.report, "main", lambda arguments: made.append(("report", arguments[0])) or 0)
    return made


def test_every_config_says_what_it_needs():
    assert set(ENTRIES) == set(configs.names())
    assert {"iv/card", "ivl/linear_simulation", "cate/ihdp1000"} <= MAIN < set(ENTRIES)
    assert {dataset for entry in ENTRIES.values() for dataset in entry.data} <= set(available())
    assert ENTRIES["cate/ihdp1000"].data == ("ihdp",)
    assert ENTRIES["iv/weak_instruments"].reproduce == "small"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], MAIN),
        (["--all"], set(ENTRIES)),
        (["scaling"], {"scaling/mlp_fits", "scaling/conv_vae"}),
    ],
)
def test_the_main_job_or_some_papers_or_all(arguments, expected, calls, monkeypatch, tmp_path):
    monkeypatch.setattr(reproduce, "load", lambda name: None)
    reproduce.main([*arguments, "--results", str(tmp_path)])
    scales = {call[0]: call[2] for call in calls if call[0] != "report"}
    assert scales == {name: ENTRIES[name].reproduce for name in expected}
    assert {call[1] for call in calls if call[0] == "report"} == {name.split("/")[0] for name in expected}


def test_an_unknown_paper_is_refused(capsys):
    with pytest.raises(SystemExit):
        reproduce.main(["ivv"])
    assert "unknown ivv; there are cate, " in capsys.readouterr().err


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
