"""The study of causal information minimization: claims that can hold and can fail, and a smoke run."""

import pandas as pd
import pytest

from causalrep.study import load_reported, read_records, run_folder
from experiments import configs
from experiments.causal_info_min.toy import Toy
from experiments.run import main

FAITHFUL = {
    ("TE-D", "rate_share"): 0.005,
    ("TE-D", "confounder_id"): 0.09,
    ("TE-D", "confounder_ood"): 0.013,
    ("TE-D", "sufficiency"): 0.3,
    ("TE-D, contrast alone", "rate_share"): 0.37,
    ("TE-D, contrast alone", "confounder_behind"): 0.001,
    ("TE-D, contrast alone", "sufficiency"): 0.95,
    ("TE-D, total effect", "ood_gain"): 0.037,
    ("TE-D, total effect", "id_loss"): 0.002,
    ("TE-D, total effect", "above_bayes"): -0.04,
    ("ATE-D, question", "weight_low"): 0.6,
    ("ATE-D, question", "weight_high"): 1.1,
    ("ATE-D, question", "typical_margin"): 0.05,
    ("ATE-D, question", "autoencoder_excess"): 1.01,
}


def frame_of(change):
    return pd.DataFrame(
        {"samples": 6000, "method": method, "replication": replication, "metric": metric,
         "value": change(value) * (1 + 0.001 * replication)}
        for replication in range(4)
        for (method, metric), value in FAITHFUL.items()
    )  # fmt: skip


def test_claims_hold_for_a_faithful_reproduction_and_fail_for_a_wrong_one():
    claims = Toy().study().claims
    assert {claim.evaluate(frame_of(lambda v: v)).status for claim in claims} == {"held"}
    failed = [
        {claim.name for claim in claims if claim.evaluate(frame_of(change)).status == "failed"}
        for change in (lambda v: 3.5 - v, lambda v: -v)
    ]
    assert set.union(*failed) == {claim.name for claim in claims}


def test_every_reported_number_belongs_to_the_config():
    tables = configs.load("causal_info_min/toy")["paper"].study().tables
    shown = {metric for table in tables for metric in table.metric}
    for number in load_reported(configs.REPORTED / "causal_info_min.toml"):
        assert number.experiment == "causal_info_min/toy"
        assert number.metric in shown


@pytest.mark.slow
def test_smoke(tmp_path):
    assert main(["causal_info_min/toy", "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load("causal_info_min/toy")["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    assert frame["value"].notna().all()
    for claim in study.claims:
        claim.evaluate(frame)
