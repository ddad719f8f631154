"""The selectors of alpha against what they are defined to do."""

import jax
import numpy as np
import pytest
import scipy.optimize
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

from causalrep import data, iv
from causalrep.iv.ivl import selection

pytestmark = pytest.mark.usefixtures("x64")
CANDIDATES = np.array([1e-4, 1e-2, 1.0, 100.0])
# One program for each function and shape: without jit, every operation would be compiled by itself.
confounder_corrected_norm = jax.jit(selection.confounder_corrected_norm)
discretize = jax.jit(selection.discretize)
held_out_levels = jax.jit(selection.held_out_levels)
ivl = jax.jit(iv.ivl)
ivl_path = jax.jit(iv.ivl_path)
level_ids = jax.jit(selection.level_ids)
log_uniform_candidates = jax.jit(selection.log_uniform_candidates, static_argnums=1)
select_confounder_correction = jax.jit(selection.select_confounder_correction)
select_cv = jax.jit(selection.select_cv)
select_level_cv = jax.jit(selection.select_level_cv)
sample_linear_sem = jax.jit(data.sample_linear_sem, static_argnames=("treatments", "confounders"))
draw_linear = jax.jit(data.draw_linear, static_argnames="n")


@pytest.fixture(scope="module")
def sample():
    with jax.enable_x64(True):
        sem_key, data_key = jax.random.split(jax.random.key(3))
        sem = sample_linear_sem(sem_key, treatments=8, confounders=8)
        return jax.device_get((sem, draw_linear(data_key, sem, n=600)))


def test_candidates_are_log_uniform():
    draws = np.log10(log_uniform_candidates(jax.random.key(0), 4000, 1e-4, 1.0))
    assert draws.min() >= -4
    assert draws.max() <= 0
    assert abs(draws.mean() + 2) < 4 * (4 / np.sqrt(12)) / np.sqrt(4000)


def test_discretize_is_uniform_binning_standardized():
    z = np.random.default_rng(0).normal(size=(500, 3)) ** 3
    binned = KBinsDiscretizer(n_bins=2, encode="ordinal", strategy="uniform").fit_transform(z)
    np.testing.assert_allclose(discretize(z), StandardScaler().fit_transform(binned).round(2), atol=1e-12)
    assert np.array_equal(discretize(np.ones((5, 1))), np.zeros((5, 1)))


def test_levels_are_the_distinct_rows():
    z = np.asarray(discretize(np.random.default_rng(1).normal(size=(200, 5))))
    ours, theirs = np.asarray(level_ids(z)), np.unique(z, axis=0, return_inverse=True)[1].ravel()
    assert len(set(zip(ours, theirs, strict=True))) == len(set(ours)) == len(set(theirs))


def testheld_out_levels_are_whole_and_a_fifth():
    levels = np.random.default_rng(2).choice(20, p=np.arange(1, 21) / 210, size=300)
    counts = np.bincount(levels, minlength=20)
    shares = np.zeros(20)
    for seed in range(200):
        held = np.asarray(held_out_levels(jax.random.key(seed), levels, 0.2))
        assert len(set(levels[held])) == 4
        assert not set(levels[held]) & set(levels[~held])
        shares += np.bincount(levels[held], minlength=20) > 0
    # Rare levels are held out more often than common ones.
    assert np.corrcoef(shares, counts)[0, 1] < 0
    one = np.asarray(held_out_levels(jax.random.key(0), np.arange(300) % 2, 0.2))
    assert one.mean() == 0.5, "at least one level is held out"


def test_cv_picks_the_least_held_out_risk(sample):
    _, s = sample
    key = jax.random.key(5)
    chosen = float(select_cv(key, s.y, s.gx, s.g, CANDIDATES, x_score=s.x))
    draws = np.asarray(jax.random.uniform(key, (600,)))
    held = draws < np.sort(draws)[120]
    assert held.sum() == 120
    path = ivl_path(*(a[~held] for a in (s.y, s.gx, s.g)))
    risks = [np.mean((s.y[held] - s.x[held] @ np.asarray(ivl(path, a))) ** 2) for a in CANDIDATES]
    assert chosen == float(CANDIDATES[int(np.argmin(risks))])


def test_level_cv_returns_a_candidate_and_is_reproducible(sample):
    _, s = sample
    z = discretize(s.g)
    picks = [float(select_level_cv(jax.random.key(1), s.y, s.gx, z, CANDIDATES, x_score=s.x)) for _ in range(2)]
    assert picks[0] == picks[1]
    assert picks[0] in CANDIDATES


def test_confounder_correction_maximises_the_likelihood_of_the_direction(sample):
    """Against a generic optimiser on the matrix form of the same likelihood (Janzing 2019)."""
    _, s = sample
    x, y = s.x, s.y
    w = np.linalg.lstsq(x, y, rcond=None)[0]
    cov = np.cov(x, rowvar=False)
    d = len(w)

    def negative_log_density(log_theta):
        squared = np.eye(d) + np.exp(log_theta) * np.linalg.inv(cov)
        stretched = w @ np.linalg.solve(squared, w) / (w @ w)
        return 0.5 * np.linalg.slogdet(squared)[1] + d / 2 * np.log(stretched)

    grid = np.linspace(-25, 25, 2001)
    start = grid[np.argmin([negative_log_density(point) for point in grid])]
    best = scipy.optimize.minimize_scalar(
        negative_log_density, bounds=(start - 0.05, start + 0.05), method="bounded", options={"xatol": 1e-12}
    ).x
    theta = 0.0 if negative_log_density(-60.0) <= negative_log_density(best) else np.exp(best)
    beta = 1 / (1 + 1 / (0.001 + theta * np.trace(np.linalg.inv(cov)) / d))
    expected = np.sqrt(1 - beta) * np.linalg.norm(w)
    assert float(confounder_corrected_norm(y, x)) == pytest.approx(expected, rel=1e-5)


def test_confounder_correction_is_nearer_to_the_truth_than_least_squares():
    nearer = []
    for seed in range(12):
        sem = sample_linear_sem(jax.random.key(seed), treatments=16, confounders=16)
        s = draw_linear(jax.random.key(100 + seed), sem, n=1000, kappa=3.0)
        w = np.linalg.lstsq(np.asarray(s.x), np.asarray(s.y), rcond=None)[0]
        truth = np.linalg.norm(sem.f)
        corrected = float(confounder_corrected_norm(s.y, s.x))
        nearer.append(abs(corrected - truth) < abs(np.linalg.norm(w) - truth))
    assert np.mean(nearer) > 0.7


def test_confounder_correction_matches_the_length(sample):
    _, s = sample
    path = ivl_path(s.y, s.gx, s.g)
    for alpha in CANDIDATES:
        length = np.linalg.norm(ivl(path, alpha))
        assert float(select_confounder_correction(path, CANDIDATES, length)) == float(alpha)


@pytest.fixture(scope="module")
def designs():
    """Eight data sets of the paper's linear design, weakly augmented, rounded to float32: y, GX and G."""
    with jax.enable_x64(True):

        def draw(key):
            sem_key, data_key = jax.random.split(key)
            drawn = draw_linear(data_key, sample_linear_sem(sem_key), n=2048, gamma=0.01)
            return drawn.y, drawn.gx, drawn.g

        drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(5), 8))
        return [np.asarray(array, np.float32) for array in drawn]


def test_confounder_correction_survives_float32(designs):
    y, x, _ = designs
    corrected = jax.jit(jax.vmap(confounder_corrected_norm))
    low = np.asarray(corrected(y, x), np.float64)
    np.testing.assert_allclose(low, corrected(y.astype(np.float64), x.astype(np.float64)), rtol=1e-4)
    # What it avoids: a cut-off at float32's rounding error of the covariance drops directions that count.
    spectrum = np.linalg.svd(x - x.mean(axis=1, keepdims=True), compute_uv=False) ** 2
    assert (spectrum < 2048 * np.finfo(np.float32).eps * spectrum[:, :1]).any(axis=1).sum() >= 4


def test_float32_joins_no_levels(designs):
    levels = np.asarray(discretize(designs[2][0]))
    distinct = len(np.unique(levels, axis=0))
    assert distinct > 1900
    assert np.asarray(level_ids(levels)).max() + 1 == distinct
    repeated = np.concatenate([levels[:50]] * 4)
    numbers = np.asarray(level_ids(repeated)).reshape(4, 50)
    assert (numbers == numbers[0]).all()
    assert len(set(numbers[0])) == 50
