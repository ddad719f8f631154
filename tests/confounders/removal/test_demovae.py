"""DemoVAE: its terms against NumPy, its guides against scikit-learn, and what a small fit keeps and removes."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from causalrep.confounders import Demographics, DemoVAE, DemoVAEModel, LinearResidualizer, demovae_objective, leakage
from causalrep.confounders.removal.demovae.model import Networks
from causalrep.confounders.removal.demovae.objective import association, hsic
from causalrep.confounders.removal.guides import linear_guides
from causalrep.data import draw_fc, fc_population
from causalrep.errors import InputError, NotFittedError
from causalrep.metrics import association_scan
from causalrep.training.rows import Schedule

LAYOUT = (1, 2)


def coded(rng, n):
    level = rng.integers(0, 2, n)
    return np.column_stack([rng.normal(size=n), 1 - level, level])


def rmse(a):
    return np.sqrt(np.mean(np.square(a)))


def test_the_loss_is_its_definition():
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(30, 6)), coded(rng, 30)
    model = DemoVAEModel(LAYOUT, latents=4, hidden=(8,), prior_variance=0.1, guide=0.0)
    objective, batch = demovae_objective(model, 6), {"x": jnp.asarray(x), "d": jnp.asarray(d)}
    params = jax.jit(objective.init)(jax.random.key(0), batch)
    loss, terms = jax.jit(objective.loss)(params, jax.random.key(1), batch)
    apply = jax.jit(Networks(model, 6).apply, static_argnames="method")
    z = np.asarray(apply(params["net"], x, d, method="encode"), float)
    rebuilt = np.asarray(apply(params["net"], z, d, method="decode"))
    by_hand = 0.0
    for j in range(3):
        p = (d[:, j] - d[:, j].mean()) @ z / (d[:, j].std(ddof=1) * (z**2).sum(0))
        by_hand += rmse(p)
    expected = {
        "reconstruction": rmse(x - rebuilt),
        "covariance": rmse(z.T @ z - 3.0 * np.eye(4)),
        "mean": rmse(z.mean(0)),
        "demographics": by_hand,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
    total = 100 * expected["reconstruction"] + expected["covariance"] + expected["mean"] + 10 * by_hand
    np.testing.assert_allclose(loss, total, rtol=1e-4)


def test_a_constant_level_has_no_association():
    z, d = np.ones((5, 2)), np.column_stack([np.ones(5), np.zeros(5)])
    assert np.isfinite(jax.jit(association)(z, d)).all()


def test_guides_are_scikit_learns_with_more_columns_than_rows(x64):
    rng = np.random.default_rng(0)
    x, d = 0.3 * rng.normal(size=(40, 60)), coded(rng, 40)
    guides = jax.jit(linear_guides, static_argnums=2)
    result = jax.device_get(guides(x, d, LAYOUT, ridge=2.0, c=0.5))
    ridge = Ridge(alpha=2.0).fit(x, d[:, 0])
    np.testing.assert_allclose(result.slopes[:, 0], ridge.coef_, atol=1e-8)
    np.testing.assert_allclose(result.intercepts[0], ridge.intercept_, atol=1e-8)
    logistic = LogisticRegression(C=0.5, tol=1e-10, max_iter=2000).fit(x, d[:, 2])
    scores = x @ np.asarray(result.slopes[:, 2]) + float(result.intercepts[2])
    np.testing.assert_allclose(scores, logistic.decision_function(x), atol=1e-4)
    separable = jax.device_get(guides(x, d, LAYOUT, c=100.0))
    assert np.mean((x @ separable.slopes[:, 2] + separable.intercepts[2] > 0) == (d[:, 2] == 1)) == 1.0


def test_low_rank_decoder_gives_the_upper_triangle_of_a_low_rank_matrix():
    model = DemoVAEModel(LAYOUT, latents=3, hidden=(5,), rank=1)
    networks = Networks(model, 6)
    z, d = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    params = jax.jit(networks.init)(jax.random.key(0), np.ones((2, 6), np.float32), d)
    fc = np.zeros((4, 4))
    decode = jax.jit(lambda params, z, d: networks.apply(params, z, d, method="decode")[0])
    fc[np.triu_indices(4, 1)] = decode(params, z, d)
    # Off the diagonal a matrix of rank one satisfies m01 m23 = m02 m13 = m03 m12.
    np.testing.assert_allclose(fc[0, 1] * fc[2, 3], fc[0, 2] * fc[1, 3], rtol=1e-3, atol=1e-8)
    np.testing.assert_allclose(fc[0, 3] * fc[1, 2], fc[0, 2] * fc[1, 3], rtol=1e-3, atol=1e-8)


def test_hsic_sees_what_correlation_does_not():
    rng = np.random.default_rng(0)
    d = rng.normal(size=(300, 1))
    curved, unrelated = d**2, rng.normal(size=(300, 1))
    assert abs(np.corrcoef(curved[:, 0], d[:, 0])[0, 1]) < 0.25
    dependence = jax.jit(hsic)
    assert float(dependence(curved, d)) > 5 * float(dependence(unrelated, d))


def test_association_scan_is_scipys_with_bonferroni(x64):
    rng = np.random.default_rng(0)
    features, fields = rng.normal(size=(50, 4)), rng.normal(size=(50, 3))
    fields[:, 0] += 0.5 * features[:, 2]
    result = jax.device_get(jax.jit(association_scan)(features, fields))
    for j in range(3):
        each = [stats.pearsonr(features[:, k], fields[:, j]) for k in range(4)]
        np.testing.assert_allclose(result.p_value[j], min(1.0, 4 * min(e.pvalue for e in each)), rtol=1e-9)
        np.testing.assert_allclose(result.correlation[j], max(abs(e.statistic) for e in each), rtol=1e-9)


def test_leakage_tells_linear_from_nonlinear():
    rng = np.random.default_rng(0)
    d = coded(rng, 400)
    curved = d[:, :1] ** 2 + 0.05 * rng.normal(size=(400, 1))
    sign = (2 * d[:, 2:] - 1) + 0.3 * rng.normal(size=(400, 1))
    noise = rng.normal(size=(400, 2))
    measured = jax.jit(leakage, static_argnums=3)
    hidden = jax.device_get(measured(jax.random.key(0), np.hstack([curved, noise]), d, LAYOUT))
    shown = jax.device_get(measured(jax.random.key(0), np.hstack([d[:, :1], sign]), d, LAYOUT))
    # The square of a symmetric variable tells nothing of its sign, and its absolute value no line finds.
    assert hidden.linear[0] < 0.1
    assert shown.linear[0] > 0.99
    assert shown.linear[1] > 0.97
    assert shown.nonlinear[1] > 0.97
    assert abs(hidden.linear[1] - hidden.chance[1]) < 0.08
    squared = jax.device_get(measured(jax.random.key(0), curved, np.abs(d[:, :1]), (1,)))
    assert squared.nonlinear[0] > squared.linear[0] + 0.01


@pytest.fixture(scope="module")
def brains():
    # Whole simulators are compiled: by themselves, their operations would be many programs.
    population = jax.jit(lambda key: fc_population(key, regions=12, factors=5))(jax.random.key(0))
    draw = jax.jit(draw_fc, static_argnames="n")
    train, test = (draw(jax.random.key(k), population, n=300) for k in (1, 2))
    tables = [
        pd.DataFrame({"age": np.asarray(s.age, float), "sex": np.where(s.sex == 1, "m", "f")}) for s in (train, test)
    ]
    options = {"latents": 8, "hidden": (32,), "schedule": Schedule(epochs=800, learning_rate=3e-3)}
    return train, test, tables, options, DemoVAE(**options).fit(train.x, tables[0])


def test_latents_keep_subjects_and_lose_demographics(brains):
    train, test, tables, options, model = brains
    report = model.leakage(test.x, tables[1])
    assert list(report.index) == ["age", "sex"]
    assert report.loc["age", "linear"] < 0.15
    # The negative control: the same network with no word about demographics.
    blind = DemoVAE(**options, demographics=0.0, guide=0.0).fit(train.x, tables[0])
    assert blind.leakage(test.x, tables[1]).loc["age", "linear"] > report.loc["age", "linear"] + 0.1
    z = model.latents_of(test.x)
    slopes = np.linalg.lstsq(np.column_stack([np.ones(len(z)), z]), np.asarray(test.factors), rcond=None)[0]
    left = np.asarray(test.factors) - np.column_stack([np.ones(len(z)), z]) @ slopes
    assert (1 - left.var(0) / np.asarray(test.factors).var(0)).mean() > 0.7


def test_demographic_change_moves_age_and_little_else(brains):
    train, test, tables, _, model = brains
    age = Ridge(alpha=1.0).fit(train.x, tables[0]["age"])
    older = tables[1].assign(age=tables[1]["age"] + 4)
    moved = age.predict(model.transform(test.x, older)) - age.predict(model.transform(test.x, tables[1]))
    assert 2.5 < moved.mean() < 5.5
    alike = model.transform(test.x)
    assert np.var(age.predict(alike)) < 0.2 * np.var(age.predict(np.asarray(test.x)))
    by_sex = [np.asarray(model.transform(test.x, {"age": 15, "sex": sex})) for sex in "fm"]
    effect = (by_sex[1] - by_sex[0]).mean(0)
    truth = np.asarray(train.x[np.asarray(train.sex) == 1].mean(0) - train.x[np.asarray(train.sex) == 0].mean(0))
    assert np.corrcoef(effect, truth)[0, 1] > 0.8


def test_samples_have_the_demographics_asked_for(brains):
    train, _, tables, _, model = brains
    age = Ridge(alpha=1.0).fit(train.x, tables[0]["age"])
    young, old = (model.sample({"age": a, "sex": "f"}, rows=200) for a in (10, 20))
    assert young.shape == (200, 66)
    assert age.predict(old).mean() - age.predict(young).mean() > 6
    assert np.std(young, axis=0).mean() > 0.5 * np.asarray(train.x).std(0).mean()
    np.testing.assert_array_equal(young, model.sample({"age": 10, "sex": "f"}, rows=200))
    assert model.sample(tables[0].head(3)).shape == (3, 66)


def test_scikit_learns_habits(brains):
    train, test, tables, options, model = brains
    small = {**options, "schedule": Schedule(epochs=5)}
    pipe = make_pipeline(FunctionTransformer(), clone(DemoVAE(**small))).fit(np.asarray(train.x), tables[0])
    assert pipe.transform(np.asarray(test.x)).shape == test.x.shape
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        DemoVAE().transform(np.asarray(test.x))
    assert "Independence is not enforced" in " ".join(str(model.summary()).split())


def test_bad_input(brains):
    train, _, tables, _, model = brains
    x = np.asarray(train.x)
    with pytest.raises(InputError, match="latents"):
        DemoVAE(latents=200).fit(x, tables[0])
    with pytest.raises(InputError, match="upper triangle"):
        DemoVAE(latents=3, rank=2).fit(x[:, :5], tables[0])
    with pytest.raises(InputError, match="levels \\['x'\\]"):
        model.transform(x, {"age": 10, "sex": "x"})
    with pytest.raises(InputError, match="all of"):
        model.transform(x, {"age": 10})
    with pytest.raises(InputError, match="missing values"):
        DemoVAE(latents=3).fit(x, tables[0].assign(age=np.nan))
    with pytest.raises(InputError, match="one value in"):
        DemoVAE(latents=3).fit(x, tables[0].assign(age=1.0))
    with pytest.raises(InputError, match="several columns named"):
        DemoVAE(latents=3).fit(x, pd.concat([tables[0]] * 2, axis=1))
    with pytest.raises(InputError, match="a dict; expected a DataFrame"):
        DemoVAE(latents=3).fit(x, dict(tables[0]))
    with pytest.raises(InputError, match="index that differs"):
        DemoVAE(latents=3).fit(pd.DataFrame(x), tables[0].iloc[::-1])
    with pytest.raises(InputError, match="text in 'age'"):
        model.transform(x, {"age": "old", "sex": "f"})
    with pytest.raises(InputError, match="rows: found None"):
        model.sample()
    with pytest.raises(InputError, match="X: found 5 rows; expected at least 20"):
        model.leakage(x[:5], tables[0].head())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 1.5}, "rank: found 1.5"),
        ({"seed": "x"}, "seed: found 'x'"),
        ({"categorical": (5,)}, r"categorical: found \['5'\]"),
        ({"categorical": ()}, "'sex' left out"),
    ],
)
def test_wrong_options_are_named(options, message):
    d = pd.DataFrame({"age": np.arange(20.0), "sex": list("fm") * 10})
    with pytest.raises(InputError, match=message):
        DemoVAE(latents=2, **options).fit(np.random.default_rng(0).normal(size=(20, 3)), d)


def test_one_categorical_variable_needs_no_tuple():
    d = np.column_stack([np.arange(6.0), np.arange(6) % 3])
    assert Demographics.of(d, categorical=1).layout == (1, 3)
    assert Demographics.of(pd.DataFrame(d, columns=["age", "site"]), categorical="site").layout == (1, 3)


def test_residualizer_leaves_no_linear_association_and_changes_demographics():
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"age": rng.normal(40, 9, 200), "site": rng.choice(list("abc"), 200)})
    at_b = (d["site"] == "b").to_numpy(float)
    x = np.outer(d["age"], [0.1, 0, -0.2]) + np.outer(at_b, [1, 2, 3]) + rng.normal(size=(200, 3))
    model = LinearResidualizer()
    left = model.fit_transform(x, d)
    code = Demographics.of(d).encode(d, rows=200)
    np.testing.assert_allclose((left - left.mean(0)).T @ (code - code.mean(0)), 0.0, atol=1e-8)
    np.testing.assert_allclose(left.mean(0), x.mean(0))
    moved = model.transform(x, d, to=d.assign(age=d["age"] + 1)) - x
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-9)
    np.testing.assert_allclose(moved[0], [0.1, 0, -0.2], atol=0.03)
