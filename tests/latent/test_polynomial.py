"""Polynomial decoders: monomials, the directions that do-interventions hold constant, and both together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import ahuja_simulation
from causalrep.errors import InputError
from causalrep.latent import PolynomialDisentanglement, Schedule, constant_directions
from causalrep.latent.interventions.polynomial import monomials
from causalrep.metrics import chance_level, mcc, weak_mcc

ROWS = np.random.default_rng(0).normal(size=(400, 9))
LABELS = np.arange(400) % 4
# With two starts one seed in four comes near the optimum, with eight two in three do.
POLYNOMIAL = Schedule(steps=3000, batch_size=256, learning_rate=1e-2, restarts=8)


def test_monomials_are_all_products_up_to_the_degree(x64):
    a, b = 2.0, 3.0
    assert sorted(monomials(jnp.array([a, b]), 3).tolist()) == sorted(
        [a, b, a * a, a * b, b * b, a**3, a * a * b, a * b * b, b**3]
    )


def test_directions_undo_an_affine_map_of_the_latents(x64):
    rows = ahuja_simulation(jax.random.key(0), n=300, latents=3, observed=4, kind="scm")
    affine = jax.random.normal(jax.random.key(1), (3, 3))
    codes, environment = rows.z.reshape(-1, 3) @ affine.T + 5.0, jnp.repeat(jnp.arange(4), 300)
    result = constant_directions(codes, environment, 3) @ affine
    scaled = result / jnp.diagonal(result)[:, None]
    np.testing.assert_allclose(scaled, np.eye(3), atol=1e-8)


def test_a_polynomial_mixing_is_undone_and_shuffled_environments_leave_an_affine_map():
    rows = ahuja_simulation(jax.random.key(2), n=600, latents=3, observed=20, kind="scm")
    x, z = np.asarray(rows.x, float).reshape(-1, 20), rows.z[0]
    labels = np.repeat(["none", "A", "B", "C"], 600)
    model = PolynomialDisentanglement(3, schedule=POLYNOMIAL)
    codes = model.fit(x, labels, observational="none").transform(x[labels == "none"])
    assert model.validation_loss_ < 1e-4
    assert min(abs(np.corrcoef(z[:, i], codes[:, i])[0, 1]) for i in range(3)) > 0.99, "in the environments' order"
    assert float(mcc(np.random.default_rng(0).permutation(z), codes)) < 0.15, "rows of the truth permuted"
    dealt = np.random.default_rng(0).permutation(labels)
    blind = model.fit(x, dealt, observational="none").transform(x[labels == "none"])
    assert float(weak_mcc(z, blind)) > 0.99
    chance = float(chance_level(mcc, jax.random.key(5), z, draws=50).mean)
    assert float(mcc(z, blind)) < chance + 0.12


@pytest.mark.parametrize(
    ("fit", "named"),
    [
        (lambda: PolynomialDisentanglement(3).fit(ROWS, None, observational=0), "environment"),
        (lambda: PolynomialDisentanglement(2).fit(ROWS, LABELS, observational=0), "environment"),
        (lambda: PolynomialDisentanglement(3, degree=0).fit(ROWS, LABELS, observational=0), "degree"),
        (lambda: PolynomialDisentanglement(3).fit(ROWS[:, :2], LABELS, observational=0), "X"),
        (lambda: PolynomialDisentanglement(3).fit(ROWS @ np.ones((9, 9)), LABELS, observational=0), "X"),
    ],
)
def test_wrong_input_is_named(fit, named):
    with pytest.raises(InputError, match=f"^{named}: found"):
        fit()
