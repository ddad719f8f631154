"""The ILD experiments: reported numbers have cells, claims can hold and can fail, and a small run works."""

import dataclasses
import itertools

import pandas as pd
import pytest

from causalrep.study import load_reported, run, select
from experiments import configs
from experiments.papers.ild.simulated import ANNEALED, IDENTITY, ORACLE_NLL, Simulated
from experiments.papers.ild.theory import Theory
from experiments.run import main

TABLES = ("main", "by_domains", "by_intervention", "by_sparsity", "by_k", "by_latents")
REPORTED = configs.reported_file("ild")


def frame_of(config, value):
    """Records of a study with ``value(method, metric, setting)`` in every cell."""
    methods = [*config.methods, "Oracle", "Identity map"]
    rows = [
        {**setting, "method": method, "replication": 0, "metric": metric, "value": value(method, metric, setting)}
        for setting, method, metric in itertools.product(
            config.study().settings, methods, ("cf_error", "validation_nll", "test_nll")
        )
    ]
    return pd.DataFrame(rows)


def faithful(method, metric, setting):
    """The value of a faithful reproduction, with a little spread over model seeds."""
    seed, wobble = setting["seed"], 1 + setting["seed"] / 100
    if metric == "cf_error":
        return {
            "Identity map": IDENTITY[seed],
            "Dense": 8.7 * wobble,
            "Relax-Can": 2.7 * wobble,
            ANNEALED: 0.1 * wobble,
        }.get(method, 0.0)
    return {
        "Oracle": ORACLE_NLL[seed],
        "Dense": ORACLE_NLL[seed] + 1.0 * wobble,
        "Relax-Can": ORACLE_NLL[seed] + 1.3,
        ANNEALED: ORACLE_NLL[seed] + 0.05,
    }.get(method, 0.0)


def verdicts(config, frame):
    return {claim.name: claim.evaluate(frame).status for claim in config.study().claims}


@pytest.fixture
def config():
    return Simulated(methods=("Dense", "Relax-Can", ANNEALED))


def test_a_faithful_reproduction_holds_every_claim(config):
    assert set(verdicts(config, frame_of(config, faithful)).values()) == {"held"}
    assert len(config.study().claims) == 28


def test_wrong_records_fail_claims(config):
    worse = {"Dense": 2.0, "Relax-Can": 9.0, ANNEALED: 20.0}

    def swapped(method, metric, setting):
        value = faithful(method, metric, setting)
        if metric == "cf_error":
            return worse.get(method, value + 0.002)
        return value + {"Oracle": 0.002, "Dense": 5.0, ANNEALED: 5.0}.get(method, 0.0)

    statuses = verdicts(config, frame_of(config, swapped))
    assert set(statuses.values()) == {"failed"}, [name for name, status in statuses.items() if status != "failed"]


def test_positions_and_sparsity_are_judged_too():
    position = configs.load("ild/by_intervention")["paper"]
    (claim,) = [c for c in position.study().claims if "wherever" in c.name]
    frame = frame_of(position, faithful)
    assert claim.evaluate(frame).status == "held"
    high = (frame["intervened"] == "2,3") & (frame["method"] == "Relax-Can")
    assert claim.evaluate(frame.assign(value=frame["value"] + 3.0 * high)).status == "failed"
    by_k = configs.load("ild/by_k")["paper"]
    rising = frame_of(by_k, lambda method, metric, setting: setting["k"] + setting["seed"] / 50)
    of_k = [claim for claim in by_k.study().claims if "[k=4]" in claim.name]
    assert len(of_k) == 3
    assert {claim.evaluate(rising).status for claim in of_k} == {"held"}
    assert {claim.evaluate(rising.assign(value=-rising["value"])).status for claim in of_k} == {"failed"}


@pytest.mark.parametrize("table", TABLES)
def test_every_reported_number_has_its_cell(table):
    paper = configs.load(f"ild/{table}")["paper"]
    frame = frame_of(paper, lambda method, metric, setting: 1.0)
    numbers = [number for number in load_reported(REPORTED) if number.experiment == f"ild/{table}"]
    assert numbers
    for number in numbers:
        assert not select(frame, number.where, metric=number.metric).empty, number
    shown = "\n".join(table.markdown(frame, numbers) for table in paper.study().tables)
    assert "notebook" in shown or "official results" in shown


def test_no_number_is_left_over():
    assert {number.experiment.removeprefix("ild/") for number in load_reported(REPORTED)} == set(TABLES)


def test_a_small_run(tmp_path):
    config = dataclasses.replace(
        configs.load("ild/main")["smoke"], seeds=1, samples=1000, methods=("Relax-Can",), steps=100
    )
    records = run(config.study(), results=tmp_path, scale="smoke")
    frame = records.frame
    assert set(frame["method"]) == {"Relax-Can", "Oracle", "Identity map"}
    oracle = select(frame, {}, metric="cf_error", method="Oracle")["value"].item()
    assert oracle < 1e-8


def test_theory_holds_on_random_models(tmp_path):
    assert main(["ild/theory", "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = Theory(models=3, sizes=(3,)).study()
    wrong = pd.DataFrame(
        [
            {"latents": 3, "method": "random affine ILD", "replication": r, "metric": metric, "value": value}
            for r in range(3)
            for metric, value in (
                ("round_trip", 0.1),
                ("log_density", 0.1),
                ("counterfactual", 0.1),
                ("density_kept", 0.1),
                ("identities", 0.1),
                ("set_last", 0.5),
            )
        ]
    )
    assert {claim.evaluate(wrong).status for claim in study.claims} == {"failed"}
