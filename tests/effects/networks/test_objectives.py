"""The objectives against the papers' formulas, written out by hand; weights, scaling and splits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.effects.networks import (
    CFRLearner,
    DragonLearner,
    MLPRegression,
    SNetLearner,
    cfr_objective,
    dragonnet_objective,
    mlp_objective,
    snet_objective,
)
from causalrep.effects.networks.cfr import _balanced
from causalrep.effects.networks.learner import split_within_arms
from causalrep.effects.networks.units import Units, standardize
from causalrep.nn.discrepancies import linear_mmd, rbf_mmd, sinkhorn_wasserstein
from causalrep.training.rows import Schedule

N, D = 30, 3


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    t = (rng.uniform(size=N) < 0.4).astype(np.float32)
    x, y = rng.normal(size=(N, D)), rng.normal(size=N)
    return Units(x.astype(np.float32), t, y.astype(np.float32), np.ones(N, np.float32))


def layers(params, x, *, final=False):
    """An ELU network in NumPy."""
    names = sorted(params)
    for name in names:
        x = x @ np.asarray(params[name]["kernel"]) + np.asarray(params[name]["bias"])
        if name != names[-1] or final:
            x = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
    return x


def kernels(*modules):
    return sum(float(np.sum(np.asarray(layer["kernel"]) ** 2)) for module in modules for layer in module.values())


def initial(objective, rows, scale=3.0):
    # Enlarged, so that no term of a formula is lost in the others.
    params = jax.jit(objective.init)(jax.random.key(0), rows)
    return jax.tree.map(lambda leaf: scale * leaf + 0.05, params)


def value(objective, params, rows):
    return float(jax.jit(objective.loss)(params, jax.random.key(1), rows)[0])


@pytest.mark.parametrize(
    ("name", "distance"), [("linear", linear_mmd), ("rbf", rbf_mmd), ("wasserstein", sinkhorn_wasserstein)]
)
def test_cfr(rows, name, distance):
    method = CFRLearner(representation=(8, 4), heads=(5,), alpha=0.7, discrepancy=name, penalty=0.3)
    objective, balanced = cfr_objective(method), _balanced(rows)
    params = initial(objective, rows)
    p = params["params"]
    phi = layers(p["representation"], rows.x, final=True)
    phi = phi / np.linalg.norm(phi, axis=1, keepdims=True)
    y0, y1 = layers(p["head_0"], phi)[:, 0], layers(p["head_1"], phi)[:, 0]
    share, t = rows.t.mean(), rows.t
    w = t / (2 * share) + (1 - t) / (2 * (1 - share))
    risk = np.mean(w * (rows.y - np.where(t == 1, y1, y0)) ** 2)
    gap = float(distance(phi[t == 1], phi[t == 0], np.ones(int(t.sum())), np.ones(int((1 - t).sum()))))
    expected = risk + 0.3 * (kernels(p["head_0"], p["head_1"])) / 2 + 0.7 * gap
    assert gap > 1e-3
    assert value(objective, params, balanced) == pytest.approx(expected, rel=1e-4)


def test_bnn_has_one_head_that_sees_the_treatment(rows):
    method = CFRLearner(representation=(4,), heads=(5,), split_output=False, penalty=0.3, normalize=False)
    objective = cfr_objective(method)
    params = initial(objective, rows)
    p = params["params"]
    phi = layers(p["representation"], rows.x, final=True)
    out = layers(p["head"], np.column_stack([phi, rows.t]))[:, 0]
    expected = np.mean((rows.y - out) ** 2) + 0.15 * kernels(p["head"])
    assert value(objective, params, rows) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("targeted", [0.0, 0.5])
def test_dragonnet_sums_over_the_batch(rows, targeted):
    method = DragonLearner(representation=(6, 4), heads=(5,), targeted=targeted, penalty=0.2)
    objective = dragonnet_objective(method)
    params = initial(objective, rows)
    p = params["params"]
    phi = layers(p["representation"], rows.x, final=True)
    y0, y1 = layers(p["head_0"], phi)[:, 0], layers(p["head_1"], phi)[:, 0]
    g = 1 / (1 + np.exp(-(phi @ np.asarray(p["propensity"]["kernel"]) + np.asarray(p["propensity"]["bias"]))[:, 0]))
    t, q = rows.t, np.where(rows.t == 1, y1, y0)
    inner, target = (g + 0.001) / 1.002, (g + 0.01) / 1.02
    h = t / target - (1 - t) / (1 - target)
    expected = np.sum((rows.y - q) ** 2) - np.sum(t * np.log(inner) + (1 - t) * np.log(1 - inner))
    expected += targeted * np.sum((rows.y - q - float(p["epsilon"]) * h) ** 2)
    expected += 0.2 * kernels(p["head_0"], p["head_1"])
    assert value(objective, params, rows) == pytest.approx(expected, rel=1e-4)


def test_dragonnet_counts_a_larger_batch_as_one_of_the_usual_size(rows):
    method = DragonLearner(representation=(4,), heads=(3,), schedule=Schedule(batch_size=10), penalty=0.2)
    objective = dragonnet_objective(method)
    params = initial(objective, rows)
    parts = [jax.tree.map(lambda leaf, i=i: leaf[10 * i : 10 * i + 10], rows) for i in range(3)]
    mean = np.mean([value(objective, params, part) for part in parts])
    assert value(objective, params, rows) == pytest.approx(mean, rel=1e-4)


def test_snet(rows):
    method = SNetLearner(large=(6, 4), small=(3, 2), heads=(5,), penalty=0.2, orthogonal=0.05)
    objective = snet_objective(method)
    params = initial(objective, rows, scale=1.0)
    p = params["params"]
    c, o, m0, m1, w = (layers(p[name], rows.x, final=True) for name in ("c", "o", "m0", "m1", "w"))
    y0 = layers(p["head_0"], np.column_stack([c, o, m0]))[:, 0]
    y1 = layers(p["head_1"], np.column_stack([c, o, m1]))[:, 0]
    g = 1 / (1 + np.exp(-layers(p["propensity"], np.column_stack([c, w]))[:, 0]))
    t = rows.t
    expected = np.mean((rows.y - np.where(t == 1, y1, y0)) ** 2) - np.mean(t * np.log(g) + (1 - t) * np.log(1 - g))
    expected += 0.1 * kernels(*(p[name] for name in ("c", "o", "m0", "m1", "w", "head_0", "head_1", "propensity")))
    used = [np.abs(np.asarray(p[name]["Dense_0"]["kernel"])).sum(1) for name in ("c", "o", "m0", "m1", "w")]
    expected += 0.05 * sum(used[i] @ used[j] for i in range(5) for j in range(i))
    assert value(objective, params, rows) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("binary", [False, True])
def test_perceptron(rows, binary):
    objective = mlp_objective(MLPRegression(hidden=(5,), binary=binary, penalty=0.2))
    target = (rows.y > 0).astype(np.float32) if binary else rows.y
    rows = rows._replace(y=target, w=np.arange(N, dtype=np.float32))
    params = initial(objective, rows)
    out = layers(params["params"], rows.x)[:, 0]
    loss = np.logaddexp(0, out) - target * out if binary else (target - out) ** 2
    expected = np.mean(rows.w * loss) + 0.1 * kernels(params["params"])
    assert value(objective, params, rows) == pytest.approx(expected, rel=1e-4)


# ---------------------------------------------------------------- rows


def test_rows_without_weight_do_not_enter_the_scaling(x64):
    rng = np.random.default_rng(0)
    x, y = rng.normal(3.0, 2.0, size=(20, 2)), 1e6 + rng.normal(size=20)
    x[:, 1] = 0.1
    w = np.r_[np.ones(15), np.zeros(5)]
    x[15:], y[15:] = np.nan, np.nan
    units, scaling = standardize(*map(jnp.asarray, (x, np.zeros(20), y, w)), covariates=True)
    assert all(np.isfinite(leaf).all() and leaf.dtype == jnp.float32 for leaf in units)
    np.testing.assert_allclose(units.x[:15, 0], (x[:15, 0] - x[:15, 0].mean()) / x[:15, 0].std(), atol=1e-5)
    # A large mean must not cost the outcome its digits; a constant column becomes nothing.
    np.testing.assert_allclose(units.y[:15], (y[:15] - y[:15].mean()) / y[:15].std(), atol=1e-5)
    np.testing.assert_array_equal(units.x[:, 1], 0.0)
    assert float(units.w.mean()) == pytest.approx(1.0)
    assert float(scaling.x.std[1]) == 1.0


@pytest.mark.parametrize(("n", "share"), [(50, 0.3), (4, 0.3), (5, 0.9)])
def test_the_split_is_a_partition_within_the_arms(n, share):
    t = (jnp.arange(n) % 5 == 0).astype(jnp.float32)
    ids = jnp.arange(n, dtype=jnp.float32)
    training, validation = split_within_arms(jax.random.key(0), Units(ids[:, None], t, ids, jnp.ones(n)), share)
    np.testing.assert_array_equal(np.sort(np.r_[training.y, validation.y]), ids)
    assert len(validation.y) == max(1, round(share * n))
    if n == 50:
        assert int(validation.t.sum()) == 3
        other, _ = split_within_arms(jax.random.key(1), Units(ids[:, None], t, ids, jnp.ones(n)), share)
        assert set(np.asarray(other.y)) != set(np.asarray(training.y))
