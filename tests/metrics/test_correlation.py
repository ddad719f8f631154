"""MCC: closed forms, chance levels, and the leakage test."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import pearsonr, spearmanr

from causalrep.errors import InputError
from causalrep.metrics import chance_level, correlations, mcc, weak_mcc

pytestmark = pytest.mark.usefixtures("x64")

N = 4000
# Card crl-benchmarks, section 6: independent unit-variance latents, averages of 400 draws.
ORTHOGONAL = {2: 0.897, 3: 0.830, 5: 0.735, 10: 0.594, 20: 0.473}
GAUSSIAN = {2: 0.807, 3: 0.733, 5: 0.656, 10: 0.550, 20: 0.450}
UNRELATED = {2: 0.033, 3: 0.040, 5: 0.045, 10: 0.054, 20: 0.062}


def latents(d=5, n=N, seed=0):
    return jax.random.normal(jax.random.key(seed), (n, d))


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
@pytest.mark.parametrize("held_out", [True, False])
def test_permuted_and_scaled_latents_score_one(kind, held_out):
    z = latents()
    z_hat = z[:, jnp.array([3, 0, 4, 1, 2])] * jnp.array([1.0, -2.0, 0.1, 5.0, -3.0]) + 7.0
    assert float(mcc(z, z_hat, kind, held_out=held_out)) == pytest.approx(1.0, abs=1e-10)


def test_a_cube_keeps_ranks_but_not_correlation():
    z = latents(n=40_000)
    assert float(mcc(z, z**3, "spearman")) == pytest.approx(1.0, abs=1e-10)
    # corr(z, z^3) of a Gaussian is E z^4 / sqrt(E z^6) = 3 / sqrt(15).
    assert float(mcc(z, z**3)) == pytest.approx(3 / np.sqrt(15), abs=0.02)


def test_correlations_equal_scipy():
    z, codes = latents(3, 101), jnp.round(latents(4, 101, seed=1), 1)  # rounded: ranks have ties
    for kind, peer in (("pearson", pearsonr), ("spearman", spearmanr)):
        result = correlations(z, codes, kind)
        wanted = [[abs(peer(z[:, i], codes[:, j])[0]) for j in range(4)] for i in range(3)]
        np.testing.assert_allclose(result, wanted, atol=1e-12)


def test_the_match_is_found_on_even_rows_and_scored_on_odd_ones():
    z, codes = np.array(latents(4, 60)), np.array(latents(6, 60, seed=1))
    even, odd = (np.abs(np.corrcoef(z[i::2].T, codes[i::2].T)[:4, 4:]) for i in (0, 1))
    match = linear_sum_assignment(-even)
    assert float(mcc(z, codes)) == pytest.approx(odd[match].mean(), abs=1e-12)
    every = np.abs(np.corrcoef(z.T, codes.T)[:4, 4:])
    assert float(mcc(z, codes, held_out=False)) == pytest.approx(every[linear_sum_assignment(-every)].mean())


def test_an_affine_map_is_undone_by_weak_mcc_alone():
    z = latents()
    mixed = z @ jax.random.normal(jax.random.key(3), (5, 5)) - 4.0
    assert float(weak_mcc(z, mixed)) == pytest.approx(1.0, abs=1e-9)
    assert float(mcc(z, mixed)) < 0.9
    assert float(weak_mcc(z, latents(seed=9))) < 0.1


@pytest.mark.parametrize("d", [2, 5, 20])
def test_chance_levels_of_random_encoders(d):
    z, key = latents(d, 1000), jax.random.key(d)
    draws = 100 if d <= 5 else 30
    orthogonal = chance_level(mcc, key, z, draws=draws)
    assert float(orthogonal.mean) == pytest.approx(ORTHOGONAL[d], abs=0.02)
    assert float(chance_level(mcc, key, z, draws=draws, encoder="gaussian").mean) == pytest.approx(
        GAUSSIAN[d], abs=0.03
    )
    unrelated = chance_level(lambda z, c: mcc(z, c, held_out=False), key, z, draws=draws, encoder="unrelated")
    assert float(unrelated.mean) == pytest.approx(UNRELATED[d], abs=0.01)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_leakage_permuted_rows_of_the_truth_score_as_noise(kind):
    z = latents(5, 2000)
    z_hat = z @ jnp.linalg.qr(latents(5, 5))[0]
    shuffled = [mcc(jax.random.permutation(jax.random.key(s), z), z_hat, kind) for s in range(20)]
    # Held out, an entry is |r| of 1,000 independent rows: sqrt(2 / (pi 1000)) = 0.025 on average.
    assert np.mean(shuffled) == pytest.approx(0.025, abs=0.008)
    assert float(mcc(z, z_hat, kind)) > 0.5


def test_constant_codes_score_zero_and_transformations_compose():
    z = latents(3, 200)
    assert float(mcc(z, jnp.zeros((200, 3)))) == 0.0
    batch = jnp.stack([z, z**3, latents(3, 200, seed=2)])
    batched = jax.jit(jax.vmap(lambda codes: mcc(z, codes)))(batch)
    np.testing.assert_allclose(batched, [mcc(z, codes) for codes in batch], atol=1e-12)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(InputError, match="encoder: found 'best'"):
        chance_level(mcc, jax.random.key(0), latents(), encoder="best")
