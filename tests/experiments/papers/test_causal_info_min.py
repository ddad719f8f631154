"""The studies of causal information minimization: claims can hold and can fail, and smoke runs work."""

import numpy as np
import pandas as pd
import pytest

from causalrep.errors import DataError
from causalrep.study import load_reported, read_records, run_folder
from experiments import configs
from experiments.papers.causal_info_min.features import Features, read
from experiments.papers.causal_info_min.methods import SEVERAL, accuracy
from experiments.papers.causal_info_min.toy import Toy
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
    (SEVERAL, "rate_share"): 0.004,
    (f"{SEVERAL}, total effect", "ood_gain"): 0.04,
    (f"{SEVERAL}, total effect", "id_loss"): 0.003,
    ("ATE-D, question", "weight_low"): 0.6,
    ("ATE-D, question", "weight_high"): 1.1,
    ("ATE-D, question", "typical_margin"): 0.05,
    ("ATE-D, question", "autoencoder_excess"): 1.01,
}


def frame_of(change):
    return pd.DataFrame(
        {
            "samples": 6000,
            "method": method,
            "replication": replication,
            "metric": metric,
            "value": change(value) * (1 + 0.001 * replication),
        }
        for replication in range(4)
        for (method, metric), value in FAITHFUL.items()
    )


def test_claims_hold_for_a_faithful_reproduction_and_fail_for_a_wrong_one():
    claims = Toy().study().claims
    assert {claim.evaluate(frame_of(lambda v: v)).status for claim in claims} == {"held"}
    failed = [
        {claim.name for claim in claims if claim.evaluate(frame_of(change)).status == "failed"}
        for change in (lambda v: 3.5 - v, lambda v: -v, lambda v: v - 0.1)
    ]
    assert set.union(*failed) == {claim.name for claim in claims}


def test_every_reported_number_belongs_to_the_config():
    tables = configs.load("causal_info_min/toy")["paper"].study().tables
    shown = {metric for table in tables for metric in table.metric}
    for number in load_reported(configs.reported_file("causal_info_min")):
        assert number.experiment == "causal_info_min/toy"
        assert number.metric in shown


def embeddings(**changed):
    rng = np.random.default_rng(0)
    arrays = {
        "first": 100 + rng.normal(size=(90, 3)),
        "second": rng.normal(size=(90, 2)),
        "answers": np.array(["no", "yes", "two"])[np.arange(90) % 3],
        "split": np.repeat(["train", "id", "ood"], 30),
    }
    return arrays | changed


def test_a_users_embeddings_are_split_and_standardized(tmp_path):
    np.savez(tmp_path / "a.npz", **embeddings())
    rows = read(str(tmp_path / "a.npz"))
    np.testing.assert_allclose(rows["train"].first.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(rows["train"].first.std(0), 1.0, rtol=1e-3)
    # In alphabetical order: no, two, yes.
    np.testing.assert_array_equal(rows["id"].answers[:3], np.eye(3)[[0, 2, 1]])
    assert {len(pairs.second) for pairs in rows.values()} == {30}
    soft = np.random.default_rng(1).uniform(size=(90, 4))
    np.savez(tmp_path / "b.npz", **embeddings(answers=soft))
    pairs = read(str(tmp_path / "b.npz"))["ood"]
    np.testing.assert_allclose(accuracy(np.full(30, 2), pairs), soft[60:, 2].mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"second": np.ones((89, 2))}, "shapes"),
        ({"first": np.ones(90)}, "shapes"),
        ({"first": np.full((90, 3), np.inf)}, "first holds values"),
        ({"answers": np.full((90, 3), 3.0)}, "neither two or more labels nor scores"),
        ({"answers": np.zeros(90)}, "neither two or more labels nor scores"),
        ({"split": np.repeat(["train", "test", "ood"], 30)}, "rows by split"),
    ],
)
def test_a_users_mistakes_are_named(tmp_path, changed, message):
    np.savez(tmp_path / "a.npz", **embeddings(**changed))
    with pytest.raises(DataError, match=message):
        read(str(tmp_path / "a.npz"))


def test_an_archive_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"does not exist\. Expected: an \.npz archive"):
        read(str(tmp_path / "a.npz"))
    (tmp_path / "a.npz").write_text("first,second")
    with pytest.raises(DataError, match="not an archive"):
        read(str(tmp_path / "a.npz"))
    np.save(tmp_path / "b.npy", np.ones(3))
    with pytest.raises(DataError, match="not an archive"):
        read(str(tmp_path / "b.npy"))


def test_another_file_is_another_run(tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path, changed in zip(paths, ({}, {"first": np.ones((90, 3))})):
        np.savez(path, **embeddings(**changed))
    digests = {Features(path=str(path)).study().settings[0]["data"] for path in (*paths, "", tmp_path / "none")}
    assert len(digests) == 4


@pytest.mark.slow
def test_vqa_features_smoke(tmp_path):
    assert main(["causal_info_min/vqa_features", "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load("causal_info_min/vqa_features")["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    assert frame["value"].notna().all()
    for claim in study.claims:
        claim.evaluate(frame)


@pytest.mark.slow
def test_smoke(tmp_path):
    assert main(["causal_info_min/toy", "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load("causal_info_min/toy")["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    assert frame["value"].notna().all()
    for claim in study.claims:
        claim.evaluate(frame)
