"""The simulation of polynomial mixings: which latents are held constant, and that the mixing is injective."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import ahuja_simulation
from causalrep.data.simulators.latent.mixings import polynomial_mixing
from causalrep.errors import InputError


@pytest.mark.parametrize("kind", ["mixture", "correlated", "scm"])
def test_each_environment_holds_only_its_own_latent_constant(x64, kind):
    rows = ahuja_simulation(jax.random.key(0), n=500, latents=3, observed=12, kind=kind)
    assert rows.x.shape == (4, 500, 12)
    held = np.ptp(np.asarray(rows.z), axis=1) == 0
    np.testing.assert_array_equal(held, np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype(bool))
    np.testing.assert_array_equal(np.asarray(rows.z)[1:][np.eye(3, dtype=bool).nonzero()[0], 0, range(3)], 2.0)
    related = abs(np.corrcoef(np.asarray(rows.z[0]).T)[np.triu_indices(3, 1)]).max()
    assert related > 0.3 if kind in ("correlated", "scm") else related < 0.15


def test_interventions_change_only_descendants(x64):
    draws = [ahuja_simulation(jax.random.key(s), n=4000, latents=2, observed=5, kind="scm").z for s in range(4)]
    moved = [float(jnp.mean(z[1, :, 1])) for z in draws]  # do(z_0 = 2)
    assert max(map(abs, moved)) > 0.8
    for z in draws:
        np.testing.assert_allclose(jnp.mean(z[2, :, 0]), 0.0, atol=0.25)  # do(z_1 = 2)


def test_polynomials_have_their_degree_and_are_injective(x64):
    mix = polynomial_mixing(jax.random.key(0), 2, 9, 3)
    line = jnp.linspace(-1.0, 1.0, 9)[:, None] * jnp.array([1.0, 2.0])
    differences = np.diff(np.asarray(mix(line)), n=4, axis=0)
    np.testing.assert_allclose(differences, 0.0, atol=1e-10)
    assert np.abs(np.diff(np.asarray(mix(line)), n=3, axis=0)).min() > 1e-6
    jacobian = jax.vmap(jax.jacfwd(mix))(jax.random.normal(jax.random.key(1), (20, 2)))
    assert np.linalg.matrix_rank(jacobian).min() == 2


def test_an_unknown_distribution_is_named():
    with pytest.raises(InputError, match=r"^kind: found"):
        ahuja_simulation(jax.random.key(0), n=10, kind="gaussian")
