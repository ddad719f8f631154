"""The simulation of latents over time has the stated transitions and is stationary."""

import jax
import numpy as np
import pytest

from causalrep.data import leap_simulation
from causalrep.errors import InputError


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_the_past_explains_everything_except_the_noise(x64, kind):
    rows = leap_simulation(jax.random.key(0), n=20_000, latents=3, kind=kind)
    assert rows.x.shape == rows.z.shape == (20_000, 3, 3)
    z = np.asarray(rows.z)
    past, present = z[:, :-1].reshape(len(z), -1), z[:, -1]
    residual = present - past @ np.linalg.lstsq(past, present, rcond=None)[0]
    laplace = 0.1 * np.sqrt(2.0)
    if kind == "linear":
        np.testing.assert_allclose(residual.std(axis=0), laplace, rtol=0.03)
        np.testing.assert_allclose(np.mean(residual**4, axis=0) / np.var(residual, axis=0) ** 2, 6.0, atol=1.0)
    else:
        assert residual.std(axis=0).max() > laplace * 1.01, "a linear regression must not fit the transition"
    np.testing.assert_allclose(z[:, 0].std(axis=0), present.std(axis=0), rtol=0.05)  # stationary
    assert present.std(axis=0).max() < 5 * laplace


def test_an_unknown_transition_is_named():
    with pytest.raises(InputError, match=r"^kind: found"):
        leap_simulation(jax.random.key(0), n=10, kind="modular")
