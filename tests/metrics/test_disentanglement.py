"""DCI, MIG, modularity, SAP, FactorVAE, beta-VAE, IRS and triplets: exact cases and peers."""

import itertools

import jax
import numpy as np
import pytest
from sklearn.linear_model import Lasso
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

from causalrep import metrics
from causalrep.linalg import lasso
from causalrep.metrics import chance_level

pytestmark = pytest.mark.usefixtures("x64")

KEY = jax.random.key(0)
# One program for each function and shape: without jit, every operation would be compiled by itself.
beta_vae_score = jax.jit(metrics.beta_vae_score)
dci = jax.jit(metrics.dci)
dci_from_importance = jax.jit(metrics.dci_from_importance)
factor_vae_score = jax.jit(metrics.factor_vae_score)
irs = jax.jit(metrics.irs, static_argnums=2, static_argnames="quantile")
mig = jax.jit(metrics.mig)
modularity = jax.jit(metrics.modularity)
mutual_information = jax.jit(metrics.mutual_information)
sap = jax.jit(metrics.sap, static_argnames="levels")
triplet_distance = jax.jit(metrics.triplet_distance)


@pytest.fixture
def grid():
    """Every combination of factors with 4, 5 and 20 levels."""
    return np.array(list(itertools.product(range(4), range(5), range(20))), dtype=float)


@pytest.fixture
def rows():
    """Random rows of three factors with five levels each."""
    return np.random.default_rng(0).integers(0, 5, (4000, 3))


def test_importance_scores_of_exact_tables():
    assert [float(s) for s in dci_from_importance(np.eye(4))] == pytest.approx([1.0, 1.0])
    assert [float(s) for s in dci_from_importance(np.ones((4, 4)))] == pytest.approx([0.0, 0.0], abs=1e-12)
    # Two codes share a factor: each code is pure, that factor is split between two of four codes.
    table = np.array([[1.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 2]])
    assert [float(s) for s in dci_from_importance(table)] == pytest.approx([1.0, 1 - np.log(2) / np.log(4) / 3])


def test_dci_of_recovered_mixed_and_unrelated_codes():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2000, 3))
    good = dci(z, -2 * z[:, ::-1])
    assert [float(s) for s in good] == pytest.approx([1.0, 1.0, 1.0], abs=1e-3)
    mixed = chance_level(lambda z, c: dci(z, c).disentanglement, KEY, z)
    assert 0.2 < float(mixed.mean) < 0.7
    assert float(dci(rng.permutation(z), z, 0.06).informativeness) < 0.05


def test_lasso_equals_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    x -= x.mean(axis=0)
    y = x @ np.array([1.0, 0, -2, 0, 0.5, 0]) + rng.normal(size=200)
    y -= y.mean()
    peer = Lasso(alpha=0.3, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y).coef_
    result = np.asarray(jax.jit(lasso)(x, y[:, None], 0.3))
    np.testing.assert_allclose(result[:, 0], peer, atol=1e-6)
    assert 0 < np.count_nonzero(peer) < 6


def test_mig_of_exact_cases(grid):
    assert float(mig(grid, 3.0 - 2 * grid[:, ::-1])) == pytest.approx(1.0, abs=1e-9)
    twice = np.concatenate([grid, grid], axis=1)
    assert float(mig(grid, twice)) == pytest.approx(0.0, abs=1e-9)
    assert float(mig(grid, np.zeros_like(grid))) == pytest.approx(0.0, abs=1e-9)


def test_mutual_information_equals_scikit_learn(rows):
    codes = np.random.default_rng(5).normal(size=(4000, 2)) + rows[:, :2]
    bins = [np.digitize(c, np.histogram(c, 20)[1][:-1]) for c in codes.T]
    wanted = [[mutual_info_score(f, b) for b in bins] for f in rows.T]
    np.testing.assert_allclose(mutual_information(rows.astype(float), codes), wanted, atol=1e-10)


def test_modularity_of_exact_cases(grid):
    assert float(modularity(grid, grid[:, ::-1])) == pytest.approx(1.0, abs=1e-9)
    # A code that numbers the pair of factors speaks of both alike.
    square = np.array(list(itertools.product(range(4), range(4))), dtype=float)
    both = (4 * square[:, 0] + square[:, 1])[:, None]
    assert float(modularity(square, both)) == pytest.approx(0.0, abs=1e-9)


def test_sap_of_exact_cases(grid):
    assert float(sap(grid, np.concatenate([grid, grid], axis=1))) == pytest.approx(0.0, abs=1e-12)
    assert float(sap(grid, grid[:, ::-1])) == pytest.approx(1.0, abs=1e-9)
    z = np.random.default_rng(0).normal(size=(1000, 2))
    codes = z @ np.array([[1.0, 0.5], [0.0, 1.0]])
    squared = np.corrcoef(z.T, codes.T)[:2, 2:] ** 2
    assert float(sap(z, codes)) == pytest.approx(np.abs(squared[:, 0] - squared[:, 1]).mean(), abs=1e-12)


def test_discrete_sap_equals_scikit_learns_machine(rows):
    codes = rows[:, :2] + 0.5 * np.random.default_rng(5).normal(size=(4000, 2))
    codes = (codes - codes[::2].mean(axis=0)) / codes[::2].std(axis=0)
    accuracy = np.zeros((3, 2))
    for i, j in itertools.product(range(3), range(2)):
        machine = LinearSVC(C=0.01, class_weight="balanced", dual=False, tol=1e-10)
        machine.fit(codes[::2, j : j + 1], rows[::2, i])
        accuracy[i, j] = machine.score(codes[1::2, j : j + 1], rows[1::2, i])
    top = np.sort(accuracy, axis=1)
    assert float(sap(rows, codes, levels=5)) == pytest.approx((top[:, -1] - top[:, -2]).mean(), abs=2e-3)


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_scores_with_a_factor_held_fixed(score, rows):
    assert float(score(KEY, rows, -3.0 * rows[:, ::-1])) == pytest.approx(1.0, abs=0.01)
    rng = np.random.default_rng(1)
    noise = rng.normal(size=rows.shape)
    assert float(score(KEY, rows, noise)) == pytest.approx(1 / 3, abs=0.08)
    shuffled = rng.permutation(rows)
    assert float(score(KEY, shuffled, 1.0 * rows)) == pytest.approx(1 / 3, abs=0.08)


def test_irs_of_exact_cases(grid):
    assert float(irs(grid.astype(int), 2.0 * grid, 20)) == pytest.approx(1.0, abs=1e-9)
    # A sum of two equal factors: given one, what is left deviates as far as that factor alone.
    square = np.array(list(itertools.product(range(3), range(3))))
    total = (square[:, :1] + square[:, 1:]).astype(float)
    assert float(irs(square, total, 3, quantile=1.0)) == pytest.approx(1 - 1 / 2, abs=1e-9)
    # Levels that do not occur change nothing.
    assert float(irs(square, total, 9, quantile=1.0)) == pytest.approx(1 - 1 / 2, abs=1e-9)
    noise = np.random.default_rng(0).normal(size=(len(grid), 2))
    assert float(irs(grid.astype(int), noise, 20)) < 0.35


def test_triplets_recombine_only_where_factors_are_apart():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 3))
    good = triplet_distance(KEY, z, -2.0 * z[:, ::-1] + 1, np.array([2, 1, 0]))
    np.testing.assert_allclose(good, 0.0, atol=1e-9)
    wrong_owner = triplet_distance(KEY, z, z[:, ::-1], np.arange(3))
    assert np.asarray(wrong_owner)[0] > 0.4
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotated = triplet_distance(KEY, z, z @ rotation, np.arange(3))
    assert np.asarray(rotated).mean() > 0.3
    shuffled = triplet_distance(KEY, rng.permutation(z), z, np.arange(3))
    # A guess at the mean is sqrt(1/2) of the distance of two Gaussian rows.
    np.testing.assert_allclose(shuffled, np.sqrt(0.5), atol=0.05)
