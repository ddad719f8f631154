"""ILD on pictures: claims can hold and can fail, and a small run works."""

import dataclasses
import itertools

import pandas as pd
import pytest

from causalrep.study import run, select
from experiments import configs
from experiments.ild.rotated import SCORES

NAMES = ("rotated_digits", "rotated_mnist", "rotated_fashion_mnist", "colored_rotated_mnist")


@pytest.mark.parametrize("name", NAMES)
def test_claims_can_hold_and_fail(name):
    study = configs.load(f"ild/{name}")["small"].study()
    methods = ("Identity map", "Independent", "Dense", "Can", "Relax-Can")

    def verdicts(value):
        cells = itertools.product(study.settings, methods, (*SCORES, "cf_error"), range(study.replications))
        frame = pd.DataFrame(
            [
                {**setting, "method": method, "metric": metric, "replication": r,
                 "value": value(method, metric) + r / 10}
                for setting, method, metric, r in cells
            ]
        )  # fmt: skip
        return {claim.evaluate(frame).status for claim in study.claims}

    def right(method, metric):
        known = {"composition": 95, "reversibility": 93, "effectiveness": 97, "preservation": 90, "cf_error": 2}
        if metric == "preservation":
            return {"Independent": 10, "Dense": 80}.get(method, 90)
        return 5 if (method, metric) == ("Identity map", "cf_error") else known[metric]

    assert verdicts(right) == {"held"}
    assert verdicts(lambda method, metric: 100 - right(method, metric)) == {"failed"}


@pytest.mark.slow
def test_a_small_run(tmp_path):
    smoke = configs.load("ild/rotated_digits")["smoke"]
    frame = run(dataclasses.replace(smoke, methods=("Relax-Can",)).study(), results=tmp_path, scale="smoke").frame
    names = (*SCORES, "cf_error")
    identity = {name: select(frame, {}, method="Identity map", metric=name)["value"].item() for name in names}
    real = {name: select(frame, {}, method="Real pictures", metric=name)["value"].item() for name in names}
    assert identity["preservation"] == pytest.approx(real["preservation"])
    assert identity["composition"] == pytest.approx(real["preservation"])
    # Every target is aimed at equally often, and what stays in its domain reaches one in three.
    assert identity["effectiveness"] == pytest.approx(100 / 3)
    assert identity["cf_error"] > real["cf_error"] == 0.0
    assert set(frame["method"]) == {"Identity map", "Real pictures", "Relax-Can"}
