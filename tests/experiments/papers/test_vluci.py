"""VLUCI's experiments run at smoke scale, and the anchors without a network are right."""

import jax
import numpy as np
import pandas as pd
import pytest

from causalrep.data import load
from causalrep.errors import DataError
from causalrep.study import load_reported, read_records, run_folder
from experiments import configs
from experiments.papers.vluci.comparison import Comparison
from experiments.papers.vluci.ihdp import _hidden
from experiments.papers.vluci.methods import without_vluci
from experiments.run import main


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["identified", "selection", "misspecified", "ihdp_hidden", "ihdp", "ihdp_tarnet", "comparison"]
)
def test_smoke(name, tmp_path):
    if "ihdp" in name:
        _needs_ihdp()
    assert main([f"vluci/{name}", "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load(f"vluci/{name}")["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    assert np.isfinite(frame["value"][~frame["metric"].isin(["separation", "corr_u"])]).all()
    assert not frame["value"][frame["metric"] == "diverged"].any()
    for claim in study.claims:
        claim.evaluate(frame)


def test_hidden_ihdp_has_the_cards_anchors_without_and_with_the_true_age():
    _needs_ihdp()
    from causalrep.data import draw_ihdp_hidden

    x, u, propensity, mu0, linear = _hidden(100)

    def one(key, *surfaces):
        computed = without_vluci(draw_ihdp_hidden(key, x, u, propensity, *surfaces))
        return {method: values["ate_error"] for method, values in computed.items()}

    keys = jax.random.split(jax.random.key(0), 100)
    computed = jax.jit(lambda: jax.lax.map(lambda args: one(*args), (keys, mu0, linear)))()
    # The card drew other treatments and noise, so the means agree within three of its standard errors.
    assert abs(computed["No U"].mean() - 1.775) < 3 * 0.162
    assert abs(computed["Oracle"].mean() - 0.464) < 3 * 0.061
    assert abs(computed["Difference in means"].mean() - 2.675) < 3 * 0.2


def test_every_reported_number_belongs_to_a_config():
    for number in load_reported(configs.reported_file("vluci")):
        assert number.experiment in configs.names()


def _needs_ihdp():
    try:
        load("ihdp")
    except DataError as error:
        pytest.skip(str(error))


FAITHFUL = {
    ("no trace in X", "VLUCI, multiple", "ate_error"): 0.02,
    ("no trace in X", "CEVAE", "ate_error"): 3.6,
    ("no trace in X", "Intact-VAE", "ate_error"): 3.7,
    ("no trace in X", "Intact-VAE", "bias"): 3.7,
    ("nothing hidden", "VLUCI", "change"): 0.001,
    ("nothing hidden", "VLUCI, multiple", "ate_error"): 0.02,
    ("nothing hidden", "Intact-VAE", "ate_error"): 0.1,
    ("proxies", "CEVAE", "ate_error"): 0.4,
    ("proxies", "No U", "ate_error"): 0.6,
}


def test_claims_of_the_comparison_hold_for_a_faithful_reproduction_and_fail_for_a_wrong_one():
    claims = Comparison().study().claims

    def statuses(change):
        frame = pd.DataFrame(
            {
                "design": design,
                "method": method,
                "replication": replication,
                "metric": metric,
                "value": change(value) * (1 + 0.001 * replication),
            }
            for replication in range(6)
            for (design, method, metric), value in FAITHFUL.items()
        )
        return [claim.evaluate(frame).status for claim in claims]

    assert set(statuses(lambda v: v)) == {"held"}
    wrong = zip(statuses(lambda v: 4.0 - v), statuses(lambda v: -v))
    assert all("failed" in both for both in wrong)
