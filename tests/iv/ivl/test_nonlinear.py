"""Kernel and neural IVL: their limits, the linear method as a special case, the released form, and the door."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from causalrep.errors import InputError, NoIntervalError
from causalrep.invariance import LinearModel
from causalrep.iv import KernelIVL, NeuralIVL, ivl, ivl_objective, ivl_path
from causalrep.iv.ivl import kernel_ivl
from causalrep.iv.nonlinear import kernel_predict
from causalrep.iv.nonlinear.kernels import gaussian_kernel, median_lengthscale
from causalrep.training.rows import Schedule


def confounded(n=400, seed=0):
    """``y = |t| + 5 c + noise`` with ``t = 2 c + noise``, and the reflection g t, which |t| does not feel."""
    rng = np.random.default_rng(seed)
    c, noise, e = rng.normal(size=(3, n))
    t = 2 * c + noise
    return np.abs(t) + 5 * c + e, t, rng.choice([-1.0, 1.0], n)


@pytest.mark.usefixtures("x64")
def test_kernel_solution_minimizes_the_risk():
    """The system against the risk itself, minimized numerically over the weights."""
    y, t, g = confounded(40)
    x, z, n, alpha, penalty = (g * t)[:, None], g[:, None], 40, 0.3, 1e-2
    fit = kernel_ivl(*(jnp.asarray(a) for a in (y, x, z)), alpha=alpha, penalty=penalty)
    k = np.asarray(gaussian_kernel(x, x, median_lengthscale(jnp.asarray(x))))
    k_z = np.asarray(gaussian_kernel(z, z, median_lengthscale(jnp.asarray(z))))
    p = k_z @ np.linalg.inv(k_z + n * 1e-3 * np.eye(n))

    def risk(h):
        r = y - h
        return (r @ p @ r + alpha * r @ r) / (n * (1 + alpha)) + penalty * h @ np.linalg.solve(k + 1e-10 * np.eye(n), h)

    result = k @ np.asarray(fit.weights)
    rng = np.random.default_rng(1)
    for _ in range(20):  # a stationary point of a convex risk: no direction in the kernel's space lowers it
        assert risk(result + 1e-3 * k @ rng.normal(size=n)) > risk(result)
    start = np.zeros(n)
    by_weights = minimize(lambda a: risk(k @ a), start, method="L-BFGS-B", options={"maxiter": 200}).fun
    assert risk(result) <= by_weights + 1e-6


@pytest.mark.usefixtures("x64")
def test_large_alpha_is_kernel_ridge_regression():
    y, t, g = (jnp.asarray(a) for a in confounded(100))
    x = (g * t)[:, None]
    far = kernel_ivl(y, x, g[:, None], alpha=1e9, penalty=1e-2)
    k = gaussian_kernel(x, x, far.lengthscale)
    ridge = jnp.linalg.solve(k + 100 * 1e-2 * jnp.eye(100), y)
    np.testing.assert_allclose(kernel_predict(far, x), k @ ridge, atol=1e-6)


def test_kernel_ivl_lowers_the_bias_and_regression_does_not():
    y, t, g = confounded()
    grid = np.linspace(-3, 3, 25)
    errors = {}
    for name, model in {
        "IVL": KernelIVL("cv", candidates=4).fit(y, g * t, Z=g, T_score=t),
        "ridge": KernelIVL(1e6, candidates=4).fit(y, t, Z=g),
    }.items():
        shape = model.predict(grid) - model.predict(grid).mean() - (np.abs(grid) - np.abs(grid).mean())
        errors[name] = np.mean(shape**2)
    assert errors["IVL"] < 0.25 * errors["ridge"]


def test_wrong_symmetry_is_a_negative_control():
    """Reflecting a linear effect away destroys it: IVL then is worse than regression."""
    rng = np.random.default_rng(0)
    t, e = rng.normal(size=(2, 400))
    g = rng.choice([-1.0, 1.0], 400)
    good = KernelIVL(1e6, candidates=4).fit(2 * t + 0.1 * e, t, Z=g).effect(T0=-1, T1=1)
    bad = KernelIVL(0.1, candidates=4).fit(2 * t + 0.1 * e, g * t, Z=g).effect(T0=-1, T1=1)
    assert good == pytest.approx(4.0, abs=0.3)
    assert abs(bad) < 1.5


def test_objective_on_a_linear_model_is_the_closed_form():
    """Full batch, paper form: gradient zero at the IVL estimate, and the loss its risk."""
    rng = np.random.default_rng(0)
    x, z, y = rng.normal(size=(200, 3)), rng.normal(size=(200, 2)), rng.normal(size=200)
    x[:, :2] += z
    with jax.enable_x64(True):
        batch = {"x": jnp.asarray(x), "y": jnp.asarray(y), "z": jnp.asarray(z)}
        h = ivl(ivl_path(batch["y"], batch["x"], batch["z"]), 0.4)
        objective = ivl_objective(LinearModel(), alpha=0.4)
        loss, gradient = jax.value_and_grad(lambda w: objective.loss(w, None, batch)[0])(h)
        np.testing.assert_allclose(gradient, 0, atol=1e-10)
    r, q = y - x @ np.asarray(h), np.linalg.qr(z)[0]
    assert float(loss) == pytest.approx((np.sum((q.T @ r) ** 2) + 0.4 * r @ r) / 200, rel=1e-9)


def test_legacy_form_projects_the_squares():
    rng = np.random.default_rng(0)
    x, z, y, w = rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 0.5, rng.normal(size=50), np.array([0.3, -1.0])
    squares, p = (y - x @ w) ** 2, z @ np.linalg.pinv(z)
    wanted = np.mean(p @ squares) + 0.2 * squares.mean()
    batch = {name: jnp.asarray(a, jnp.float32) for name, a in {"x": x, "y": y, "z": z}.items()}
    objective = ivl_objective(LinearModel(), alpha=0.2, form="legacy_gmm")
    assert float(objective.loss(jnp.asarray(w, jnp.float32), None, batch)[0]) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("form", ["paper", "legacy_gmm"])
def test_weight_zero_leaves_a_row_out(form):
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(30, 2)), "y": rng.normal(size=30), "z": rng.normal(size=(30, 2))}
    batch = {name: jnp.asarray(a, jnp.float32) for name, a in batch.items()}
    kept = jnp.arange(30) < 20
    objective, w = ivl_objective(LinearModel(), alpha=0.2, form=form), jnp.array([1.0, -0.5])
    whole = objective.loss(w, None, {**batch, "y": jnp.where(kept, batch["y"], 1e3), "weight": kept * 1.0})[0]
    short = objective.loss(w, None, {name: a[:20] for name, a in batch.items()})[0]
    assert float(whole) == pytest.approx(float(short), rel=1e-4)


def test_neural_ivl_lowers_the_bias():
    y, t, g = confounded(600)
    options = {"hidden": (20,), "schedule": Schedule(epochs=60, learning_rate=1e-2)}
    gap = NeuralIVL(1.0, **options).fit(y, g * t, Z=g).effect(T0=-2.0, T1=2.0)
    biased = NeuralIVL(1.0, **options).fit(y, t, Z=g).effect(T0=-2.0, T1=2.0)
    assert abs(gap) < 3.0 < 5.0 < biased  # the truth is 0, regression says 8


@pytest.mark.parametrize("estimator", [KernelIVL, NeuralIVL])
def test_says_what_it_is(estimator):
    y, t, g = confounded(100)
    options = {"candidates": 2} if estimator is KernelIVL else {"schedule": Schedule(epochs=1), "hidden": (4,)}
    model = estimator(**options).fit(y, g * t, Z=g)
    text = str(model.summary())
    assert "does not remove it" in text
    assert "No interval" in text
    assert "completeness" not in text
    with pytest.raises(NoIntervalError):
        model.ate_interval()


@pytest.mark.parametrize(
    ("estimator", "arguments", "word"),
    [
        (KernelIVL, {"alpha": 0.0}, "alpha"),
        (KernelIVL, {"alpha": "lcv"}, "alpha"),
        (KernelIVL, {"alpha_range": (1.0, 0.1)}, "alpha_range"),
        (KernelIVL, {"candidates": 0}, "candidates"),
        (KernelIVL, {"instrument_penalty": -1.0}, "instrument_penalty"),
        (NeuralIVL, {"alpha": -0.1}, "alpha"),
        (NeuralIVL, {"form": "other"}, "form"),
        (NeuralIVL, {"hidden": ()}, "hidden"),
        (NeuralIVL, {"schedule": Schedule(epochs=0)}, "schedule.epochs"),
        (NeuralIVL, {"schedule": Schedule(steps=10)}, "schedule.steps"),
    ],
)
def test_wrong_hyperparameters_are_named(estimator, arguments, word):
    y, t, g = confounded(60)
    with pytest.raises(InputError, match=word):
        estimator(**arguments).fit(y, t, Z=g)


def test_wrong_scoring_treatment_is_named():
    y, t, g = confounded(60)
    with pytest.raises(InputError, match="T_score"):
        KernelIVL().fit(y, t, Z=g, T_score=t[:5])
