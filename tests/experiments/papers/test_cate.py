"""The effect experiments: deterministic rows are exact, claims can fail, and reported numbers have cells."""

import numpy as np
import pandas as pd
import pytest

from causalrep.data import load
from causalrep.errors import DataError, InputError
from causalrep.study import load_reported, read_records, run, run_folder, select
from experiments import configs
from experiments.papers.cate.coverage import att, draw
from experiments.papers.cate.ihdp import ANCHORS, Ihdp
from experiments.papers.cate.jobs import Jobs
from experiments.papers.cate.methods import METHODS
from experiments.papers.cate.neural import NETWORKS, IhdpNeural
from experiments.papers.cate.whole import WholeData
from experiments.run import main

NAMES = {
    "ihdp100": ("ihdp",),
    "ihdp1000": ("ihdp",),
    "ihdp_neural": ("ihdp",),
    "ihdp_cevae": ("ihdp",),
    "jobs": ("jobs",),
    "acic2016": ("acic2016",),
    "twins": ("twins",),
    "coverage": (),
    "intervals": (),
}


@pytest.fixture
def needs(request):
    for dataset in NAMES[request.param]:
        try:
            load(dataset)
        except DataError as error:
            pytest.skip(f"the files of {dataset} are not at hand: {error}")
    return f"cate/{request.param}"


# These compile many networks, which takes a quarter of a minute or more.
SLOW = ("ihdp_cevae", "ihdp_neural")
SMOKE = [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in NAMES if n != "ihdp1000"]


@pytest.mark.parametrize("needs", SMOKE, indirect=True)
def test_smoke(needs, tmp_path, capsys):
    assert main([needs, "--scale", "smoke", "--results", str(tmp_path)]) == 0
    study = configs.study_of(configs.load(needs)["smoke"])
    frame = read_records(run_folder(study, tmp_path, "smoke") / "records.parquet")
    assert np.isfinite(frame["value"][frame["metric"] != "median_width"]).all()
    for claim in study.claims:
        assert claim.evaluate(frame).status != "failed", claim.name
        # A claim that cannot fail is a defect, so wrong records must not satisfy it.
        deterministic = getattr(claim, "unit", None) == ()
        if deterministic and hasattr(claim, "low"):
            assert claim.evaluate(frame.assign(value=frame["value"] * 1.01 + 1)).status == "failed", claim.name


def test_least_squares_on_ihdp_100_is_the_published_row():
    study = Ihdp(simulations=100, methods=("OLS-1", "OLS-2", "Difference in means")).study()
    frame = run(study, progress=False).frame
    for method, anchors in ANCHORS[100].items():
        for metric, value in anchors.items():
            mean = select(frame, method=method, metric=metric)["value"].mean()
            assert mean == pytest.approx(value, abs=5e-4), (method, metric)
    verdicts = {claim.name: claim.evaluate(frame).status for claim in study.claims}
    assert set(verdicts.values()) == {"held"}, verdicts
    worse = frame.assign(value=frame["value"] * np.where(frame["method"] == "OLS-2", 9.0, 1.0))
    assert any(claim.evaluate(worse).status == "failed" for claim in study.claims)


def test_jobs_anchors_are_exact():
    try:
        load("jobs")
    except DataError as error:
        pytest.skip(f"the files of jobs are not at hand: {error}")
    study = Jobs(methods=("Zero effect", "OLS-1")).study()
    frame = run(study, progress=False).frame
    verdicts = {claim.name: claim.evaluate(frame).status for claim in study.claims}
    assert len(verdicts) == 8
    assert set(verdicts.values()) == {"held"}, verdicts


def test_the_claims_about_networks_can_fail():
    study = IhdpNeural().study()
    means = {"OLS-1": 5.73, "OLS-2": 2.41, "Difference in means": 5.7} | dict.fromkeys(NETWORKS, 0.85)
    rows = [
        {"simulation": n, "replication": 0, "method": method, "metric": metric, "value": value * (0.9 + n / 500)}
        for n in range(1, 101)
        for method, mean in means.items()
        for metric, value in {"pehe_out": mean, "ate_error_all": 0.12}.items()
    ]
    frame = pd.DataFrame(rows)
    assert {claim.evaluate(frame).status for claim in study.claims} == {"held"}
    few = frame[frame["simulation"] <= 10]
    assert {claim.evaluate(few).status for claim in study.claims} == {"undecided"}
    worse = frame.assign(value=frame["value"] * np.where(frame["method"].isin(NETWORKS), 3.0, 1.0))
    worse.loc[worse["method"].str.startswith("CFR"), "value"] *= 2
    assert {claim.evaluate(worse).status for claim in study.claims} == {"failed"}
    with pytest.raises(InputError, match=r"^methods: found \['GANITE'\]"):
        IhdpNeural(methods=("GANITE",))


def test_every_reported_number_belongs_to_a_cell():
    for number in load_reported(configs.reported_file("cate")):
        config = configs.load(number.experiment)["paper"]
        assert number.where["method"] in config.methods
        table = config.study().tables[0]
        assert number.metric in table.metric


def test_every_method_is_fitted_to_rows_with_weight_alone(x64):
    import jax
    import jax.numpy as jnp

    from causalrep.effects.meta import EffectRows
    from causalrep.inference import stratified_folds

    x, t, y, _ = draw(jax.random.key(0), 80)
    w = (jnp.arange(80) < 60).astype(float)
    rows = EffectRows(x, x, t, (y > 0).astype(float), w, stratified_folds(jax.random.key(1), t, 5))
    other = rows._replace(y=jnp.where(w > 0, rows.y, 1 - rows.y))
    names = ("Difference in means", "AIPW", "OLS-2", "Ridge DR", "5-NN T", "Kernel X")
    fit_all = jax.jit(lambda rows: jnp.stack([METHODS[name](rows) for name in names]))
    effects, again = fit_all(rows), fit_all(other)
    np.testing.assert_allclose(effects, again, atol=1e-9)


def test_the_effect_on_the_treated_of_the_coverage_study(x64):
    import jax

    _, t, _, tau = draw(jax.random.key(0), 400_000)
    assert float((t * tau).sum() / t.sum()) == pytest.approx(att(), abs=0.006)


def test_configs_check_their_fields():
    with pytest.raises(InputError, match=r"^methods: found \['OLS-3'\]"):
        Ihdp(methods=("OLS-3",))
    with pytest.raises(InputError, match=r"^methods: "):
        Jobs(methods=("OLS-3",))
    with pytest.raises(InputError, match=r"^files: found 11; expected 1 to 10 for acic2016"):
        WholeData("acic2016", files=11)
    with pytest.raises(InputError, match=r"^files: found 10; expected 1 to 1 for twins"):
        WholeData("twins")
