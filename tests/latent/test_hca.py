"""HCA: ICA against scikit-learn, closed forms against their definitions, recovery of known hierarchies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import ortho_group
from sklearn.decomposition import FastICA
from sklearn.linear_model import LinearRegression

from causalrep import latent
from causalrep.data import hca_simulation
from causalrep.errors import InputError
from causalrep.latent import HCA, soft_impute
from causalrep.latent.hca import model as hca_model
from causalrep.latent.hca.fit import pad

pytestmark = pytest.mark.usefixtures("x64")

KEY = jax.random.key(0)
# One program each: without jit, every operation would be compiled by itself.
fast_ica = jax.jit(latent.fast_ica, static_argnums=2, static_argnames="restarts")
hierarchy = jax.jit(latent.hierarchy)
name_latents = jax.jit(latent.name_latents)
search_orders = jax.jit(latent.search_orders)
unmix_domains = jax.jit(latent.unmix_domains, static_argnums=(2, 3))
simulate = jax.jit(hca_simulation, static_argnames=("n", "inexactness"))
in_order = jax.jit(hca_model.in_order)
subspace_distance = jax.jit(hca_model.subspace_distance, static_argnums=2)


@pytest.fixture(scope="module")
def exact():
    """A sample that follows the model: four domains of 4,000 rows."""
    with jax.enable_x64(True):
        return jax.device_get(simulate(jax.random.key(3), n=4000))


def exact_unmixing(seed=0, domains=3, d=3, p=6):
    """``B_k H`` with H orthonormal and B_k lower triangular: what ICA would find without noise."""
    rng = np.random.default_rng(seed)
    h = ortho_group.rvs(p, random_state=seed)[:d]
    triangular = np.tril(rng.normal(size=(domains, d, d))) + 2 * np.eye(d)
    return triangular @ h, h


def test_ica_equals_scikit_learn_up_to_order_and_sign(exact):
    x = np.asarray(exact.x[0])
    ours = np.asarray(fast_ica(KEY, exact.x[0], 3, restarts=3).unmixing)
    peer = FastICA(3, fun="logcosh", whiten="unit-variance", max_iter=1000, tol=1e-10, random_state=0).fit(x)
    sources = (x - x.mean(axis=0)) @ ours.T
    np.testing.assert_allclose(sources.std(axis=0, ddof=1), 1.0, atol=1e-9)
    correlation = np.abs(np.corrcoef(sources.T, peer.transform(x).T)[:3, 3:])
    np.testing.assert_allclose(np.sort(correlation.max(axis=1)), 1.0, atol=1e-6)
    assert sorted(correlation.argmax(axis=1)) == [0, 1, 2]


def test_weights_are_repetitions_and_padding_is_nothing(exact):
    x = exact.x[0][:300]
    counts = np.random.default_rng(0).integers(0, 3, 300)
    weighted = fast_ica(KEY, x, 3, weights=counts.astype(float), restarts=3)
    repeated = fast_ica(KEY, np.repeat(x, counts, axis=0), 3, restarts=3)
    # Restarts end in the same components in any order and sign.
    one, other = (np.abs(result.unmixing) for result in (weighted, repeated))
    one, other = (rows[np.argsort(rows[:, 0])] for rows in (one, other))
    np.testing.assert_allclose(one, other, atol=1e-6)
    padded = pad(np.asarray(exact.x[:2].reshape(-1, 6))[:5000], np.repeat([0, 1], [4000, 1000]))
    assert padded.x.shape == (2, 4000, 6)
    assert padded.weights.sum(axis=1).tolist() == [4000, 1000]


def test_the_closed_form_is_the_least_squares_solution():
    unmixing = np.random.default_rng(0).normal(size=(3, 3, 6))
    result = jax.device_get(hierarchy(unmixing))
    np.testing.assert_allclose(result.unmixing @ result.unmixing.T, np.eye(3), atol=1e-10)
    lower = np.tril_indices(3)
    for m, b in zip(unmixing, result.triangular, strict=True):

        def loss(entries, m=m):
            guess = np.zeros((3, 3))
            guess[lower] = entries
            return np.sum((m - guess @ result.unmixing) ** 2)

        best = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-12})
        np.testing.assert_allclose(b[lower], best.x, atol=1e-6)
        assert loss(b[lower]) <= best.fun + 1e-12
    # Each H_i by a singular value decomposition of what is left of the rows.
    rows = unmixing[:, 0]
    direction = np.linalg.svd(rows)[2][0]
    assert abs(direction @ result.unmixing[0]) == pytest.approx(1.0, abs=1e-10)


def test_exact_models_are_exact_and_found_among_all_orders():
    unmixing, h = exact_unmixing()
    result = hierarchy(unmixing)
    np.testing.assert_allclose(np.abs(np.sum(np.asarray(result.unmixing) * h, axis=1)), 1.0, atol=1e-9)
    np.testing.assert_allclose(result.mic, 0.0, atol=1e-12)
    np.testing.assert_allclose(result.rank_one_error, 0.0, atol=1e-9)
    orders = np.array([[2, 0, 1], [0, 2, 1], [1, 2, 0]])
    shuffled = in_order(unmixing, orders)
    search = jax.device_get(search_orders(shuffled))
    np.testing.assert_allclose(in_order(shuffled, search.rows), unmixing, atol=1e-12)
    assert float(search.score) < 1e-12
    assert float(np.sort(search.scores)[1]) > 1e-3, "the other orders do not fit"
    assert float(search.scores.min()) == float(search.score)


def test_mic_ignores_signs_and_a_common_factor():
    unmixing = np.random.default_rng(1).normal(size=(3, 3, 6))
    mic = np.asarray(hierarchy(unmixing).mic)
    assert float(mic.min()) > 0.01
    signs = np.array([[1.0, -1, 1], [-1, -1, 1], [1, 1, -1]])[:, :, None]
    np.testing.assert_allclose(hierarchy(-7.0 * signs * unmixing).mic, mic, atol=1e-10)
    scaled = unmixing * np.array([5.0, 1.0, 1.0])[:, None, None]
    assert np.abs(np.asarray(hierarchy(scaled).mic) - mic).max() > 1e-3
    by_hand = jax.jit(hca_model.inexactness)(np.array([[[1.0, 1.0], [0.0, 2.0]]]))
    assert by_hand.tolist() == pytest.approx([0.25])


def test_structural_weights_solve_the_model():
    triangular = np.tril(np.random.default_rng(2).normal(size=(2, 3, 3))) + 2 * np.eye(3)
    weights, scales = jax.device_get(jax.jit(hca_model.structural_weights)(triangular))
    noise = np.random.default_rng(3).normal(size=3)
    for a, b, inverse in zip(weights, scales, triangular, strict=True):
        z = np.linalg.solve(inverse, noise)
        np.testing.assert_allclose(a @ z + b * noise, z, atol=1e-10)


def test_subspace_distance_of_known_spaces():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) @ np.array([[3.0, 0, 0, 0], [0, 2.0, 0, 0]])
    noise = 1e-6 * rng.normal(size=(200, 4))
    assert float(subspace_distance(x + noise, 5 * x + noise, 2)) == pytest.approx(0.0, abs=1e-9)
    assert float(subspace_distance(x + noise, x[:, ::-1] + noise, 2)) == pytest.approx(1.0, abs=1e-5)


def test_names_equal_ordinary_regressions(exact):
    unmixing = unmix_domains(KEY, pad(np.asarray(exact.x.reshape(-1, 6)), np.repeat(np.arange(4), 4000)), 3, 2)
    result = jax.device_get(hierarchy(in_order(unmixing, search_orders(unmixing).rows)))
    x = np.asarray(exact.x.reshape(-1, 6))
    named = jax.device_get(name_latents(result, x))
    z = x @ result.unmixing.T
    for i in range(3):
        scores = [
            LinearRegression()
            .fit(np.column_stack([x[:, [c]], z[:, :i]]), z[:, i])
            .score(np.column_stack([x[:, [c]], z[:, :i]]), z[:, i])
            for c in range(6)
        ]
        np.testing.assert_allclose(named.r2[i], scores, atol=1e-9)
    # Adjusted latents explain the same rows: eps = B z is what it was.
    np.testing.assert_allclose(named.triangular @ named.unmixing, result.triangular @ result.unmixing, atol=1e-9)


def test_known_hierarchies_are_recovered_and_inexact_ones_noticed(exact):
    def fit(sample):
        x = np.asarray(sample.x.reshape(-1, 6))
        unmixing = unmix_domains(KEY, pad(x, np.repeat(np.arange(4), len(sample.x[0]))), 3, 5)
        search = search_orders(unmixing)
        return hierarchy(in_order(unmixing, search.rows)), float(search.score)

    result, score = fit(exact)
    cosines = np.abs(np.sum(np.asarray(result.unmixing) * exact.directions, axis=1))
    assert cosines.min() > 0.99
    assert score < 0.04
    assert fit(simulate(jax.random.key(3), n=4000, inexactness=0.5))[1] > 2 * score


def test_soft_impute_completes_what_has_low_rank():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6))
    seen = rng.random((300, 6)) < 0.8
    hidden, little = np.where(seen, low, 99.0), jnp.asarray(1e-3)
    filled = soft_impute(hidden, seen, rank=2, shrinkage=little, iterations=2000, tolerance=1e-7)
    np.testing.assert_allclose(filled, low, atol=0.05)
    np.testing.assert_array_equal(np.where(seen, filled, 0.0), np.where(seen, low, 0.0))
    # With everything seen nothing changes; with nothing known, the answer is 0.
    np.testing.assert_array_equal(soft_impute(low, np.ones_like(seen)), low)
    assert np.abs(soft_impute(low, np.zeros_like(seen))).max() == 0.0
    # One step is the soft-thresholded singular value decomposition.
    one = soft_impute(low, seen, rank=2, shrinkage=jnp.asarray(2.0), iterations=1)
    u, s, vt = np.linalg.svd(np.where(seen, low, 0.0), full_matrices=False)
    step = (u[:, :2] * np.maximum(s[:2] - 2.0, 0)) @ vt[:2]
    np.testing.assert_allclose(one, np.where(seen, low, step), atol=1e-9)


def test_the_facade(exact):
    x, domain = np.asarray(exact.x[:3, :400].reshape(-1, 6)), np.repeat(["a", "b", "c"], 400)
    model = HCA(restarts=5).fit(x, domain)
    assert list(model.mic_.index) == ["a", "b", "c"]
    assert float(model.mic_.max()) == pytest.approx(float(model.search_.score))
    assert model.transform(x).shape == (1200, 3)
    np.testing.assert_allclose(np.triu(model.weights_[0]), 0.0)
    shares = model.order_frequencies(draws=8)
    assert shares.sum() == pytest.approx(1.0)
    assert set(" -> ".join(shares.index).split(" -> ")) <= set(model.feature_names_)
    assert "surround" not in str(model.summary())
    assert "non-Gaussian" in str(model.summary())


@pytest.mark.parametrize(
    ("options", "change", "named"),
    [
        ({"latents": 7}, {}, "latents"),
        ({"restarts": 0}, {}, "restarts"),
        ({}, {"domain": np.arange(90) % 45}, "domain"),
        ({}, {"domain": np.zeros(90)}, "domain"),
        ({}, {"X": np.ones((80, 6))}, "domain"),
    ],
)
def test_wrong_input_is_named(options, change, named):
    good = {"X": np.random.default_rng(0).normal(size=(90, 6)), "domain": np.arange(90) % 2}
    with pytest.raises(InputError, match=f"^{named}: found"):
        HCA(**options).fit(**(good | change))
