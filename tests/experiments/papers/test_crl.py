"""Causal representation learning: claims can hold and can fail, and reported numbers have cells."""

import itertools

import pandas as pd
import pytest

from causalrep.study import load_reported, read_records, run_folder, select
from experiments import configs
from experiments.papers.crl import components, contrastive, linear, scores, segments, series, supports
from experiments.run import main

REPORTED = configs.reported_file("crl")
METHODS = {
    "cauca": (
        components.CAUCA,
        components.WRONG_GRAPH,
        components.WRONG_TARGETS,
        components.LINEAR,
        components.SHUFFLED,
    ),
    "linear_disentanglement": (linear.EXACT, linear.SAMPLED, linear.SHUFFLED),
    "lscale": (linear.POPULATION, linear.ORACLE, linear.GAUSSIAN, linear.SHUFFLED_SCORES),
    "contrastive": (contrastive.CONTRASTIVE, contrastive.SHUFFLED),
    "polynomial": (supports.POLYNOMIAL, supports.CODES, supports.SHUFFLED),
    "nonlinear_ica": (
        segments.TCL,
        segments.SHUFFLED,
        segments.BETA_VAE,
        segments.IVAE,
        segments.IFLOW,
        segments.SHUFFLED_IFLOW,
    ),
    "temporal_flow": (series.FLOW, series.SHUFFLED),
}
METRICS = (
    "mcc",
    "above_chance",
    "above_beta_vae",
    "h_error",
    "order_exact",
    "shd",
    "mcc_hard",
    "shd_hard",
    "shd_soft",
    "loss_of_mcc",
    "own_correlation",
    "weak_mcc",
    "mcc_latents",
    "latents_above_chance",
    "latents_above_beta_vae",
)


def frame_of(study, methods, value):
    """Records with ``value(setting, method, metric)`` in every cell."""
    cells = itertools.product(study.settings, methods, METRICS, range(study.replications))
    return pd.DataFrame(
        [{**s, "method": m, "metric": k, "replication": r, "value": value(s, m, k)} for s, m, k, r in cells]
    )


def faithful(setting, method, metric):
    """The value of a working method."""
    if metric == "h_error":
        return 0.0 if method == linear.EXACT else 0.2 * (2500 / setting.get("n", 2500)) ** 0.6
    if metric in ("mcc", "mcc_latents", "own_correlation", "weak_mcc"):
        mcc = {
            linear.GAUSSIAN: 0.9,
            contrastive.CONTRASTIVE: 0.97,
            segments.TCL: 0.9,
            supports.POLYNOMIAL: 1.0,
            supports.CODES: 1.0,
            series.FLOW: 1.0,
            components.CAUCA: 0.95,
            components.WRONG_GRAPH: 0.9,
            components.LINEAR: 0.6,
        }
        return mcc.get(method, 0.7) + 1e-6 * setting.get("n", 0) - 0.01 * setting.get("layers", 0)
    above_chance = 0.0 if "shuffled" in method or method == series.SHUFFLED else 0.2
    known = {
        "above_chance": above_chance,
        "latents_above_chance": above_chance,
        "above_beta_vae": 0.2,
        "latents_above_beta_vae": 0.2,
        "loss_of_mcc": 0.2,
        "order_exact": 1.0,
        "mcc_hard": 1.0,
    }
    return known.get(metric, 0.0)


def useless(setting, method, metric):
    """The value of a broken method."""
    if metric in (
        "mcc",
        "mcc_latents",
        "mcc_hard",
        "order_exact",
        "weak_mcc",
        "above_beta_vae",
        "latents_above_beta_vae",
        "loss_of_mcc",
    ):
        best = components.CAUCA in method and method != components.CAUCA
        return (0.02 if best else 0.01) - 1e-7 * setting.get("n", 0) + 1e-3 * setting.get("layers", 0)
    if metric == "own_correlation":
        return 0.1 + (method == components.WRONG_TARGETS)
    return -3.0 if metric == "above_chance" and method == components.CAUCA else 3.0


@pytest.mark.parametrize("name", METHODS)
def test_claims_can_hold_and_can_fail(name):
    study = configs.study_of(configs.load(f"crl/{name}")["paper"])
    assert study.claims
    for records, verdict in ((faithful, "held"), (useless, "failed")):
        frame = frame_of(study, METHODS[name], records)
        statuses = {claim.name: claim.evaluate(frame).status for claim in study.claims}
        assert set(statuses.values()) == {verdict}, statuses


def test_every_reported_number_has_its_cell():
    numbers = load_reported(REPORTED)
    assert {number.experiment for number in numbers} == {"crl/cauca", "crl/linear_disentanglement", "crl/lscale"}
    for name in ("cauca", "linear_disentanglement", "lscale"):
        study = configs.study_of(configs.load(f"crl/{name}")["paper"])
        frame = frame_of(study, METHODS[name], lambda *cell: 1.0)
        for number in (n for n in numbers if n.experiment == study.name):
            assert not select(frame, number.where, metric=number.metric).empty, number


@pytest.mark.parametrize(
    "name",
    [
        "linear_disentanglement",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("cauca", "lscale", "contrastive", "polynomial", "nonlinear_ica", "temporal_flow")
        ),
    ],
)
def test_small_runs(name, tmp_path):
    assert main([f"crl/{name}", "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load(f"crl/{name}")["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    rows = frame[frame["metric"] == "mcc"]
    assert rows["value"].between(0, 1 + 1e-9).all()
    assert {scores.CHANCE, "PCA", "Linear ICA", "Supervised linear", *METHODS[name]} <= set(rows["method"])
