"""The identities of doubly variational inference, against independent sums and integrals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logsumexp

from causalrep.confounders.vluci import model as vluci_model
from causalrep.confounders.vluci import objective as vluci_objectives
from causalrep.confounders.vluci.laws import Finite, Gaussian
from causalrep.confounders.vluci.model import LatentModel, Networks
from causalrep.confounders.vluci.objective import Settings, covariance_with, vluci_objective

N, D = 12, 3
# One program each: without jit, every operation would be compiled by itself.
bounds = jax.jit(vluci_objectives.bounds, static_argnames=("model", "samples"))
apply = jax.jit(vluci_model.apply, static_argnames=("model", "method"))


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "x": jnp.asarray(rng.normal(size=(N, D)), jnp.float32),
        "t": jnp.asarray(rng.integers(0, 2, N), jnp.float32),
        "y": jnp.asarray(rng.normal(size=N), jnp.float32),
    }


def _moved(model, batch):
    """Parameters away from their start, where posteriors are priors and coefficients constants."""
    params = jax.jit(Networks(model).init)(jax.random.key(1), batch)
    keys = iter(jax.random.split(jax.random.key(2), 100))
    return jax.tree.map(lambda leaf: leaf + 0.2 * jax.random.normal(next(keys), leaf.shape), params)


def _log_likelihoods(model, params, batch, points):
    """``log p(t|x,u)`` and ``log p(y|x,t,u)`` at values of u (s, k), each (s, N), the densities by scipy."""

    @jax.jit
    @jax.vmap
    def networks(u):
        u = jnp.broadcast_to(u, (N, model.dim))
        index = apply(model, params, "treatment_logit", batch["x"], u)
        return index, *apply(model, params, "outcome_law", batch["x"], u)

    index, location, scale = (np.asarray(a, np.float64) for a in networks(jnp.asarray(points, jnp.float32)))
    t = np.asarray(batch["t"])
    p = stats.norm.cdf(index) if model.link == "probit" else expit(index)
    arm = t.astype(int)
    density = stats.norm.logpdf(np.asarray(batch["y"]), location[:, np.arange(N), arm], scale[:, arm])
    return stats.bernoulli.logpmf(t, p), density


def _repeated(model, params, batch):
    """The bounds from 50 independent sets of 200 samples per row."""

    def one(key):
        return bounds(model, params, key, batch, samples=200)

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 50))


@pytest.mark.parametrize("dim", [1, 2])
def test_two_point_bounds_are_the_likelihood_when_both_posteriors_are_exact(batch, dim):
    """Card 3.2: L_T = log p(t|x), L_Y = log p(y|x,t), L_T + L_Y = L_J = log p(t,y|x)."""
    model = LatentModel("two_point", dim, posterior="exact", hidden=(8,))
    params = _moved(model, batch)
    result = bounds(model, params, jax.random.key(0), batch)
    points = np.array(np.meshgrid(*[[-1, 1]] * dim)).reshape(dim, -1).T
    treatment, outcome = _log_likelihoods(model, params, batch, points)
    joint = logsumexp(treatment + outcome, axis=0) - dim * np.log(2)
    treatment = logsumexp(treatment, axis=0) - dim * np.log(2)
    np.testing.assert_allclose(result.treatment, treatment.mean(), atol=1e-5)
    np.testing.assert_allclose(result.outcome, (joint - treatment).mean(), atol=1e-5)
    np.testing.assert_allclose(result.joint, joint.mean(), atol=1e-5)


def test_amortized_two_point_bounds_lie_below_the_likelihood_by_the_divergences(batch):
    model = LatentModel("two_point", 1, hidden=(8,))
    params = _moved(model, batch)
    exact = LatentModel("two_point", 1, hidden=(8,), posterior="exact")
    result, best = (bounds(which, params, jax.random.key(0), batch) for which in (model, exact))

    def gap(method):
        q, p = (np.asarray(apply(which, params, method, batch).log_probs, np.float64) for which in (model, exact))
        return np.sum(np.exp(q) * (q - p), axis=1).mean()

    np.testing.assert_allclose(best.treatment - result.treatment, gap("q1"), atol=1e-5)
    np.testing.assert_allclose(best.joint - result.joint, gap("q2"), atol=1e-5)
    assert gap("q1") > 1e-3


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_gaussian_bound_against_a_numerically_integrated_marginal_likelihood(batch, link):
    """One dimension: L_J = log p(t,y|x) - KL(q2 || p(u|x,t,y)), both by quadrature."""
    model = LatentModel("gaussian", 1, link=link, hidden=(8,))
    params = _moved(model, batch)
    grid = np.linspace(-9, 9, 1201)[:, None]
    width = grid[1] - grid[0]
    joint = sum(_log_likelihoods(model, params, batch, grid)) + stats.norm.logpdf(grid)
    marginal = logsumexp(joint, axis=0) + np.log(width)
    q = apply(model, params, "q2", batch)
    log_q = stats.norm.logpdf(grid, np.asarray(q.loc)[:, 0], np.sqrt(np.asarray(q.variance()))[:, 0])
    divergence = np.sum(np.exp(log_q) * (log_q - joint + marginal), axis=0) * width
    draws = _repeated(model, params, batch).joint
    se = float(jnp.std(draws)) / np.sqrt(50)
    np.testing.assert_allclose(draws.mean(), (marginal - divergence).mean(), atol=5 * se)
    assert 5 * se < 0.1 * divergence.mean(), "too noisy to tell a bound from the likelihood"


def test_affine_exact_posterior_closes_the_outcome_bound(batch):
    """With q2 the exact posterior given q1, L_Y = log of the normal density of y whose variance includes U's."""
    model = LatentModel("gaussian", 1, posterior="exact", hidden=(8,))
    params = _moved(model, batch)
    q1 = apply(model, params, "q1", batch)
    slopes, scales = apply(model, params, "outcome_slopes", batch["x"])
    arm = np.asarray(batch["t"]).astype(int)
    c, s = np.asarray(slopes)[np.arange(N), arm, 0], np.asarray(scales)[arm]
    location = np.asarray(apply(model, params, "outcome_law", batch["x"], q1.loc).location)[np.arange(N), arm]
    spread = np.sqrt(s**2 + c**2 * np.asarray(q1.variance())[:, 0])
    expected = stats.norm.logpdf(np.asarray(batch["y"]), location, spread).mean()
    draws = _repeated(model, params, batch).outcome
    np.testing.assert_allclose(draws.mean(), expected, atol=5 * float(jnp.std(draws)) / np.sqrt(50) + 1e-5)


def test_kl_weight_scales_the_divergences_alone(batch):
    model = LatentModel("two_point", 1, hidden=(8,))
    params = _moved(model, batch)
    at = jax.jit(lambda weight: bounds(model, params, jax.random.key(0), batch, kl_weight=weight))
    zero, half, one = (at(weight) for weight in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half.joint, (zero.joint + one.joint) / 2, atol=1e-5)
    q2 = apply(model, params, "q2", batch)
    np.testing.assert_allclose(zero.joint - one.joint, q2.kl().sum(1).mean(), atol=1e-5)


def test_joint_objective_moves_the_model_by_the_joint_bound_alone(batch):
    model = LatentModel("two_point", 1, hidden=(8,))
    params = {"networks": _moved(model, batch), "updates": jnp.zeros(())}
    objective = vluci_objective(model, Settings("joint", independence=0.0))
    grads = jax.jit(jax.grad(lambda p: objective.loss(p, jax.random.key(0), batch)[0]))(params)["networks"]["params"]
    alone = jax.grad(lambda p: -bounds(model, p, jax.random.key(0), batch).joint)(params["networks"])["params"]
    for name in alone:
        same = jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.allclose(a, b, atol=1e-6)), grads[name], alone[name]))
        assert same == (name != "q1_net"), name


def test_covariance_term(batch):
    posterior = Gaussian(2.0 * batch["x"][:, :1] + 7.0, jnp.zeros((N, 1)))
    x = np.asarray(batch["x"], np.float64)
    expected = np.sum((2 * np.cov(x.T, ddof=0)[0]) ** 2)
    np.testing.assert_allclose(covariance_with(batch["x"], posterior), expected, rtol=1e-5)


def test_divergences_by_dimension():
    gaussian = Gaussian(jnp.array([[1.0, 0.0]]), jnp.log(jnp.array([[0.25, 1.0]])))
    np.testing.assert_allclose(gaussian.kl(), [[0.5 * (1 + 0.25 - 1) - np.log(0.5), 0.0]], rtol=1e-5)
    known = Finite(jnp.array([[0.0, 50.0]]))
    np.testing.assert_allclose(known.kl(), [[np.log(2)]], rtol=1e-5)
    np.testing.assert_allclose(known.mean(), [[1.0]])
    np.testing.assert_allclose(Finite(jnp.zeros((1, 4))).variance(), [[1.0, 1.0]])
