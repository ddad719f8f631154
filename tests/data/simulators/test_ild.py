"""The simulated data of ILD reproduce the published numbers of the authors' code, which fixes every step."""

import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import ild_simulation
from causalrep.errors import InputError
from causalrep.latent import counterfactual_error, log_likelihood, true_counterfactuals
from causalrep.latent.ild.evaluation import true_model

pytestmark = pytest.mark.usefixtures("x64")

# Three domains, interventions on latents 4 and 5, model seeds 0 to 9 (card ild, section 8).
ORACLE = (3.297, 4.972, 2.182, 4.002, 4.618, 2.824, 4.020, 4.063, 4.115, 4.745)
IDENTITY = (1.488, 0.841, 1.722, 2.080, 2.561, 0.642, 4.329, 3.147, 1.190, 4.884)


def oracle(seed, **options):
    """Test NLL of the true model, its counterfactual error, and the identity map's."""
    data = ild_simulation(seed, **options)
    model, answers = true_model(data.truth), true_counterfactuals(data.truth, data.test)
    nll = -log_likelihood(model, jnp.asarray(data.test.x), jnp.asarray(data.test.domain)).mean()
    return (
        float(nll),
        float(counterfactual_error(model, data.test, answers)),
        float(counterfactual_error(None, data.test, answers)),
    )


@pytest.mark.parametrize("seed", [0, 9])
def test_oracle_likelihood_and_identity_error_to_three_decimals(seed):
    nll, error, identity = oracle(seed)
    assert nll == pytest.approx(ORACLE[seed], abs=0.001)
    assert identity == pytest.approx(IDENTITY[seed], abs=0.001)
    assert error < 1e-12


@pytest.mark.slow
def test_every_seed_and_the_means_of_other_cells():
    results = np.array([oracle(seed) for seed in range(10)])
    np.testing.assert_allclose(results[:, 0], ORACLE, atol=0.001)
    np.testing.assert_allclose(results[:, 2], IDENTITY, atol=0.001)
    cells = {
        (2, (4, 5)): (3.970, 2.243),
        (10, (4, 5)): (3.878, 2.125),
        (2, (0, 1)): (2.845, 4.44),
        (3, (0, 1)): (2.640, 3.62),
        (10, (0, 1)): (2.487, 3.26),
    }
    for (domains, intervened), (nll, identity) in cells.items():
        mean = np.mean([oracle(s, domains=domains, intervened=intervened) for s in range(10)], axis=0)
        assert mean[0] == pytest.approx(nll, abs=0.003)
        assert mean[2] == pytest.approx(identity, abs=0.006)


def test_samples_are_the_truth_applied_to_their_noise():
    data = ild_simulation(3, domains=2, latents=4, intervened=(2, 3), n=500, n_held_out=50)
    for sample, rows in ((data.train, 500), (data.validation, 50), (data.test, 50)):
        assert sample.x.shape == (2 * rows, 4)
        for d in range(2):
            own = sample.domain == d
            np.testing.assert_allclose(sample.x[own], data.truth.observe(sample.noise[own], d))
    # Domains share the mechanisms of latents without interventions.
    np.testing.assert_array_equal(data.truth.maps[0][:, :2], data.truth.maps[1][:, :2])
    assert np.abs(data.truth.maps[0][:, 2:] - data.truth.maps[1][:, 2:]).max() > 0.1
    assert abs(np.linalg.det(data.truth.mixing)) == pytest.approx(1.0)


@pytest.mark.parametrize("intervened", [(), (6,), (1, 1)])
def test_impossible_interventions_are_refused(intervened):
    with pytest.raises(InputError, match="intervened: found"):
        ild_simulation(0, intervened=intervened, n=10)
