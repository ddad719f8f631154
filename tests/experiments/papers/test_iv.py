"""The IV experiments reproduce every reported number, and their claims fail on wrong records."""

import jax
import numpy as np
import pandas as pd
import pytest

from causalrep.data import linear_iv
from causalrep.iv import LIML, TwoStageLeastSquares, anderson_rubin_set, clr_set
from causalrep.study import load_reported, read_records, run, run_folder, select
from causalrep.study.verdicts.printed import half_unit, tolerance
from experiments import configs, report
from experiments.papers.iv.printed import FLOORS, REPORTED, numbers_of
from experiments.papers.iv.returns import Card, Textbook
from experiments.papers.iv.weak import EQUAL, UNEQUAL, WeakInstruments, replicate
from experiments.run import main

NAMES = ("iv/card", "iv/mroz", "iv/weak_instruments")
# The ten specifications of iv/mroz take long to compile: fast tests run one of its data sets, make reproduce runs all.
TEXTBOOK = ["iv/card", pytest.param("iv/mroz", marks=pytest.mark.slow)]
ALL = [*TEXTBOOK, "iv/weak_instruments"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of all runs; :func:`finished` runs a config when a test first asks for it."""
    return tmp_path_factory.mktemp("results")


def finished(results, name):
    """The study, folder and records of a config, run at smoke scale by the command line."""
    study = configs.study_of(configs.load(name)["smoke"])
    folder = run_folder(study, results, "smoke")
    if not (folder / "records.parquet").exists():
        assert main([name, "--scale", "smoke", "--results", str(results)]) == 0
    return study, folder, read_records(folder / "records.parquet")


@pytest.mark.parametrize("name", TEXTBOOK)
def test_every_claim_on_textbook_data_holds(results, name):
    study, folder, frame = finished(results, name)
    assert {claim.name: claim.evaluate(frame).status for claim in study.claims} == dict.fromkeys(
        (claim.name for claim in study.claims), "held"
    )
    assert (folder / "intervals.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", TEXTBOOK)
def test_every_claim_on_textbook_data_can_fail(results, name):
    study, _, frame = finished(results, name)
    wrong = frame.assign(value=-frame["value"] - 1)
    for claim in study.claims:
        assert claim.evaluate(wrong).status == "failed", claim.name


@pytest.mark.parametrize("name", TEXTBOOK)
def test_a_number_off_in_its_last_digit_fails_its_claim(results, name):
    study, _, frame = finished(results, name)
    for number in numbers_of(name):
        (row,) = select(frame, number.where, metric=number.metric).index
        wrong = frame.copy()
        wrong.loc[row, "value"] = number.value + 1.01 * tolerance(number, FLOORS)
        failed = [claim.evaluate(wrong) for claim in study.claims]
        assert any(number.source in c.name and c.status == "failed" for c in failed), number


def test_a_missing_or_undefined_row_fails_its_claim(results):
    study, _, frame = finished(results, "iv/card")
    claim = next(claim for claim in study.claims if claim.name.startswith("kappa: every"))
    kappas = (frame["method"] == "LIML") & (frame["metric"] == "kappa")
    assert claim.evaluate(frame[~kappas]).status == "failed"
    assert claim.evaluate(frame.assign(value=frame["value"].mask(kappas))).status == "failed"


@pytest.mark.parametrize("name", ALL)
def test_no_reported_number_is_an_orphan(results, name):
    study, _, frame = finished(results, name)
    numbers = numbers_of(name)
    assert numbers
    shown = "\n".join(table.markdown(frame, numbers) for table in study.tables)
    for number in numbers:
        rows = select(frame, number.where, metric=number.metric)
        assert len(rows) == study.replications, number
        assert f"{number.value:.12g}" in shown, number
    assert set(NAMES) <= {number.experiment for number in load_reported(REPORTED)} <= set(configs.names())


def test_irrelevant_instruments_have_unbounded_sets():
    study = Textbook(datasets=("bwght",)).study()
    frame = run(study, progress=False).frame
    assert study.claims
    assert {claim.evaluate(frame).status for claim in study.claims} == {"held"}
    assert {claim.evaluate(frame.assign(value=-frame["value"] - 1)).status for claim in study.claims} == {"failed"}


def test_the_report_collects_what_was_run(results, capsys):
    finished(results, "iv/card")
    finished(results, "iv/weak_instruments")
    assert report.main(["iv", "--results", str(results)]) == 0
    text = capsys.readouterr().out
    missing = next((line for line in text.splitlines() if line.startswith("Not run yet")), "")
    for name in ("iv/card", "iv/weak_instruments"):
        assert f"## {name}" in text
        assert name not in missing
    assert "iv/zoo" in missing
    assert "| OLS       | none          | ours             | 0.0746933" in text
    assert "0.0746933 (=)" in text


def test_fewer_fields_make_fewer_claims(results):
    study = Textbook(datasets=("wage2",)).study()
    assert len(study.settings) == 2
    assert not any("bwght" in claim.name or "mroz" in claim.name for claim in study.claims)
    _, _, frame = finished(results, "iv/card")
    fewer = frame[~frame["method"].isin(["Anchor(2)", "Anchor(5)", "Anchor(10)", "Fuller(4)"])]
    own = Card(fullers=(1.0,), gammas=(1.0, 100.0)).study().claims
    assert {claim.evaluate(fewer).status for claim in own} == {"held"}
    assert "failed" in {claim.evaluate(fewer).status for claim in Card().study().claims}


def test_half_a_unit_of_the_last_digit():
    assert [half_unit(v) for v in (0.132, 13.2558, 46.0)] == pytest.approx([5e-4, 5e-5, 0.5])


# ---------------------------------------------------------------- the Monte Carlo with weak instruments


@pytest.mark.parametrize("errors", [EQUAL, UNEQUAL])
def test_one_data_set_as_an_analyst_would(x64, errors):
    key, config = jax.random.key(3), WeakInstruments()
    metrics = jax.jit(lambda key: replicate(key, {"errors": errors, "strength": 0.1}, config=config))(key)
    y, x, z = (
        np.asarray(a)
        for a in linear_iv(key, n=500, instruments=5, strength=0.1, endogeneity=0.9, heteroskedastic=errors == UNEQUAL)
    )
    for name, estimator in (("2SLS", TwoStageLeastSquares), ("LIML", LIML)):
        fitted = estimator(fit_intercept=False, debiased=True).fit(y, x, Z=z)
        assert metrics[f"Wald {name}"]["estimate"] == pytest.approx(fitted.coef_[0], rel=1e-9)
        assert bool(metrics[f"Wald {name}"]["reject"]) == (abs(fitted.coef_[0] - 1) > 1.959964 * fitted.stderr_[0])
    assert metrics["First stage"]["F"] == pytest.approx(fitted.first_stage()["F"].iloc[0], rel=1e-9)
    assert bool(metrics["AR"]["reject"]) == (1.0 not in anderson_rubin_set(y, x, Z=z, fit_intercept=False))
    assert bool(metrics["CLR"]["reject"]) == (1.0 not in clr_set(y, x, Z=z, fit_intercept=False))
    if errors == UNEQUAL:
        accepted = anderson_rubin_set(y, x, Z=z, covariance="HC1", fit_intercept=False)
        assert bool(metrics["AR (HC1)"]["reject"]) == (1.0 not in accepted)


RIGHT = {"AR": 0.05, "LM": 0.05, "CLR": 0.05, "AR (HC1)": 0.05, "LM (HC1)": 0.05, "CLR (HC1)": 0.05, "LR": 0.2}
WALD = {0.03: 0.682, 0.1: 0.177, 0.3: 0.062}


def records(rates, wald, medians, replications=600):
    """Records with given rejection rates and medians."""
    rows = []
    for errors in (EQUAL, UNEQUAL):
        for strength in WALD:
            here = rates | {"Wald 2SLS": wald[strength]}
            if errors == UNEQUAL:
                here["AR"] = rates.get("AR, heteroskedastic", 0.17)
            for r in range(replications):
                noise = (r - replications / 2) / replications / 10
                cell = {"errors": errors, "strength": strength, "replication": r}
                rows += [
                    {**cell, "method": m, "metric": "reject", "value": float(r < rate * replications)}
                    for m, rate in here.items()
                ]
                rows += [
                    {**cell, "method": f"Wald {m}", "metric": "estimate", "value": median + noise}
                    for m, median in medians.items()
                ]
    return pd.DataFrame(rows)


def test_claims_of_the_monte_carlo_hold_on_the_card_s_numbers_and_fail_on_others():
    claims = WeakInstruments(strengths=(0.03, 0.1, 0.3)).study().claims
    good = records(RIGHT, WALD, {"2SLS": 1.123, "LIML": 0.991})
    assert [claim.name for claim in claims if claim.evaluate(good).status != "held"] == []
    # Valid tests reject too often, invalid ones too seldom, and the rate of Wald's test rises with the strength.
    rates = dict.fromkeys(RIGHT, 0.15) | {"LR": 0.05, "AR, heteroskedastic": 0.04}
    bad = records(rates, {0.03: 0.1, 0.1: 0.3, 0.3: 0.5}, {"2SLS": 1.0, "LIML": 0.9})
    assert [claim.name for claim in claims if claim.evaluate(bad).status != "failed"] == []


def test_few_replications_decide_nothing_near_the_level(results):
    study, _, frame = finished(results, "iv/weak_instruments")
    near = [claim for claim in study.claims if "every strength" in claim.name]
    assert near
    assert {claim.evaluate(frame).status for claim in near} == {"undecided"}
