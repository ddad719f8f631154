"""The DemoVAE study: claims that can hold and can fail, and a smoke run."""

import itertools

import jax
import numpy as np
import pandas as pd
import pytest

from causalrep.data import draw_fc, fc_population
from causalrep.study import load_reported, read_records, run_folder
from experiments import configs
from experiments.demovae.standin import NETWORKS, RAW, RESIDUAL, StandIn
from experiments.run import main

FAITHFUL = {"hits_demographic": 4, "hits_intrinsic": 5, "linear_age": 0.01, "above_chance_sex": 0.01,
            "above_chance_race": 0.0, "factor_r2": 0.97, "offdiagonal": 0.1, "least_variance": 0.95,
            "most_variance": 1.05, "age_moved": 4.0, "sex_flipped": 1.0, "race_flipped": 1.0,
            "hits_beyond_residualization": 1.0, "train_corr": 1e-6, "hits_null": 3}  # fmt: skip


def frame_of(change):
    rows = []
    for replication, method, metric in itertools.product(range(4), (*NETWORKS, RAW, RESIDUAL), FAITHFUL):
        value = FAITHFUL[metric]
        if metric == "hits_demographic" and method == "Autoencoder":
            value = 39
        if metric == "linear_age":
            value = {"Autoencoder": 0.99, "DemoVAE, no decorrelation": 0.5}.get(method, value)
        rows.append({"samples": 1000, "method": method, "replication": replication, "metric": metric,
                     "value": change(value) * (1 + 0.001 * replication)})  # fmt: skip
    return pd.DataFrame(rows)


def test_claims_hold_for_a_faithful_reproduction_and_fail_for_a_wrong_one():
    claims = StandIn().study().claims
    assert {claim.evaluate(frame_of(lambda v: v)).status for claim in claims} == {"held"}
    wrong = {claim.name: claim.evaluate(frame_of(lambda v: 12.0 - v)).status for claim in claims}
    assert sum(status == "failed" for status in wrong.values()) >= 10
    low = [claim.evaluate(frame_of(lambda v: -v)).status for claim in claims]
    assert low.count("failed") >= 9


def test_every_reported_number_belongs_to_the_config():
    shown = {
        name: {metric for table in configs.load(name)["paper"].study().tables for metric in table.metric}
        for name in ("demovae/standin", "demovae/fmri")
    }
    for number in load_reported(configs.REPORTED / "demovae.toml"):
        assert number.metric in shown[number.experiment]


def test_fmri_runs_on_a_users_own_cohort(tmp_path, capsys):
    s = draw_fc(jax.random.key(1), fc_population(jax.random.key(0), regions=8, factors=5), n=80)
    np.save(tmp_path / "connectivity.npy", s.x)
    demographics = pd.DataFrame({"age": s.age, "sex": np.where(s.sex == 1, "m", "f")})
    demographics.to_csv(tmp_path / "demographics.csv", index=False)
    pd.DataFrame(np.asarray(s.fields[:, :45])).to_csv(tmp_path / "fields.csv", index=False)
    command = ["demovae/fmri", "--scale", "smoke", "--path", str(tmp_path), "--scan", "emoid"]
    assert main([*command, "--results", str(tmp_path / "results")]) == 0
    (path,) = (tmp_path / "results").glob("demovae/fmri/*/records.parquet")
    frame = read_records(path)
    assert frame["value"].notna().all()
    assert set(frame["scan"]) == {"emoid"}
    hits = frame[frame["metric"] == "train_hits_05"].set_index("method")["value"]
    assert hits["Connectivity"] > 10 > hits["Linear residualization"]
    printed = capsys.readouterr().out
    assert "paper, PNC" in printed, "the paper's counts stand beside ours"
    # Too many latents for these subjects.
    assert main([*command, "--results", str(tmp_path / "results"), "--latents", "30"]) == 2
    assert "expected at least 60" in capsys.readouterr().err


def test_fmri_without_data_says_what_it_needs(tmp_path, capsys):
    assert main(["demovae/fmri", "--path", str(tmp_path / "none"), "--results", str(tmp_path)]) == 2
    assert "demographics.csv, a row a subject" in capsys.readouterr().err


@pytest.mark.slow
def test_smoke(tmp_path):
    assert main(["demovae/standin", "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load("demovae/standin")["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    assert frame["value"].notna().all()
    assert not frame["value"][frame["metric"] == "diverged"].any()
    for claim in study.claims:
        claim.evaluate(frame)
