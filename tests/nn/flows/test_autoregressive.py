"""The gated flow: increasing, exact determinants, and no more parents than gates let in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from causalrep.nn.flows.autoregressive import GatedFlow, flow_log_density, sample_gates


@pytest.fixture
def flow(x64):
    """A flow with parameters far from its first ones, and latents."""
    module, z = GatedFlow(3), jax.random.normal(jax.random.key(1), (7, 3))
    params = module.init(jax.random.key(0), z, jnp.ones((3, 3)))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    moved = [leaf + 0.7 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return module, jax.tree.unflatten(tree, moved), z


def test_the_determinant_is_autodiffs(flow):
    module, params, z = flow
    gates = jnp.ones((3, 3))
    log_slopes = module.apply(params, z, gates)[1]
    jacobians = jax.vmap(jax.jacobian(lambda row: module.apply(params, row[None], gates)[0][0]))(z)
    np.testing.assert_allclose(log_slopes.sum(axis=1), jnp.linalg.slogdet(jacobians)[1], atol=1e-9)
    assert (jnp.diagonal(jacobians, axis1=1, axis2=2) > 0).all(), "increasing in the own latent"
    assert float(jnp.abs(jnp.triu(jacobians, 1)).max()) == 0.0, "autoregressive"


def test_the_density_integrates_to_one(flow):
    module, params, _ = flow
    density = jax.jit(lambda z: jnp.exp(flow_log_density(*module.apply(params, z, jnp.zeros((3, 3))))[0]))
    # With closed gates the latents are independent: fix two and compare a slice with its own normalisation.
    grid = np.linspace(-30, 30, 20_001)
    rows = jnp.stack([jnp.asarray(grid), jnp.zeros(len(grid)), jnp.zeros(len(grid))], axis=1)
    noise, log_slopes = module.apply(params, rows, jnp.zeros((3, 3)))
    own = np.exp(np.asarray(log_slopes[:, 0] - 0.5 * (noise[:, 0] ** 2 + np.log(2 * np.pi))))
    assert integrate.trapezoid(own, grid) == pytest.approx(1.0, abs=1e-3)
    assert float(density(rows[:1])) >= 0.0


def test_a_closed_gate_lets_nothing_through(flow):
    module, params, z = flow
    gates = jnp.ones((3, 3)).at[2, 0].set(0.0)
    slope = jax.jacobian(lambda row: module.apply(params, row[None], gates)[0][0])(z[0])
    assert float(slope[2, 0]) == 0.0
    assert abs(float(slope[2, 1])) > 1e-3
    assert abs(float(slope[1, 0])) > 1e-3


def test_gates_are_drawn_with_a_gradient():
    logits = jnp.array([[0.0, 3.0], [-3.0, 0.0]])
    gates = sample_gates(jax.random.key(0), logits, 4000)
    assert set(np.unique(np.asarray(gates).round(6))) == {0.0, 1.0}
    np.testing.assert_allclose(gates.mean(axis=0), jax.nn.sigmoid(logits), atol=0.04)
    gradient = jax.grad(lambda logits: sample_gates(jax.random.key(0), logits, 4000).mean())(logits)
    assert (gradient > 0).all()
