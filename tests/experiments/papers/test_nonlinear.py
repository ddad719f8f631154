"""The nonlinear IV experiments run at smoke scale, and their claims fail on wrong records."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from causalrep.study import Ratio, Within, load_reported, read_records, run_folder
from experiments import configs
from experiments.papers.iv.demand import Demand
from experiments.papers.iv.kiv import NeweyPowell
from experiments.papers.iv.printed import REPORTED
from experiments.papers.iv.zoo import Zoo
from experiments.run import main

NAMES = ("iv/kiv_np", "iv/demand", "iv/zoo")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "iv/demand")) for n in NAMES])
def test_runs_from_the_command_line_and_every_number_is_finite(name, tmp_path, capsys):
    assert main([name, "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load(name)["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    assert np.isfinite(frame["value"]).all()
    assert (frame[frame["metric"] == "mse"]["value"] > 0).all()
    printed = capsys.readouterr().out
    assert "### Claims" in printed
    assert "failed" not in printed.split("### Claims")[1].split("\n")[0].replace("0 failed", "")


@pytest.mark.parametrize("name", NAMES[:2])
def test_reported_numbers_belong_to_cells_of_the_paper_scale(name):
    study = configs.load(name)["paper"].study()
    numbers = [number for number in load_reported(REPORTED) if number.experiment == name]
    assert numbers
    for number in numbers:
        cell = {field: value for field, value in number.where.items() if field != "method"}
        assert any(all(setting[field] == value for field, value in cell.items()) for setting in study.settings), number
        assert number.provenance == "official results"


def frame_of(cells):
    """Records of a mapping ``{((field, value), ...): {(method, metric): value}}``."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {**dict(cell), "method": method, "replication": r, "metric": metric, "value": v * (1 + 0.02 * rng.normal())}
            for cell, methods in cells.items()
            for (method, metric), v in methods.items()
            for r in range(40)
        ]
    )


def newey_powell(kiv, ridge, approximate=None):
    methods = {"KIV": kiv, "Kernel ridge (no IV)": ridge}
    frame = frame_of({(("design", "NP"), ("n", 1000)): {(m, "mse"): v for m, v in methods.items()}})
    copy = frame[frame["method"] == "KIV"].assign(method="KIV (Nystroem)")
    return pd.concat([frame, copy.assign(value=copy["value"] * (approximate or 1.0))])


def statuses(config, frame):
    return {claim.name: claim.evaluate(frame).status for claim in config.study().claims}


def test_kiv_claims_hold_on_right_records_and_each_fails_on_wrong_ones():
    config = NeweyPowell(designs=("NP",))
    right = statuses(config, newey_powell(0.068, 0.134))
    assert set(right.values()) == {"held"}
    for wrong, word in (
        (newey_powell(0.12, 0.134), "KIV at most 0.1"),
        (newey_powell(0.095, 0.134), "at least 1.5"),
        (newey_powell(0.068, 0.2), "within [0.12, 0.14]"),
        (newey_powell(0.068, 0.134, approximate=1.02), "differ by less than 1%"),
    ):
        (name,) = [name for name in right if word in name]
        assert statuses(config, wrong)[name] == "failed", name


def test_few_replications_decide_no_median():
    frame = newey_powell(0.068, 0.134)
    few = frame[frame["replication"] < 5]
    where = {"design": "NP", "n": 1000}
    within = Within(metric="mse", aggregate="median", method="KIV", high=0.1, where=where)
    assert within.evaluate(few).status == "undecided"
    ratio = Ratio(
        metric="mse", aggregate="median", numerator="Kernel ridge (no IV)", denominator="KIV", low=1.5, where=where
    )
    assert ratio.evaluate(few).status == "undecided"
    assert ratio.evaluate(frame).status == "held"


def test_a_trend_in_n_is_claimed_where_there_are_several():
    config = NeweyPowell(designs=("NP",), samples=(1000, 5000))
    methods = {"KIV": 0.068, "KIV (Nystroem)": 0.068, "Kernel ridge (no IV)": 0.13}
    cells = {
        (("design", "NP"), ("n", n)): {(m, "mse"): v * shrink for m, v in methods.items()}
        for n, shrink in ((1000, 1.0), (5000, 0.5))
    }
    name = "NP: KIV (Nystroem) falls with n"
    assert statuses(config, frame_of(cells))[name] == "held"
    cells[("design", "NP"), ("n", 5000)] = {(m, "mse"): 2 * v for m, v in methods.items()}
    assert statuses(config, frame_of(cells))[name] == "failed"


def test_zoo_claims():
    config = Zoo(functions=("linear",))
    cell = (("function", "linear"), ("number", 3))

    def zoo(gmm, slope):
        methods = {("DeepGMM", "mse"): gmm, ("Direct regression", "mse"): 16.0, ("OLS", "slope"): slope}
        return statuses(config, frame_of({cell: methods}))

    assert set(zoo(0.3, 2.667).values()) == {"held"}
    assert list(zoo(20.0, 2.667).values()) == ["failed", "held"]
    assert list(zoo(0.3, 1.0).values()) == ["held", "failed"]


def test_demand_claims():
    config = Demand(rhos=(0.1, 0.5, 0.9), noises=(1.0,))

    def demand(kiv, ridge, last):
        cells = {
            (("n", 1000), ("noise", 1.0), ("rho", rho)): {
                ("KIV", "mse"): last if rho == 0.9 else kiv,
                ("Kernel ridge (no IV)", "mse"): ridge,
            }
            for rho in (0.1, 0.5, 0.9)
        }
        return list(statuses(config, frame_of(cells)).values())

    assert demand(4900.0, 3800.0, 4900.0) == ["held", "held"]
    assert demand(9000.0, 3800.0, 9000.0)[0] == "held", "where regression wins, the caution holds all the more"
    assert demand(1000.0, 3800.0, 1000.0)[0] == "failed"
    assert demand(4900.0, 3800.0, 6000.0)[1] == "failed"


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (NeweyPowell, "samples", (100,)),
        (NeweyPowell, "terms", 3),
        (Demand, "rhos", (1.5,)),
        (Demand, "noises", (0.0,)),
        (Zoo, "samples", 10),
        (Zoo, "gmm_epochs", 0),
    ],
)
def test_wrong_fields_are_refused(config, field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(config(), **{field: value})
