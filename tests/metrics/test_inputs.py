"""Scores on ordinary nasty input: units, precisions, constant columns, and what cannot be scored."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from causalrep.errors import InputError
from causalrep.metrics import (
    association_scan,
    ate_error,
    att_error,
    beta_vae_score,
    block_r2,
    causal_excess_risk,
    chance_level,
    correlations,
    counterfactual_accuracy,
    coverage,
    dci,
    dci_from_importance,
    diag_sep,
    entropy,
    factor_vae_score,
    graph_chance_level,
    interval_width,
    irs,
    mcc,
    mig,
    modularity,
    mutual_information,
    normalized_excess_risk,
    pehe,
    policy_risk,
    r2,
    randomized_att,
    sap,
    shd,
    sid,
    transitive_closure,
    triplet_distance,
    varsortability,
    weak_mcc,
)

KEY = jax.random.key(0)
UNITS = np.array([1e3, -1e-6, 1e8])


@pytest.fixture(scope="module")
def sample():
    """Three latents with five levels, and three codes that are noisy mixtures of them."""
    rng = np.random.default_rng(0)
    z = rng.integers(0, 5, (800, 3)).astype(float)
    return z, z @ rng.normal(size=(3, 3)) + 0.5 * rng.normal(size=(800, 3))


# Scores of (latents, codes), each a vector of numbers.
SCORES = {
    "mcc": lambda z, c: mcc(z, c),
    "mcc_all_rows": lambda z, c: mcc(z, c, held_out=False),
    "spearman": lambda z, c: mcc(z, c, "spearman"),
    "weak_mcc": lambda z, c: weak_mcc(z, c),
    "correlations": lambda z, c: correlations(z, c),
    "r2": lambda z, c: r2(z, c),
    "kernel_r2": lambda z, c: r2(z[:300], c[:300], "kernel"),
    "block_r2": lambda z, c: block_r2(z, c, [[0, 1], [2]], [[0], [1, 2]]),
    "dci": lambda z, c: jnp.stack(dci(z, c)),
    "mig": lambda z, c: mig(z, c),
    "modularity": lambda z, c: modularity(z, c),
    "sap": lambda z, c: sap(z, c),
    "discrete_sap": lambda z, c: sap(z, c, levels=5),
    "mutual_information": lambda z, c: mutual_information(z, c),
    "factor_vae": lambda z, c: factor_vae_score(KEY, z, c, votes=100),
    "beta_vae": lambda z, c: beta_vae_score(KEY, z, c, votes=100),
    "triplets": lambda z, c: triplet_distance(KEY, z, c, np.arange(3)),
    "association": lambda z, c: jnp.stack(association_scan(c, z)),
}
# These want levels 0 to 4 of the factors, or read equal-width bins, whose ends depend on the sign.
LEVELS = ("discrete_sap", "factor_vae", "beta_vae")
# The others take seconds to compile.
QUICK = [name for name in SCORES if name not in ("kernel_r2", "block_r2", "beta_vae", "triplets", "factor_vae")]
BINS = ("mig", "modularity", "mutual_information")


@pytest.mark.parametrize("name", SCORES)
def test_units_do_not_matter(sample, name):
    z, codes = (block.astype(np.float32) for block in sample)
    units = np.abs(UNITS) if name in BINS else UNITS
    of_z = np.ones(3) if name in LEVELS else units[::-1]
    score = SCORES[name]
    plain, scaled = score(z, codes), score((z * of_z).astype(np.float32), (codes * units).astype(np.float32))
    np.testing.assert_allclose(scaled, plain, atol=2e-3)


@pytest.mark.parametrize("name", QUICK)
def test_half_precision_and_integers_are_computed_in_float32(sample, name):
    z, codes = sample
    score, half = SCORES[name], jnp.asarray(codes, jnp.bfloat16)
    whole = jnp.asarray(z, jnp.int32)
    result = np.asarray(score(whole, half))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, score(whole.astype(jnp.float32), half.astype(jnp.float32)))


@pytest.mark.parametrize("name", QUICK)
def test_numpy_float64_stays_float64(sample, x64, name):
    z, codes = sample
    with jax.enable_x64(False):
        outside = SCORES[name](z, codes)
    np.testing.assert_allclose(outside, SCORES[name](z, codes), atol=1e-12)


@pytest.mark.parametrize("name", ["mcc", "mcc_all_rows", "weak_mcc", "correlations", "spearman"])
def test_no_correlation_exceeds_one(sample, name):
    codes = jnp.asarray(sample[1], jnp.bfloat16)
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(800)
        assert float(jnp.max(SCORES[name](codes[rows], codes[rows]))) <= 1.0


@pytest.mark.parametrize("name", [name for name in QUICK if name not in LEVELS])
def test_the_order_of_the_rows_is_a_choice_of_halves_and_nothing_else(sample, name):
    z, codes = sample
    rng = np.random.default_rng(1)
    order = np.arange(800)
    order[::2], order[1::2] = rng.permutation(order[::2]), rng.permutation(order[1::2])
    score = SCORES[name]
    np.testing.assert_allclose(score(z[order], codes[order]), score(z, codes), atol=1e-9)
    if name in ("mcc_all_rows", "correlations", "sap", "association", *BINS):
        order = rng.permutation(800)
        np.testing.assert_allclose(score(z[order], codes[order]), score(z, codes), atol=1e-9)


def test_a_mixing_is_undone_however_many_rows_there_are():
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(1_000_000, 3)), jnp.float32)
    left, right = (np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(2))
    codes = z @ jnp.asarray(left @ np.diag([20.0, 3.0, 1.0]) @ right, jnp.float32)
    np.testing.assert_allclose(r2(z, codes), 1.0, atol=1e-4)
    assert float(weak_mcc(z[:20_000], z[:20_000] * jnp.array([1.0, 1e-3, 1e-3]))) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_constant_up_to_rounding_is_constant(sample, dtype):
    z, codes = sample
    flat = np.where(np.arange(800) % 3 == 0, 0.3, 0.1 + 0.2)
    z, codes = np.column_stack([z[:, :2], flat]).astype(dtype), np.column_stack([z[:, :2], flat]).astype(dtype)
    close = {"abs": 1e-5}
    for kind in ("pearson", "spearman"):
        assert float(mcc(z, codes, kind)) == pytest.approx(2 / 3, **close)
    np.testing.assert_allclose(r2(z, codes), [1, 1, 0], atol=1e-5)
    assert float(dci(z, codes, 0.0).informativeness) == pytest.approx(2 / 3, **close)
    assert float(mig(z, codes)) == pytest.approx(2 / 3, abs=0.01)
    np.testing.assert_allclose(entropy(z)[2], 0.0, atol=1e-6)
    assert float(modularity(z[:, :2], codes)) > 0.99
    offset = np.full((800, 2), 0.1, dtype)
    assert float(dci(z, offset).informativeness) == pytest.approx(0.0, abs=0.02)


def test_what_is_read_without_a_rival_is_refused(sample):
    z, codes = sample
    one, factor = codes[:, :1], z[:, :1]
    refusals = {
        "z_hat: found 1 codes for 3 latents": lambda: mcc(z, one),
        "z_hat: found one column": lambda: mig(z, one),
        "z_hat: found one column; expected at least two": lambda: sap(z, one),
        "z_hat: found one column; ": lambda: dci(z, one),
        "factors: found one column": lambda: modularity(factor, codes),
        "factors: found one column; expected at least two": lambda: factor_vae_score(KEY, factor, codes),
        "factors: found one column; ": lambda: beta_vae_score(KEY, factor, codes),
        "z: found one column": lambda: dci(factor, codes),
        "importance: found shape": lambda: dci_from_importance(np.ones((1, 3))),
        "matrix: found shape": lambda: diag_sep(np.ones((1, 1))),
        "kind: found 'Spearman'": lambda: mcc(z, codes, "Spearman"),
        "kind: found 'rank'": lambda: weak_mcc(z, codes, "rank"),
        "regressor: found 'ridge'": lambda: r2(z, codes, "ridge"),
        "bins: found 1": lambda: mig(z, codes, bins=1),
        "levels: found 0": lambda: irs(z, codes, 0),
        "factors: found codes from 0 to 4": lambda: sap(z, codes, levels=3),
        "factors: found values that are not whole": lambda: irs(z + 0.5, codes, 9),
        "quantile": lambda: irs(z, codes, 5, quantile=2.0),
        "penalty": lambda: dci(z, codes, -1.0),
        "importance: found negative": lambda: dci_from_importance(-np.ones((2, 2))),
        "z_blocks": lambda: block_r2(z, codes, [[3]], [[0]]),
        "code_blocks": lambda: block_r2(z, codes, [[0]], [[]]),
        "owner": lambda: triplet_distance(KEY, z, codes, np.array([0, 1, 3])),
        "draws": lambda: chance_level(mcc, KEY, z, draws=1),
        "votes": lambda: factor_vae_score(KEY, z, codes, votes=1),
        "features": lambda: association_scan(z[:2], codes[:2]),
        "z: found 2 rows": lambda: mcc(z[:2], codes[:2]),
        "domain: found codes": lambda: counterfactual_accuracy(None, None, None, z, np.full(800, 2), np.ones(800), 2),
    }
    for message, call in refusals.items():
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("name", [name for name in SCORES if name not in ("block_r2", "kernel_r2")])
def test_rows_that_do_not_fit_are_refused(sample, name):
    z, codes = sample
    score = SCORES[name]
    for wrong in (np.where(codes > 3, np.nan, codes), np.where(codes > 3, np.inf, codes)):
        with pytest.raises(InputError, match="missing or infinite values, the first in row"):
            score(z, wrong)
    for rows in (codes[:-1], codes[:0], codes[:, 0]):
        with pytest.raises(InputError):
            score(z, rows)
    with pytest.raises(InputError, match="index that differs"):
        score(pd.DataFrame(z), pd.DataFrame(codes, index=np.arange(800)[::-1]))
    with pytest.raises(InputError):
        score(z, codes.astype(complex))


@pytest.mark.parametrize("name", ["mcc", "weak_mcc", "r2", "dci", "mig", "sap"])
def test_frames_and_lists_score_as_arrays(sample, name):
    z, codes = (block[:50] for block in sample)
    score = SCORES[name]
    np.testing.assert_array_equal(score(pd.DataFrame(z), pd.DataFrame(codes)), score(z, codes))
    np.testing.assert_array_equal(score(z.tolist(), codes.tolist()), score(z, codes))


@pytest.mark.parametrize("name", ["mcc", "weak_mcc", "r2", "dci", "mig", "modularity", "discrete_sap"])
def test_scores_are_parts_of_compiled_programs(sample, name):
    z, codes = (jnp.asarray(block, jnp.float32) for block in sample)
    batch = jnp.stack([codes, codes[:, ::-1]])
    batched = jax.jit(jax.vmap(SCORES[name], in_axes=(None, 0)))(z, batch)
    np.testing.assert_allclose(batched, jnp.stack([SCORES[name](z, block) for block in batch]), atol=2e-3)
    with pytest.raises(InputError, match="rows"):
        jax.jit(SCORES[name])(z, codes[1:])


def test_graphs_that_have_no_distance_are_refused():
    chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    cycle, loop = np.roll(np.eye(3), 1, axis=1), chain + np.diag([1, 0, 0])
    for wrong in (cycle, loop, chain + chain.T):
        for graphs, name in (((chain, wrong), "estimate"), ((wrong, chain), "truth")):
            with pytest.raises(InputError, match=f"{name}: found a graph with a cycle"):
                sid(*graphs)
    hole = np.where(chain > 0, np.nan, 0.0)
    for distance in (shd, sid):
        for wrong in (chain[:1], chain[:2, :2], np.zeros(()), chain[0], hole):
            with pytest.raises(InputError, match="estimate"):
                distance(chain, wrong)
    with pytest.raises(InputError, match="reversal"):
        shd(chain, chain, reversal=3)
    with pytest.raises(InputError, match="graph: found shape"):
        transitive_closure(chain[:2])
    with pytest.raises(InputError, match="truth"):
        graph_chance_level(shd, KEY, chain[:2])
    for variances in (np.ones(2), -np.ones(3), np.array([1, np.nan, 2])):
        with pytest.raises(InputError, match="variances"):
            varsortability(chain, variances)
    with jax.enable_x64(False):
        assert float(varsortability(chain, np.array([1.0, 1.0 + 1e-12, 1.0 + 2e-12]))) == 1.0
    # Sparse samplers of graphs are compared in compiled programs.
    assert jax.jit(jax.vmap(sid))(jnp.stack([chain, chain.T]), jnp.stack([chain, chain])).tolist() == [0, 6]


def test_effects_are_compared_unit_by_unit():
    effect, truth = np.arange(4.0), np.ones(4)
    experiment = np.array([1.0, 0, 1, 0]), np.ones(4)
    for score in (pehe, ate_error, interval_width):
        with pytest.raises(InputError, match=r"found shape \(4, 1\)"):
            score(effect, truth[:, None])
        with pytest.raises(InputError, match="where"):
            score(effect, truth, np.zeros(4))
        with pytest.raises(InputError, match="where: found negative"):
            score(effect, truth, -np.ones(4))
        assert np.isnan(jax.jit(score)(effect, truth, np.zeros(4)))
    for score in (pehe, ate_error):
        with pytest.raises(InputError, match="missing or infinite"):
            score(effect, np.array([1, 2, 3, np.nan]))
        with pytest.raises(InputError, match="index that differs"):
            score(pd.Series(effect), pd.Series(truth, index=[3, 2, 1, 0]))
        big = np.full(4, 1e9)
        assert float(score(big + 1.0, big)) == 1.0, "NumPy's float64 is not rounded"
        assert float(score(jnp.asarray(effect, jnp.bfloat16), jnp.asarray(truth, jnp.int8))) == pytest.approx(
            float(score(effect, truth))
        )
    for call in (
        lambda t, randomized: randomized_att(effect, t, randomized),
        lambda t, randomized: att_error(effect, effect, t, randomized),
        lambda t, randomized: policy_risk(effect, effect, t, randomized),
    ):
        assert np.isfinite(call(*experiment))
        with pytest.raises(InputError, match="T: found other values"):
            call(np.array([1.0, 2, 1, 2]), np.ones(4))
        with pytest.raises(InputError, match="randomized: found"):
            call(experiment[0], np.zeros(4))
        with pytest.raises(InputError, match="T: found shape"):
            call(experiment[0][:, None], np.ones(4))
    with pytest.raises(InputError, match="T: found no units"):
        randomized_att(effect, np.zeros(4), np.ones(4))
    with pytest.raises(InputError, match="truth: found 1 missing values"):
        coverage(effect, effect, np.array([1, 2, np.nan, 4]))


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_a_ratio_of_risks_has_no_units(unit):
    h, f = jnp.array([1.0, 2.0]) * unit, jnp.array([1.0, 3.0]) * unit
    assert float(normalized_excess_risk(h, f)) == pytest.approx(1 / 11)
    assert float(normalized_excess_risk(0 * h, 0 * f)) == 0.0
    for score, wrong in itertools.product(
        (causal_excess_risk, normalized_excess_risk), (f[:1], f[:, None], f * np.nan)
    ):
        with pytest.raises(InputError, match="f: "):
            score(h, wrong)
    with pytest.raises(InputError, match="covariance: found shape"):
        causal_excess_risk(h, f, jnp.ones((2, 1)))
