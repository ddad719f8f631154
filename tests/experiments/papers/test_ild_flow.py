"""ILD under a RealNVP mixing: claims can hold and can fail, and a small run works."""

import itertools

import pandas as pd
import pytest

from causalrep.study import run, select
from experiments import configs


def test_claims_can_hold_and_fail():
    study = configs.load("ild/flow")["small"].study()

    def verdicts(errors):
        rows = [
            {
                **setting,
                "method": method,
                "metric": "cf_error",
                "replication": 0,
                "value": error * (1 + setting["seed"] / 100),
            }
            for setting, (method, error) in itertools.product(study.settings, errors.items())
        ]
        return [claim.evaluate(pd.DataFrame(rows)).status for claim in study.claims]

    assert verdicts({"Relax-Can": 0.8, "Dense": 1.6, "Identity map": 2.0}) == ["held", "held"]
    assert verdicts({"Relax-Can": 1.8, "Dense": 1.6, "Identity map": 1.0}) == ["failed", "failed"]


@pytest.mark.slow
def test_a_small_run(tmp_path):
    frame = run(configs.load("ild/flow")["smoke"].study(), results=tmp_path, scale="smoke").frame
    values = {
        (method, metric): select(frame, {}, method=method, metric=metric)["value"].item()
        for method, metric in itertools.product(("Oracle", "Dense", "Relax-Can"), ("cf_error", "test_nll"))
    }
    assert values["Oracle", "cf_error"] == 0.0
    assert values["Oracle", "test_nll"] < min(values["Dense", "test_nll"], values["Relax-Can", "test_nll"])
    assert values["Dense", "cf_error"] != pytest.approx(values["Relax-Can", "cf_error"])
