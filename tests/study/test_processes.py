"""Two processes, of one and of four devices, leave the records that one process leaves."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from causalrep.study import read_records, run
from causalrep.study.execution import executor as execute
from experiments.launch import local
from tests.study import replicated

ROOT = Path(__file__).resolve().parents[2]
LAYOUTS = [(2, 1), (2, 4)]


def _launch(folder, processes, devices, monkeypatch, *flags):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(ROOT)
    out, err = io.StringIO(), io.StringIO()
    command = [sys.executable, "-m", "tests.study.replicated", str(folder), *flags]
    code = local.launch(command, processes, devices, out=out, err=err)
    assert code == 0, err.getvalue()
    return err.getvalue()


def _here(study, options, devices, monkeypatch):
    """The same study in this process, sharded over so many of its eight virtual devices."""
    import jax

    monkeypatch.setattr(execute, "_devices", lambda precision: jax.devices()[:devices])
    mode = options.get("mode") or ("sharded" if study.compiled else "loop")
    return run(study, progress=False, **{**options, "mode": mode}).frame


def _compare(folder, studies, devices, monkeypatch):
    for name, (study, options) in studies.items():
        (path,) = (folder / name).rglob("records.parquet")
        records = read_records(path)
        # The same lanes on each device, so the same operations in the same order: bit for bit.
        assert records.equals(_here(study, options, devices, monkeypatch)), name
        single = _here(study, options, 1, monkeypatch)
        assert records.drop(columns="value").equals(single.drop(columns="value"))
        if study.precision == "float64":
            np.testing.assert_allclose(records["value"], single["value"], rtol=1e-10, atol=1e-10, err_msg=name)
        else:
            # An error near zero in the last digits of a lead of few units: on the natural scale of each metric.
            for metric, values in records.groupby("metric")["value"]:
                scale = max(1.0, float(np.abs(values).max()))
                error = np.abs(values - single.loc[values.index, "value"]).max() / scale
                assert error < 1e-5, (name, metric, error)
        if name in ("loop", "host"):
            assert records.equals(single), "a loop computes each replication alike, wherever"


@pytest.mark.parametrize(("processes", "devices"), [pytest.param(*LAYOUTS[0], marks=pytest.mark.slow), LAYOUTS[1]])
def test_records_do_not_depend_on_processes(tmp_path, monkeypatch, processes, devices):
    err = _launch(tmp_path, processes, devices, monkeypatch)
    _compare(tmp_path, replicated.studies(), processes * devices, monkeypatch)
    assert "[0] demo/regression cell 1/2" in err
    assert "[1] process 1 of 2 on" in err
    assert "[1] demo" not in err, "process 0 alone shows progress"


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "devices"), LAYOUTS)
def test_ivl_records_do_not_depend_on_processes(tmp_path, monkeypatch, processes, devices):
    _launch(tmp_path, processes, devices, monkeypatch, "--ivl")
    _compare(tmp_path, replicated.ivl(), processes * devices, monkeypatch)
