"""ILD on pictures: claims can hold and can fail, and a small run works."""

import dataclasses
import itertools

import pandas as pd
import pytest

from causalrep.data import load
from causalrep.errors import DataError
from causalrep.study import run, select
from experiments import configs
from experiments.ild.rotated import SCORES

NAMES = ("rotated_mnist", "rotated_fashion_mnist", "colored_rotated_mnist")


@pytest.mark.parametrize("name", NAMES)
def test_claims_can_hold_and_fail(name):
    study = configs.load(f"ild/{name}")["small"].study()
    methods = ("Independent", "Dense", "Can", "Relax-Can")

    def verdicts(value):
        cells = itertools.product(study.settings, methods, SCORES, range(study.replications))
        frame = pd.DataFrame(
            [
                {**setting, "method": method, "metric": metric, "replication": r,
                 "value": value(method, metric) + r / 10}
                for setting, method, metric, r in cells
            ]
        )  # fmt: skip
        return {claim.evaluate(frame).status for claim in study.claims}

    def right(method, metric):
        known = {"composition": 95, "reversibility": 93, "effectiveness": 92}
        return known.get(metric, 50 if method == "Independent" else 90)

    assert verdicts(right) == {"held"}
    assert verdicts(lambda method, metric: 100 - right(method, metric)) == {"failed"}


def test_a_small_run(tmp_path):
    try:
        load("mnist")
    except DataError as error:
        pytest.skip(str(error))
    config = dataclasses.replace(configs.load("ild/rotated_mnist")["smoke"], methods=("Relax-Can",), angles=(0.0, 60.0))
    frame = run(config.study(), results=tmp_path, scale="smoke").frame
    identity = {name: select(frame, {}, method="Identity map", metric=name)["value"].item() for name in SCORES}
    real = {name: select(frame, {}, method="Real pictures", metric=name)["value"].item() for name in SCORES}
    assert identity["preservation"] == pytest.approx(real["preservation"])
    assert identity["effectiveness"] == pytest.approx(50.0), "every target is aimed at equally often"
    assert set(frame["method"]) == {"Identity map", "Real pictures", "Relax-Can"}
