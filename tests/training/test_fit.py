"""The training loop against closed forms: least squares, a conjugate posterior, a known best step."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
import pytest
from numpyro.infer.autoguide import AutoNormal

from causalrep.errors import InputError
from causalrep.keys import root
from causalrep.training import Objective, fit, make_mesh, svi_objective, train


def _init(key, batch):
    return jnp.zeros(batch["x"].shape[1])


def _loss(params, key, batch):
    residual = batch["y"] - batch["x"] @ params
    weight = batch.get("w", jnp.ones_like(residual))
    loss = jnp.sum(weight * residual**2) / jnp.sum(weight)
    return loss, {"norm": jnp.sum(params**2)}


LEAST_SQUARES = Objective(_init, _loss)
SGD = optax.sgd(0.1)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype(np.float32)
    y = (x @ np.array([1.0, -2.0, 0.5]) + rng.normal(size=120)).astype(np.float32)
    return {"x": jnp.asarray(x), "y": jnp.asarray(y)}


def _solution(data):
    return np.linalg.lstsq(np.asarray(data["x"], float), np.asarray(data["y"], float), rcond=None)[0]


def test_full_batch_reaches_the_least_squares_solution(data):
    result = fit(LEAST_SQUARES, SGD, data, jax.random.key(0), steps=300)
    np.testing.assert_allclose(result.params, _solution(data), atol=1e-5)
    assert result.history["loss"].shape == (300,)
    assert float(result.history["norm"][0]) == 0.0
    assert int(result.steps_run) == int(result.best_step) == 300
    assert not result.diverged
    assert not result.stopped
    # Negative control: ten steps are not enough, so the agreement above is the loop's doing.
    early = fit(LEAST_SQUARES, SGD, data, jax.random.key(0), steps=10)
    assert np.max(np.abs(early.params - _solution(data))) > 1e-3


def test_minibatches_pass_over_every_row_once_an_epoch():
    # The loss is the batch's sum of one-hot rows, and its gradient counts visits.
    rows = jnp.eye(12)
    counting = Objective(lambda key, batch: jnp.zeros(12), lambda p, key, batch: (jnp.sum(batch @ p), {}))
    visits = -fit(counting, optax.sgd(1.0), rows, jax.random.key(1), steps=9, batch_size=4).params
    np.testing.assert_array_equal(visits, np.full(12, 3.0))
    half = -fit(counting, optax.sgd(1.0), rows, jax.random.key(1), steps=4, batch_size=4).params
    assert sorted(set(np.asarray(half))) == [1.0, 2.0]
    # Rows that do not fill a batch are left out, but not the same ones each epoch.
    ragged = -fit(counting, optax.sgd(1.0), rows, jax.random.key(1), steps=40, batch_size=5).params
    assert ragged.sum() == 200
    assert ragged.min() > 10


def test_rows_of_weight_zero_only_pad(data):
    w = jnp.ones(120)
    padded = {
        "x": jnp.concatenate([data["x"], 99 * jnp.ones((8, 3))]),
        "y": jnp.concatenate([data["y"], jnp.ones(8)]),
        "w": jnp.concatenate([w, jnp.zeros(8)]),
    }
    plain = fit(LEAST_SQUARES, SGD, {**data, "w": w}, jax.random.key(0), steps=50)
    np.testing.assert_allclose(
        fit(LEAST_SQUARES, SGD, padded, jax.random.key(0), steps=50).params, plain.params, atol=1e-6
    )


def test_vmap_over_keys_and_data_equals_a_loop(data):
    keys = jax.random.split(jax.random.key(3), 3)
    batches = {
        "x": jnp.stack([data["x"] + i for i in range(3)]),
        "y": jnp.stack([data["y"] * (i + 1) for i in range(3)]),
    }

    def one(key, rows):
        held_out = jax.tree.map(lambda leaf: leaf[:40], rows)
        return fit(
            LEAST_SQUARES,
            optax.adam(0.05),
            rows,
            key,
            steps=60,
            batch_size=30,
            validation=held_out,
            eval_every=4,
            patience=2,
        )

    together = jax.jit(jax.vmap(one))(keys, batches)
    for i in range(3):
        alone = one(keys[i], jax.tree.map(lambda leaf, i=i: leaf[i], batches))
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=2e-4, atol=1e-5), together, alone)
    twice = jax.vmap(jax.vmap(one, (0, None)), (None, 0))(keys[:2], jax.tree.map(lambda leaf: leaf[:2], batches))
    np.testing.assert_allclose(twice.params[0, 0], together.params[0], rtol=2e-4, atol=1e-5)


def test_early_stopping_keeps_the_best_parameters():
    # Parameter 1, 2, 3, ... after each step; the validation target is 7, so step 7 is best by construction.
    walk = Objective(lambda key, batch: jnp.zeros(()), lambda p, key, batch: ((p - batch[0, 0]) ** 2, {}))
    unit_steps = optax.stateless(lambda grads, params: jax.tree.map(jnp.ones_like, grads))
    train, target = jnp.full((4, 1), 100.0), jnp.full((1, 1), 7.0)
    result = fit(walk, unit_steps, train, jax.random.key(0), steps=30, validation=target, eval_every=1, patience=3)
    assert float(result.params) == 7.0
    assert (int(result.best_step), int(result.steps_run), bool(result.stopped)) == (7, 10, True)
    assert float(result.final_loss) == 0.0
    np.testing.assert_array_equal(np.isnan(result.validation), np.arange(30) >= 10)
    np.testing.assert_array_equal(np.isnan(result.history["loss"]), np.arange(30) >= 10)
    patient = fit(walk, unit_steps, train, jax.random.key(0), steps=30, validation=target, eval_every=1)
    assert (int(patient.best_step), int(patient.steps_run), bool(patient.stopped)) == (7, 30, False)


def test_divergence_is_reported_and_leaves_finite_parameters(data):
    result = fit(LEAST_SQUARES, optax.sgd(10.0), data, jax.random.key(0), steps=200)
    assert bool(result.diverged)
    bad = int(result.first_bad_step)
    assert 0 < bad < 199
    assert int(result.steps_run) == bad
    assert np.isfinite(result.params).all()
    assert np.isnan(result.history["loss"][bad + 1 :]).all()


def test_repeated_fits_share_one_compiled_program(data):
    # Compiled once: chex refuses a second trace of the loss.
    chex.clear_trace_counter()
    once = Objective(_init, chex.assert_max_traces(_loss, n=1))
    for seed in range(3):
        fit(once, SGD, data, jax.random.key(seed), steps=7)
    with pytest.raises(AssertionError, match="traced > 1 times"):
        fit(once, SGD, data, jax.random.key(0), steps=8)


def _model(y):
    mean = numpyro.sample("mean", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)


def _guide(y):
    loc = numpyro.param("loc", 0.0)
    scale = numpyro.param("scale", 1.0, constraint=dist.constraints.positive)
    numpyro.sample("mean", dist.Normal(loc, scale))


@pytest.mark.parametrize("automatic", [False, True])
def test_svi_reaches_the_conjugate_posterior(automatic):
    y = jnp.asarray(np.random.default_rng(1).normal(1.5, 1.0, size=40))
    precision = 1 / 4 + 40
    mean, sd = float(y.sum()) / precision, precision**-0.5
    guide = AutoNormal(_model) if automatic else _guide
    objective = svi_objective(_model, guide, example={"y": y} if automatic else None, num_particles=10)
    optimizer = optax.adam(optax.exponential_decay(0.1, 100, 0.5))
    result = fit(objective, optimizer, {"y": y}, jax.random.key(2), steps=800)
    constrained = objective.constrain(result.params, {"y": y})
    loc, scale = sorted(constrained, key=lambda name: "scale" in name)
    assert abs(float(constrained[loc]) - mean) < 0.02
    assert abs(float(constrained[scale]) / sd - 1) < 0.1


def test_an_automatic_guide_starts_alike_under_every_default_generator():
    y, starts = {"y": jnp.ones(3)}, []
    for implementation in ("threefry2x32", "rbg"):
        with jax.default_prng_impl(implementation):
            starts.append(svi_objective(_model, AutoNormal(_model), example=y).init(root(0), y))
    assert starts[0] == starts[1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 5, "batch_size": 121}, "batch_size"),
        ({"steps": 5, "patience": 2}, "validation"),
        ({"steps": 5, "validation": True, "eval_every": 2}, "eval_every"),
    ],
)
def test_bad_arguments_are_named(data, arguments, named):
    if "validation" in arguments:
        arguments = {**arguments, "validation": data}
    with pytest.raises(InputError, match=named):
        fit(LEAST_SQUARES, SGD, data, jax.random.key(0), **arguments)
    with pytest.raises(InputError, match="data"):
        fit(LEAST_SQUARES, SGD, {"x": jnp.ones((3, 1)), "y": jnp.ones(4)}, jax.random.key(0), steps=1)


def test_evaluations_begin_when_asked_and_a_fit_starts_where_told():
    data = {"x": jnp.linspace(-1, 1, 8)}
    objective = Objective(
        lambda key, batch: jnp.zeros(()), lambda params, key, batch: (jnp.mean((batch["x"] - params) ** 2), {})
    )
    # The validation rows lie at -1, so that every step towards the training rows' mean of 0.5 makes them worse.
    training, validation = {"x": data["x"] * 0 + 0.5}, {"x": data["x"] * 0 - 1.0}
    common = {"steps": 40, "validation": validation, "eval_every": 5}
    early = fit(objective, optax.sgd(0.1), training, jax.random.key(0), **common)
    late = fit(objective, optax.sgd(0.1), training, jax.random.key(0), eval_after=20, **common)
    assert (int(early.best_step), int(late.best_step)) == (5, 25)
    assert np.isnan(late.validation[:4]).all()
    np.testing.assert_allclose(late.validation[4:], early.validation[4:], rtol=1e-6)
    phase = fit(objective, optax.sgd(0.1), training, jax.random.key(0), steps=5, start=late.params)
    assert float(phase.history["loss"][0]) == pytest.approx(float((0.5 - late.params) ** 2), rel=1e-5)
    with pytest.raises(InputError, match=r"^eval_after: found 40; expected between 0 and steps - 1 = 39"):
        fit(objective, optax.sgd(0.1), training, jax.random.key(0), eval_after=40, **common)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(
    ("result", "named"),
    [
        (lambda error: (jnp.mean(error**2), {"error": error}), r"shape \(\d+,\) for error"),
        (lambda error: (error**2, {}), r"shape \(\d+,\) for the loss"),
        (lambda error: jnp.mean(error**2), "a .*Array|a .*Tracer"),
    ],
)
def test_a_loss_or_metric_that_is_no_scalar_is_refused_before_the_first_step(result, named, accumulate):
    data = {"x": jnp.arange(16.0)}
    wrong = Objective(lambda key, batch: jnp.zeros(()), lambda params, key, batch: result(batch["x"] - params))
    for start in (fit, train):
        with pytest.raises(InputError, match=rf"objective\.loss: found ({named})"):
            start(wrong, SGD, data, root(0), steps=5, accumulate=accumulate)


def test_numpy_s_integers_are_counts():
    data, validation = {"x": jnp.arange(8.0)}, {"x": jnp.ones(2)}
    objective = Objective(
        lambda key, batch: jnp.zeros(()), lambda params, key, batch: (jnp.mean((batch["x"] - params) ** 2), {})
    )
    counts = {"steps": 6, "batch_size": 4, "eval_every": 2, "patience": 3, "accumulate": 2}
    expected = fit(objective, SGD, data, root(0), validation=validation, **counts)
    numpy = {name: np.int64(count) for name, count in counts.items()}
    on_one = partial(train, mesh=make_mesh(devices=jax.devices()[:1]), chunk=np.int64(3))
    for start in (fit, on_one):
        result = start(objective, SGD, data, root(0), validation=validation, **numpy)
        jax.tree.map(np.testing.assert_array_equal, result, expected)
