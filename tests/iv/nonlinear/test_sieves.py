"""Sieve bases beside SciPy and NumPy, sieve 2SLS beside linearmodels, and its coverage."""

import jax.numpy as jnp
import numpy as np
import pytest
from linearmodels.iv import IV2SLS
from scipy.interpolate import BSpline

from causalrep.errors import InputError, NoIntervalError
from causalrep.iv import RidgeSieveIV, SieveIV
from causalrep.iv.nonlinear.bases import evaluate_basis, make_basis


def draw(seed, n=400):
    """A confounded cubic: the polynomial sieve holds the truth."""
    rng = np.random.default_rng(seed)
    z, u, v = rng.normal(size=(3, n))
    t = z + 0.7 * u + 0.5 * v
    return cubic(t) + 2 * u * (1 + 0.3 * np.abs(z)), t, z


def cubic(t):
    return t - 0.4 * t**2 + 0.2 * t**3


def test_splines_are_scipys(x64):
    x = np.sort(np.random.default_rng(0).exponential(size=200))
    knots = np.quantile(x, [0, 0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1, 1])
    ours = evaluate_basis(make_basis(jnp.asarray(x)[:, None], 6), jnp.asarray(x)[:, None])
    np.testing.assert_allclose(ours, BSpline.design_matrix(x, knots, 3).toarray(), atol=1e-12)


def test_products_of_polynomials_up_to_a_total_degree(x64):
    x = np.random.default_rng(0).uniform(-1, 1, size=(50, 2))
    x[:2] = [[-1, -1], [1, 1]]
    basis = make_basis(jnp.asarray(x), 3, "polynomial")
    assert sorted(basis.powers) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)]
    values = evaluate_basis(basis, jnp.asarray(x))
    each = [np.polynomial.legendre.legvander(x[:, j], 2) for j in range(2)]
    for column, (a, b) in zip(np.asarray(values).T, basis.powers, strict=True):
        np.testing.assert_allclose(column, each[0][:, a] * each[1][:, b], atol=1e-12)


def test_beyond_the_data_the_value_at_the_end_counts(x64):
    x = jnp.linspace(0, 1, 30)[:, None]
    basis = make_basis(x, 5)
    inside = evaluate_basis(basis, x)
    np.testing.assert_allclose(inside.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(evaluate_basis(basis, jnp.array([[-3.0], [9.0]])), inside[jnp.array([0, -1])])


def test_coefficients_and_intervals_are_linearmodels(x64):
    y, t, z = draw(0)
    model = SieveIV(4, instrument_terms=5, basis="polynomial").fit(y, t, Z=z)
    phi, psi = [np.polynomial.legendre.legvander(2 * (a - a.min()) / np.ptp(a) - 1, d) for a, d in ((t, 3), (z, 4))]
    peer = IV2SLS(y, None, phi, psi).fit(cov_type="robust", debiased=True)
    np.testing.assert_allclose(model.coef_, peer.params, rtol=1e-7)
    contrast = (evaluate_basis(model.basis_, jnp.ones((1, 1))) - evaluate_basis(model.basis_, jnp.zeros((1, 1))))[0]
    se = float(np.sqrt(contrast @ peer.cov.to_numpy() @ contrast))
    lower, upper = model.ate_interval(0.1)
    assert (upper - lower) / 2 == pytest.approx(1.6448536 * se, rel=1e-6)
    assert (upper + lower) / 2 == pytest.approx(model.effect(), rel=1e-9)


def test_intervals_cover_and_regression_is_biased():
    covered, biased, truth = 0, 0, cubic(1.0) - cubic(-1.0)
    for seed in range(200):
        y, t, z = draw(seed)
        model = SieveIV(4, instrument_terms=5, basis="polynomial").fit(y, t, Z=z)
        lower, upper = model.ate_interval(T0=-1.0, T1=1.0)
        covered += lower < truth < upper
        # A treatment that is its own instrument: least squares.
        regression = SieveIV(4, instrument_terms=4, basis="polynomial").fit(y, t, Z=t)
        lower, upper = regression.ate_interval(T0=-1.0, T1=1.0)
        biased += not lower < truth < upper
    # Three binomial standard errors of .95 with 200 samples are .046.
    assert 0.90 <= covered / 200 <= 0.995
    assert biased / 200 > 0.9


def test_controls_enter_both_stages():
    rng = np.random.default_rng(0)
    z, u, v, c = rng.normal(size=(4, 4000))
    t = z + u + c + 0.3 * v
    y = t * (1 + c) + 3 * c + 2 * u
    model = SieveIV(3, basis="polynomial").fit(y, t, X=c, Z=z)
    np.testing.assert_allclose(model.effect(X=[[-1.0], [0.0], [1.0]]), [0, 1, 2], atol=0.25)
    lower, upper = model.effect_interval(X=[[-1.0], [0.0], [1.0]])
    assert (lower < upper).all()
    assert model.ate() == pytest.approx(1 + c.mean(), abs=0.2)
    lower, upper = model.ate_interval()
    assert lower < 1 < upper


def test_ridge_has_no_interval_and_says_why():
    y, t, z = draw(1)
    model = RidgeSieveIV().fit(y, t, Z=z)
    assert len(model.penalties_) == 2
    with pytest.raises(NoIntervalError, match="penalties leave a bias"):
        model.effect_interval()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"terms": 3}, "terms"),
        ({"terms": 2.5}, "terms"),
        ({"basis": "wavelet"}, "basis"),
        ({"terms": 6, "instrument_terms": 5}, "instrument_terms"),
        ({"instrument_terms": 300}, "instrument_terms"),
    ],
)
def test_wrong_hyperparameters_are_named(arguments, word):
    y, t, z = draw(0, n=100)
    with pytest.raises(InputError, match=f"^{word}"):
        SieveIV(**arguments).fit(y, t, Z=z)


def test_a_treatment_of_few_values_is_refused_by_a_rich_basis():
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    t = (z + rng.normal(size=200) > 0) * 1.0
    with pytest.raises(InputError, match="terms: found 7 products that are linearly dependent"):
        SieveIV().fit(t + rng.normal(size=200), t, Z=z)


def test_a_binary_instrument_identifies_no_curve():
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2, size=200) * 1.0
    t = z + rng.normal(size=200)
    with pytest.raises(InputError, match="Z: found instruments whose basis has rank 2 for 3 products"):
        SieveIV(3, basis="polynomial").fit(t**2 + rng.normal(size=200), t, Z=z)
    assert np.isfinite(
        SieveIV(2, instrument_terms=2, basis="polynomial").fit(t + rng.normal(size=200), t, Z=z).effect()
    )


def test_too_many_products_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="terms"):
        SieveIV(7).fit(rng.normal(size=60), rng.normal(size=(60, 5)), Z=rng.normal(size=60))
