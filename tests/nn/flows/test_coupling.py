"""ILD under a RealNVP mixing: exact inverse and density, the simulated truth, and a short fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import ild_flow_simulation
from causalrep.errors import InputError
from causalrep.latent import (
    ILDFamily,
    Schedule,
    counterfactual,
    counterfactual_error,
    fit_ild,
    fit_ild_annealed,
    log_likelihood,
    true_counterfactuals,
)
from causalrep.latent.ild.model import ILDModel
from causalrep.latent.ild.objective import ILDRows
from causalrep.latent.ild.scm import scm_of_maps
from causalrep.nn.flows.coupling import flow_forward, flow_inverse, init_flow


@pytest.mark.usefixtures("x64")
def test_inverse_and_determinant():
    flow = init_flow(jax.random.key(0), 4, 3, spread=0.5)
    z = jax.random.normal(jax.random.key(1), (7, 4))
    x, log_det = flow_forward(flow, z)
    back, inverse_log_det = flow_inverse(flow, x)
    np.testing.assert_allclose(back, z, atol=1e-10)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-10)
    jacobians = jax.vmap(jax.jacobian(lambda row: flow_forward(flow, row)[0]))(z)
    np.testing.assert_allclose(jnp.linalg.slogdet(jacobians)[1], log_det, atol=1e-9)
    assert float(jnp.abs(log_det).max()) > 0.1


def true_flow_model(truth):
    """The simulation's truth as a model; biases of its networks are zero."""
    weights = [jnp.asarray(np.stack(layer)) for layer in zip(*truth.blocks, strict=True)]
    flow = init_flow(jax.random.key(0), len(truth.scale), len(truth.blocks))
    flow = flow._replace(first=weights[0], second=weights[1], last=weights[2])
    maps = jnp.swapaxes(jnp.asarray(truth.maps / truth.scale), 1, 2)
    return ILDModel(scm_of_maps(maps, jnp.asarray(truth.shifts / truth.scale)), flow)


@pytest.mark.usefixtures("x64")
def test_the_simulation_is_such_a_model():
    data = ild_flow_simulation(3, latents=4, intervened=(3,), n=500, n_held_out=100)
    model, test = true_flow_model(data.truth), data.test
    x, domain = jnp.asarray(test.x), jnp.asarray(test.domain)
    answers = true_counterfactuals(data.truth, test)
    np.testing.assert_allclose(counterfactual(model, x, domain, 1 - domain)[:100], answers[1][:100], atol=1e-8)
    known = np.concatenate([data.truth.log_density(test.noise[test.domain == d], d) for d in (0, 1)])
    np.testing.assert_allclose(log_likelihood(model, x, domain), known, atol=1e-8)
    # The mixing is no affine map: it stretches space by different factors in different places.
    assert float(jnp.std(flow_inverse(model.mixing, x)[1])) > 0.3
    # Only the intervened latent differs between domains.
    np.testing.assert_array_equal(data.truth.maps[0][:, :3], data.truth.maps[1][:, :3])
    with pytest.raises(InputError, match="latents"):
        ild_flow_simulation(0, latents=5, intervened=(4,))


def test_a_short_fit_approaches_the_truth():
    data = ild_flow_simulation(0, latents=4, intervened=(3,), depth=2, n=4000)
    rows, validation = (
        ILDRows(jnp.asarray(sample.x, jnp.float32), jnp.asarray(sample.domain, jnp.int32))
        for sample in (data.train, data.validation)
    )
    family = ILDFamily("relax-can", 2, 4, 1, depth=2)
    schedule = Schedule(steps=1500, batch_size=250, learning_rate=3e-3)
    result = fit_ild(jax.random.key(0), family, rows, validation, schedule=schedule)
    best = -np.mean([data.truth.log_density(data.validation.noise[data.validation.domain == d], d) for d in (0, 1)])
    start = -float(log_likelihood(family.model(family.init(jax.random.key(0))), *validation).mean())
    assert best - 0.02 < float(result.final_loss) < best + 0.3 * (start - best)
    answers = true_counterfactuals(data.truth, data.test).astype(np.float32)
    assert np.isfinite(float(counterfactual_error(family.model(result.params), data.test, answers)))


def test_what_a_flow_cannot_do():
    with pytest.raises(InputError, match="latents"):
        ILDFamily("dense", 2, 5, depth=2).init(jax.random.key(0))
    with pytest.raises(InputError, match="kind"):
        ILDFamily("independent", 2, 4, depth=2)
    rows = ILDRows(jnp.zeros((10, 4)), jnp.zeros(10, int))
    with pytest.raises(InputError, match="family"):
        fit_ild_annealed(jax.random.key(0), ILDFamily("dense", 2, 4, depth=2), rows, rows)
