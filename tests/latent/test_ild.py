"""ILD models: round trips, exact likelihood, counterfactuals, and the canonical-form theorem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.latent import ILDFamily, canonical_form, counterfactual, log_likelihood, noise_of, observe
from causalrep.latent.ild.family import KINDS
from causalrep.latent.ild.model import Affine, ILDModel, Mixing, mix, unmix
from causalrep.latent.ild.scm import (
    LatentSCM,
    intervention_set,
    latents_of_noise,
    noise_of_latents,
    noise_to_latent,
    scm_of_maps,
)

pytestmark = pytest.mark.usefixtures("x64")

M, DOMAINS = 5, 3


def random_model(seed=0, intervened=None, slope=0.5, mixings=1):
    """An affine ILD whose shifts are drawn inside the equations, so that ``intervened`` is its intervention set."""
    rng = np.random.default_rng(seed)
    moved = np.arange(M) if intervened is None else np.array(intervened, int)
    weights = np.repeat(np.tril(rng.normal(size=(1, M, M)), -1), DOMAINS, axis=0)
    scales = np.repeat(np.exp(rng.normal(size=(1, M)) / 2), DOMAINS, axis=0)
    inside = np.repeat(rng.normal(size=(1, M)), DOMAINS, axis=0)
    weights[:, moved] = np.tril(rng.normal(size=(DOMAINS, M, M)), -1)[:, moved]
    scales[:, moved] = np.exp(rng.normal(size=(DOMAINS, len(moved))) / 2)
    inside[:, moved] = rng.normal(size=(DOMAINS, len(moved)))
    shifts = np.linalg.solve(np.eye(M) - weights, inside[:, :, None])[:, :, 0]
    matrix = rng.normal(size=(mixings, M, M)) + 2 * np.eye(M)
    arrays = [jnp.asarray(a) for a in (weights, scales, shifts, matrix, rng.normal(size=(mixings, M)))]
    return ILDModel(LatentSCM(*arrays[:3]), Mixing(*arrays[3:], slope))


def rows(n=50, seed=1):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(n, M))), jnp.asarray(rng.integers(0, DOMAINS, n))


@pytest.mark.parametrize("mixings", [1, DOMAINS])
def test_round_trips(mixings):
    model, (x, domain) = random_model(mixings=mixings), rows()
    np.testing.assert_allclose(observe(model, noise_of(model, x, domain), domain), x, atol=1e-10)
    np.testing.assert_allclose(counterfactual(model, x, domain, domain), x, atol=1e-10)
    target = (domain + 1) % DOMAINS
    there = counterfactual(model, x, domain, target)
    np.testing.assert_allclose(counterfactual(model, there, target, domain), x, atol=1e-10)
    assert float(jnp.abs(there - x).max()) > 0.1
    z = unmix(model.mixing, x)[0]
    np.testing.assert_allclose(mix(model.mixing, z), jnp.broadcast_to(x[:, None], z.shape), atol=1e-10)
    noise = noise_of_latents(model.scm, latents_of_noise(model.scm, x)[:, :1])
    np.testing.assert_allclose(noise[:, 0], x, atol=1e-10)


@pytest.mark.parametrize("inner", [False, True])
def test_the_density_is_that_of_the_noise_by_automatic_differentiation(inner):
    model, (x, domain) = random_model(), rows(10)
    if inner:
        before = Affine(jnp.asarray(np.random.default_rng(3).normal(size=(M, M))), jnp.arange(M) / M)
        model = model._replace(mixing=model.mixing._replace(inner=before))

    def by_autodiff(x, d):
        one = lambda x: noise_of(model, x[None], d[None])[0]  # noqa: E731
        density = jax.scipy.stats.norm.logpdf(one(x)).sum()
        return density + jnp.linalg.slogdet(jax.jacobian(one)(x))[1]

    autodiff = jax.jit(jax.vmap(by_autodiff))(x, domain)
    np.testing.assert_allclose(log_likelihood(model, x, domain), autodiff, atol=1e-9)


def test_the_density_integrates_to_one():
    # Two latents on a fine grid: a wrong constant (the log 2 of the kinks, say) would show.
    family = ILDFamily("dense", 2, 2)
    model = family.model(family.init(jax.random.key(0), 0.3))
    side = jnp.linspace(-12, 12, 600)  # an even number: the kink at 0 lies between two points
    x = jnp.stack(jnp.meshgrid(side, side), axis=-1).reshape(-1, 2)
    for d in range(2):
        density = jnp.exp(log_likelihood(model, x, jnp.full(len(x), d)))
        assert float(density.sum()) * float(side[1] - side[0]) ** 2 == pytest.approx(1.0, abs=2e-3)


def test_maps_and_models_are_inverse_to_each_other():
    scm = random_model().scm
    again = scm_of_maps(noise_to_latent(scm), scm.shifts)
    for one, other in zip(scm, again, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("intervened", [(0,), (0, 2, 4), (4,)])
def test_the_canonical_form_keeps_every_counterfactual_and_puts_interventions_last(intervened):
    model, (x, domain) = random_model(2, intervened), rows()
    assert np.flatnonzero(intervention_set(model.scm)).tolist() == list(intervened)
    result = jax.jit(canonical_form)(model)
    assert int(result.intervened) == len(intervened)
    assert result.order[-len(intervened) :].tolist() == list(intervened)
    canonical = result.model
    for target in range(DOMAINS):
        targets = jnp.full(len(x), target)
        np.testing.assert_allclose(
            counterfactual(canonical, x, domain, targets), counterfactual(model, x, domain, targets), atol=1e-8
        )
    # The same distributions, too.
    np.testing.assert_allclose(log_likelihood(canonical, x, domain), log_likelihood(model, x, domain), atol=1e-8)
    # Canonical: the first mechanism is the identity, and so is every component before the intervened ones.
    maps = noise_to_latent(canonical.scm)
    stay = M - len(intervened)
    np.testing.assert_allclose(maps[0], np.eye(M), atol=1e-9)
    np.testing.assert_allclose(maps[:, :stay], np.eye(M)[None, :stay].repeat(DOMAINS, 0), atol=1e-9)
    np.testing.assert_allclose(canonical.scm.shifts[:, :stay], 0.0, atol=1e-9)
    assert np.flatnonzero(intervention_set(canonical.scm, 1e-8)).tolist() == list(range(stay, M))


def test_a_shift_after_the_equations_reaches_the_children():
    # b_d differs in latent 1 alone, added after the solve: its children 2, 3, 4 have other inverse mechanisms too.
    scm = random_model(0, ()).scm
    shifted = scm._replace(shifts=scm.shifts.at[1, 1].add(1.0))
    assert np.flatnonzero(intervention_set(shifted)).tolist() == [1, 2, 3, 4]


def test_a_fitted_distribution_does_not_fix_the_counterfactual():
    # z = eps in one domain, z = -eps in the other: the same distributions as doing nothing, another answer.
    eye, zeros = jnp.eye(M), jnp.zeros((2, M))
    mixing = Mixing(eye[None], jnp.zeros((1, M)), 1.0)
    same, flipped = (
        ILDModel(LatentSCM(jnp.zeros((2, M, M)), jnp.array([[1.0] * M, [sign] * M]), zeros), mixing)
        for sign in (1.0, -1.0)
    )
    x, domain = rows()[0], jnp.zeros(50, int)
    for d in (domain, domain + 1):
        np.testing.assert_allclose(log_likelihood(same, x, d), log_likelihood(flipped, x, d), atol=1e-12)
    np.testing.assert_allclose(counterfactual(same, x, domain, domain + 1), x, atol=1e-12)
    np.testing.assert_allclose(counterfactual(flipped, x, domain, domain + 1), -x, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_families_differ_where_they_may_and_nowhere_else(kind):
    family = ILDFamily(kind, DOMAINS, M, 2)
    model = family.model(family.init(jax.random.key(0)))
    maps = noise_to_latent(model.scm)
    differs = np.abs(np.asarray(model.scm.weights - model.scm.weights[:1])).max(axis=(0, 2)) > 1e-9
    scales = np.abs(np.asarray(model.scm.scales - model.scm.scales[:1])).max(axis=0) > 1e-9
    free = np.arange(M) >= (3 if kind in ("relax-can", "can") else 0)
    assert scales.tolist() == free.tolist()
    assert differs.tolist() == (free & (np.arange(M) > 0)).tolist()
    assert bool(jnp.all(model.scm.scales > 0))
    assert len(model.mixing.matrix) == (DOMAINS if kind == "independent" else 1)
    if kind == "can":
        np.testing.assert_allclose(maps[0], np.eye(M), atol=1e-12)
        np.testing.assert_allclose(maps[:, :3], np.eye(M)[None, :3].repeat(DOMAINS, 0), atol=1e-12)
    if kind == "relax-can":
        assert float(jnp.abs(model.scm.weights[0, :3]).max()) > 0.1


def test_signs_are_free_only_when_asked():
    family = ILDFamily("dense", DOMAINS, M, monotone=False)
    scales = family.model(family.init(jax.random.key(0))).scm.scales
    assert float(scales.min()) < 0 < float(scales.max())


def test_transformations_compose():
    model, (x, domain) = random_model(), rows()
    twice = jax.jit(jax.vmap(jax.vmap(lambda x, d: log_likelihood(model, x[None], d[None])[0])))
    once = log_likelihood(model, x, domain)
    np.testing.assert_allclose(twice(x.reshape(5, 10, M), domain.reshape(5, 10)).reshape(50), once, atol=1e-10)
    gradient = jax.jit(jax.grad(lambda model: log_likelihood(model, x, domain).sum()))(model)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("sparse", 2, 4), "kind"),
        (("can", 1, 4, 1), "domains"),
        (("can", 2, 4, 4), "k"),
        (("relax-can", 2, 4, 0), "k"),
    ],
)
def test_impossible_families_are_refused(arguments, named):
    with pytest.raises(InputError, match=f"^{named}: found"):
        ILDFamily(*arguments)
