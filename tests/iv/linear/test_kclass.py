"""The k-class core against linearmodels and ivmodels on fresh data, and against its own identities."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ivmodels.models import AnchorRegression as IvmodelsAnchor
from ivmodels.models import KClass as IvmodelsKClass
from linearmodels.iv import IV2SLS, IVLIML

from causalrep.inference import Covariance, sandwich_covariance
from causalrep.iv import anchor_regression, fuller, jive, k_class, liml, ols, two_stage_least_squares
from causalrep.iv.linear.kclass import liml_kappa, reduce_data

pytestmark = pytest.mark.usefixtures("x64")
N, P, K, GROUPS = 300, 2, 4, 15


def draw(seed, n=N, p=P, k=K):
    rng = np.random.default_rng(seed)
    c = np.column_stack([rng.normal(size=(n, 2)) * [1.0, 10.0], np.ones(n)])
    z = rng.normal(size=(n, k)) + 0.3 * c[:, :1]
    confounder = rng.normal(size=n)
    x = z @ rng.normal(size=(k, p)) + 0.05 * c[:, 1:2] + confounder[:, None] + rng.normal(size=(n, p))
    noise = np.exp(0.3 * z[:, 0]) * rng.normal(size=n)
    return x @ np.arange(1.0, p + 1) + c @ [0.5, -0.2, 1.0] + confounder + noise, x, z, c


@pytest.fixture(scope="module")
def fresh():
    # A new seed each run: agreement is a property, not a memory. The seed is printed on failure.
    seed = int(np.random.SeedSequence().entropy % 2**32)
    print("seed", seed)
    return (*draw(seed), np.random.default_rng(seed).integers(0, GROUPS, N))


REQUESTS = [
    ("unadjusted", {"debiased": True}, Covariance("homoskedastic")),
    ("unadjusted", {"debiased": False}, Covariance("homoskedastic", debiased=False)),
    ("robust", {"debiased": False}, Covariance("HC0")),
    ("robust", {"debiased": True}, Covariance("HC1")),
    ("clustered", {"debiased": True}, Covariance("cluster", n_clusters=GROUPS)),
    ("clustered", {"debiased": False}, Covariance("cluster", debiased=False, n_clusters=GROUPS)),
    ("kernel", {"debiased": True, "bandwidth": 6}, Covariance("HAC", bandwidth=6)),
    ("kernel", {"debiased": False}, Covariance("HAC", debiased=False)),
]


@pytest.mark.parametrize(("kind", "options", "request_"), REQUESTS)
@pytest.mark.parametrize("method", ["2sls", "liml", "fuller", "ols"])
def test_against_linearmodels(fresh, method, kind, options, request_):
    y, x, z, c, groups = fresh
    if kind == "clustered":
        options = options | {"clusters": groups}
        request_ = Covariance("cluster", debiased=request_.debiased, clusters=jnp.asarray(groups), n_clusters=GROUPS)
    if method == "2sls":
        ours, there = two_stage_least_squares(y, x, z, c, covariance=request_), IV2SLS(y, c, x, z)
    elif method == "liml":
        ours, there = liml(y, x, z, c, covariance=request_), IVLIML(y, c, x, z)
    elif method == "fuller":
        ours, there = fuller(y, x, z, c, a=1.0, covariance=request_), IVLIML(y, c, x, z, fuller=1)
    else:
        ours, there = ols(y, x, c, covariance=request_), IV2SLS(y, np.column_stack([x, c]), None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = there.fit(cov_type=kind, **options)
    order = [3, 4, 0, 1, 2] if method != "ols" else slice(None)
    np.testing.assert_allclose(ours.coef, there.params.to_numpy()[order], rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diagonal(ours.cov)), there.std_errors.to_numpy()[order], rtol=1e-8)
    expected = there.cov.to_numpy()[order][:, order]
    np.testing.assert_allclose(ours.cov, expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(ours.residuals, there.resids.to_numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 0.4, 0.9, 1.0])
def test_against_ivmodels(fresh, kappa):
    y, x, z, c, _ = fresh
    there = IvmodelsKClass(kappa=kappa).fit(X=x, y=y, Z=z, C=c[:, :2])
    np.testing.assert_allclose(k_class(y, x, z, c, kappa=kappa).coef[:4], there.coef_, rtol=1e-8)


@pytest.mark.parametrize("gamma", [1.0, 3.0, 50.0])
def test_anchor_against_ivmodels(fresh, gamma):
    y, x, z, c, _ = fresh
    # ivmodels' anchor regression takes no separate controls: partial them out of everything first.
    y, x, z = (v - c @ np.linalg.lstsq(c, v, rcond=None)[0] for v in (y, x, z))
    there = IvmodelsAnchor(gamma=gamma).fit(X=x, y=y, Z=z)
    np.testing.assert_allclose(anchor_regression(y, x, z, None, gamma=gamma).coef, there.coef_, rtol=1e-8)


def test_liml_and_fuller_kappa_against_ivmodels(fresh):
    y, x, z, c, _ = fresh
    for name, ours in (("liml", liml(y, x, z, c)), ("fuller(4)", fuller(y, x, z, c, a=4.0))):
        there = IvmodelsKClass(kappa=name).fit(X=x, y=y, Z=z, C=c[:, :2])
        np.testing.assert_allclose(ours.kappa, there.kappa_, rtol=1e-10)
        np.testing.assert_allclose(ours.coef[:4], there.coef_, rtol=1e-8)


def test_jive_against_its_definition(fresh):
    y, x, z, c, _ = fresh
    w, full = np.column_stack([c, z]), np.column_stack([x, c])
    leave_out = np.array(
        [w[i] @ np.linalg.lstsq(np.delete(w, i, 0), np.delete(x, i, 0), rcond=None)[0] for i in range(N)]
    )
    instruments = np.column_stack([leave_out, c])
    expected = np.linalg.solve(instruments.T @ full, instruments.T @ y)
    fit = jive(y, x, z, c, covariance="HC0")
    np.testing.assert_allclose(fit.coef, expected, rtol=1e-9)
    half = np.linalg.solve(instruments.T @ full, instruments.T * np.asarray(fit.residuals))
    np.testing.assert_allclose(fit.cov, half @ half.T, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("kind", ["HC2", "HC3"])
def test_second_stage_leverages(fresh, kind):
    y, x, z, c, _ = fresh
    fit = two_stage_least_squares(y, x, z, c, covariance=kind)
    w = np.column_stack([c, z])
    xhat = np.column_stack([w @ np.linalg.lstsq(w, x, rcond=None)[0], c])
    leverage = np.sum(xhat * np.linalg.solve(xhat.T @ xhat, xhat.T).T, axis=1)
    weights = np.asarray(fit.residuals) ** 2 / (1 - leverage) ** (1 if kind == "HC2" else 2)
    bread = np.linalg.inv(xhat.T @ xhat)
    expected = bread @ (xhat.T * weights) @ xhat @ bread
    np.testing.assert_allclose(fit.cov, expected, rtol=1e-7, atol=1e-10 * np.abs(expected).max())


def test_fixed_kappa_uses_its_own_scores(fresh):
    y, x, z, c, _ = fresh
    kappa = 0.6
    fit = k_class(y, x, z, c, kappa=kappa, covariance="HC0")
    w, full = np.column_stack([c, z]), np.column_stack([x, c])
    scored = (1 - kappa) * full + kappa * w @ np.linalg.lstsq(w, full, rcond=None)[0]
    expected = sandwich_covariance(scored, fit.residuals, jnp.asarray(scored.T @ full), "HC0")
    np.testing.assert_allclose(fit.cov, expected, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(scored.T @ np.asarray(fit.residuals), 0, atol=1e-8)
    end = k_class(y, x, z, c, kappa=0.0, covariance="HC1")
    np.testing.assert_allclose(end.cov, ols(y, x, c, covariance="HC1").cov, rtol=1e-9)


def test_identities(fresh):
    y, x, z, c, _ = fresh
    tight = {"rtol": 1e-10}
    np.testing.assert_allclose(k_class(y, x, z, c, kappa=0.0).coef, ols(y, x, c).coef, **tight)
    np.testing.assert_allclose(k_class(y, x, z, c, kappa=1.0).coef, two_stage_least_squares(y, x, z, c).coef, **tight)
    np.testing.assert_allclose(
        anchor_regression(y, x, z, c, gamma=5.0).coef, k_class(y, x, z, c, kappa=0.8).coef, **tight
    )
    np.testing.assert_allclose(fuller(y, x, z, c, a=0.0).coef, liml(y, x, z, c).coef, **tight)
    # IV-like regression at alpha, from its own normal equations (equal to the anchor at gamma = 1 + 1/alpha).
    alpha = 0.3
    r = [v - c @ np.linalg.lstsq(c, v, rcond=None)[0] for v in (y, x, z)]
    px = r[2] @ np.linalg.lstsq(r[2], r[1], rcond=None)[0]
    ivl = np.linalg.solve(alpha * r[1].T @ r[1] + px.T @ r[1], alpha * r[1].T @ r[0] + px.T @ r[0])
    np.testing.assert_allclose(anchor_regression(y, x, z, c, gamma=1 + 1 / alpha).coef[:P], ivl, **tight)
    # Traced and static kappa take different branches.
    np.testing.assert_allclose(
        k_class(y, x, z, c, kappa=jnp.asarray(1.0)).coef, k_class(y, x, z, c, kappa=1.0).coef, **tight
    )


def test_just_identified_liml_is_2sls(fresh):
    y, x, z, c, _ = fresh
    fit = liml(y, x, z[:, :P], c)
    assert float(fit.kappa) == 1.0
    np.testing.assert_allclose(fit.coef, two_stage_least_squares(y, x, z[:, :P], c).coef, rtol=1e-10)


def test_liml_kappa_minimises_the_variance_ratio(fresh):
    y, x, z, c, _ = fresh
    reduced = reduce_data(y, x, z, c)
    fit = liml(y, x, z, c)

    @jax.jit
    @jax.value_and_grad
    def ratio(b):
        on = reduced.on_instruments @ jnp.append(-b, 1.0)
        off = reduced.off_instruments @ jnp.append(-b, 1.0)
        return 1 + on @ on / (off @ off)

    value, slope = ratio(np.asarray(fit.coef)[:P])
    np.testing.assert_allclose(value, liml_kappa(reduced), rtol=1e-12)
    np.testing.assert_allclose(slope, 0, atol=1e-9)


@pytest.mark.parametrize("method", [two_stage_least_squares, liml, fuller, jive])
def test_instruments_may_be_rotated_scaled_and_shifted(fresh, method):
    y, x, z, c, _ = fresh
    rotation = np.random.default_rng(0).normal(size=(K, K))
    moved = (z * [1e-4, 1.0, 1e4, 3.0]) @ rotation + c @ np.ones((3, K))
    a, b = method(y, x, z, c, covariance="HC1"), method(y, x, moved, c, covariance="HC1")
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-7)
    # A covariance near zero has no relative precision of its own: the scale of entry (i, j) is se_i * se_j.
    se = np.sqrt(np.diagonal(a.cov))
    scale = np.outer(se, se)
    np.testing.assert_allclose(a.cov / scale, b.cov / scale, atol=1e-7)


def test_without_controls(fresh):
    y, x, z, _, _ = fresh
    there = IV2SLS(y, None, x, z).fit(cov_type="robust", debiased=True)
    ours = two_stage_least_squares(y, x, z, covariance="HC1")
    np.testing.assert_allclose(ours.coef, there.params, rtol=1e-8)
    np.testing.assert_allclose(ours.cov, there.cov, rtol=1e-8)


def batch_of(count):
    return tuple(np.stack(part) for part in zip(*(draw(seed, n=80) for seed in range(count))))


@pytest.mark.parametrize(
    "method",
    [
        lambda y, x, z, c: two_stage_least_squares(y, x, z, c, covariance="HC1"),
        lambda y, x, z, c: liml(y, x, z, c, covariance=Covariance("HAC")),
        lambda y, x, z, c: jive(y, x, z, c, covariance="HC3"),
        lambda y, x, z, c: anchor_regression(y, x, z, c, gamma=3.0),
    ],
)
def test_transforms(method):
    # Each transformed function is one program: an eager vmap would compile every operation by itself.
    data = batch_of(4)
    loop = jax.device_get([jax.jit(method)(*(a[i] for a in data)) for i in range(4)])
    batched = jax.device_get(jax.jit(jax.vmap(method))(*data))
    pairs = (a.reshape(2, 2, *a.shape[1:]) for a in data)
    twice = jax.device_get(jax.jit(jax.vmap(jax.vmap(method)))(*pairs))
    for i, one in enumerate(loop):
        for field in ("coef", "cov", "residuals", "kappa"):
            expected = getattr(one, field)
            np.testing.assert_allclose(getattr(batched, field)[i], expected, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(getattr(twice, field)[i // 2, i % 2], expected, rtol=1e-9, atol=1e-11)


def test_gradients(fresh):
    y, x, z, c, _ = fresh
    w, full = np.column_stack([c, z]), np.column_stack([x, c])
    xhat = w @ np.linalg.lstsq(w, full, rcond=None)[0]
    closed_form = np.linalg.solve(xhat.T @ full, xhat.T)
    jacobian = jax.jit(jax.jacrev(lambda y: two_stage_least_squares(y, x, z, c).coef))(y)
    np.testing.assert_allclose(jacobian, closed_form, rtol=1e-7, atol=1e-10)
    # LIML has no simple closed form: a directional derivative by differences; just identified, kappa sits at
    # 1.
    direction = np.random.default_rng(1).normal(size=N)
    for instruments in (z, z[:, :P]):

        @jax.jit
        def coef(y, instruments=instruments):
            return liml(y, x, instruments, c).coef

        _, slope = jax.jit(lambda y, along, coef=coef: jax.jvp(coef, (y,), (along,)))(y, direction)
        h = 1e-5
        difference = (np.asarray(coef(y + h * direction)) - np.asarray(coef(y - h * direction))) / (2 * h)
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-8)


def test_dtype_follows_the_inputs(fresh):
    y, x, z, c, _ = (np.asarray(a, np.float32) for a in fresh)
    estimate = jax.jit(partial(two_stage_least_squares, covariance="HC1"))  # one program for each type
    fit = estimate(y, x, z, c)
    assert {fit.coef.dtype, fit.cov.dtype, fit.residuals.dtype} == {jnp.dtype("float32")}
    exact = estimate(*(np.asarray(a, np.float64) for a in (y, x, z, c)))
    np.testing.assert_allclose(fit.coef, exact.coef, rtol=2e-3, atol=2e-4)
