"""Flows: the determinant is that of the map, every layer increases, and nothing happens at the start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.nn import Flow
from causalrep.nn.flows.monotone import MonotoneLayer


def perturbed(module, x, by):
    params = module.init(jax.random.key(0), x)
    return jax.tree.map(lambda leaf: leaf + by * jax.random.normal(jax.random.key(1), leaf.shape), params)


@pytest.mark.parametrize(("blocks", "hidden", "d"), [(0, (), 3), (2, (5,), 3), (1, (5,), 1)])
def test_log_volume_is_the_determinant_of_the_map(x64, blocks, hidden, d):
    flow, x = Flow(blocks, hidden), jax.random.normal(jax.random.key(2), (6, d))
    params = perturbed(flow, x, 0.3)
    _, log_volume = flow.apply(params, x)
    jacobian = jax.jit(jax.vmap(jax.jacfwd(lambda row: flow.apply(params, row)[0])))(x)
    np.testing.assert_allclose(log_volume, jnp.linalg.slogdet(jacobian)[1], atol=1e-9)


def test_monotone_layers_increase_and_have_straight_tails(x64):
    layer, x = MonotoneLayer(3), jnp.linspace(-200.0, 200.0, 4001)[:, None]
    image, _ = layer.apply(perturbed(layer, x, 1.0), x)
    steps = np.diff(np.asarray(image)[:, 0])
    assert steps.min() > 0
    for tail in (steps[:100], steps[-100:]):
        np.testing.assert_allclose(tail, tail[0], rtol=1e-6)


def test_a_new_flow_is_nearly_linear(x64):
    flow, x = Flow(3, (16,)), jax.random.normal(jax.random.key(2), (500, 4))
    z, _ = flow.apply(flow.init(jax.random.key(3), x), x)
    design = np.concatenate([x, np.ones((500, 1))], axis=1)
    residual = np.asarray(z) - design @ np.linalg.lstsq(design, np.asarray(z), rcond=None)[0]
    assert (residual.std(axis=0) < 0.2 * np.asarray(z).std(axis=0)).all()
