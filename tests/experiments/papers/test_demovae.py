"""The DemoVAE studies: claims can hold and can fail, and smoke runs work."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from causalrep.confounders import DemoVAEModel
from causalrep.confounders.removal.demovae.model import Networks
from causalrep.data import draw_fc, fc_population
from causalrep.study import load_reported, read_records, run_folder
from causalrep.training.trained import Trained
from experiments import configs
from experiments.papers.demovae.fmri import Cohort, Rows, group_error, read
from experiments.papers.demovae.standin import NETWORKS, RAW, RESIDUAL, StandIn
from experiments.run import main

FAITHFUL = {
    "hits_demographic": 4,
    "hits_intrinsic": 5,
    "linear_age": 0.01,
    "above_chance_sex": 0.01,
    "above_chance_race": 0.0,
    "factor_r2": 0.97,
    "offdiagonal": 0.1,
    "least_variance": 0.95,
    "most_variance": 1.05,
    "age_moved": 4.0,
    "sex_flipped": 1.0,
    "race_flipped": 1.0,
    "hits_beyond_residualization": 1.0,
    "train_corr": 1e-6,
    "hits_null": 3,
}


def frame_of(change):
    rows = []
    for replication, method, metric in itertools.product(range(4), (*NETWORKS, RAW, RESIDUAL), FAITHFUL):
        value = FAITHFUL[metric]
        if metric == "hits_demographic" and method == "Autoencoder":
            value = 39
        if metric == "linear_age":
            value = {"Autoencoder": 0.99, "DemoVAE, no decorrelation": 0.5}.get(method, value)
        rows.append(
            {
                "samples": 1000,
                "method": method,
                "replication": replication,
                "metric": metric,
                "value": change(value) * (1 + 0.001 * replication),
            }
        )
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
    for number in load_reported(configs.reported_file("demovae")):
        assert number.metric in shown[number.experiment]


@pytest.fixture
def cohort(tmp_path):
    """A folder as a user would prepare it, with 80 subjects, 28 edges and 45 phenotypes."""
    s = draw_fc(jax.random.key(1), fc_population(jax.random.key(0), regions=8, factors=5), n=80)
    np.save(tmp_path / "connectivity.npy", s.x)
    demographics = pd.DataFrame({"age": s.age, "sex": np.where(s.sex == 1, "m", "f")})
    demographics.to_csv(tmp_path / "demographics.csv", index=False)
    pd.DataFrame(np.asarray(s.fields[:, :45])).to_csv(tmp_path / "fields.csv", index=False)
    return tmp_path


def test_a_users_cohort_in_numbers_and_its_digest(cohort):
    rows, layout = read(str(cohort))
    assert layout == (1, 2)
    assert [part.shape for part in rows] == [(80, 28), (80, 3), (80, 45)]
    settings = [Cohort(path=str(path)).study().settings[0] for path in (cohort, cohort / "none")]
    np.save(cohort / "connectivity.npy", rows.x + 1)
    settings.append(Cohort(path=str(cohort)).study().settings[0])
    assert len({setting["data"] for setting in settings}) == 3, "other data are another run"


def test_the_share_of_a_group_difference_that_is_missed():
    rows = Rows(jnp.array([[0.0], [0.0], [3.0], [3.0]]), jnp.array([[1.0, 0.0], [1, 0], [0, 1], [0, 1]]), None)
    model = DemoVAEModel((2,), latents=1, hidden=(4,))
    params = Networks(model, 1).init(jax.random.key(0), rows.x, rows.d)
    # Networks of zeros give both groups the same connectivity, so the whole difference is missed.
    fitted = Trained(jax.tree.map(jnp.zeros_like, params), (), *[None] * 4)
    np.testing.assert_allclose(group_error(jax.random.key(0), model, fitted, rows, 0), 1.0, rtol=1e-6)


@pytest.mark.slow
def test_fmri_runs_on_a_users_own_cohort(cohort, capsys):
    command = ["demovae/fmri", "--scale", "smoke", "--path", str(cohort), "--scan", "emoid"]
    assert main([*command, "--results", str(cohort / "results")]) == 0
    (path,) = (cohort / "results").glob("demovae/fmri/*/records.parquet")
    frame = read_records(path)
    assert frame["value"].notna().all()
    assert set(frame["scan"]) == {"emoid"}
    hits = frame[frame["metric"] == "train_hits_05"].set_index("method")["value"]
    assert hits["Connectivity"] > 10 > hits["Linear residualization"]
    printed = capsys.readouterr().out
    assert "paper, PNC" in printed, "the paper's counts stand beside ours"
    # There are too few subjects for this many latents.
    assert main([*command, "--results", str(cohort / "results"), "--latents", "30"]) == 2
    assert "expected at least 60" in capsys.readouterr().err


def test_fmri_without_data_says_what_it_needs(tmp_path, capsys):
    assert main(["demovae/fmri", "--path", str(tmp_path / "none"), "--results", str(tmp_path)]) == 2
    assert "demographics.csv, a table with a header, one row per subject" in capsys.readouterr().err


@pytest.mark.slow
def test_smoke(tmp_path):
    assert main(["demovae/standin", "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load("demovae/standin")["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    assert frame["value"].notna().all()
    assert not frame["value"][frame["metric"] == "diverged"].any()
    for claim in study.claims:
        claim.evaluate(frame)
