"""ILD for pictures: sparsity holds in the maps, counterfactuals move what they should, and the façade."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import colored_domains, rotated_domains, shrunk
from causalrep.errors import InputError, NotFittedError
from causalrep.latent import ILDVAE, DomainImages, ILDFamily, ILDVAEModel, ild_vae_objective
from causalrep.metrics import counterfactual_accuracy


def bars(n=300, seed=0):
    """Bars of random height: upright in the first domain, lying in the second."""
    draw = np.random.default_rng(seed)
    images = np.zeros((n, 8, 8), np.float32)
    heights, columns = draw.integers(3, 9, n), draw.integers(2, 6, n)
    for image, height, column in zip(images, heights, columns, strict=True):
        image[8 - height :, column] = 1.0
    domain = np.arange(n) % 2
    images[domain == 1] = np.rot90(images[domain == 1], axes=(1, 2))
    return images, domain, heights


@pytest.fixture(scope="module")
def fitted():
    images, domain, _ = bars()
    labels = np.where(domain == 0, "upright", "lying")
    return ILDVAE(k=2, latents=4, steps=1500, batch_size=64, beta=0.05, learning_rate=2e-3).fit(images, labels)


def test_counterfactuals_turn_the_bar_and_keep_its_height(fitted):
    images, domain, _ = bars(100, seed=1)
    upright = images[domain == 0]
    there = fitted.counterfactual(upright, "upright", "lying")
    turned = np.rot90(upright, axes=(1, 2))
    assert there.shape == upright.shape
    assert np.mean((there - turned) ** 2) < 0.6 * np.mean((upright - turned) ** 2)
    # Lit pixels say how high the bar is.
    assert np.corrcoef(there.sum(axis=(1, 2)), upright.sum(axis=(1, 2)))[0, 1] > 0.7
    same = fitted.counterfactual(upright, "upright", "upright")
    assert np.mean((same - upright) ** 2) < 0.5 * np.mean((upright - upright.mean(axis=0)) ** 2)


@pytest.mark.parametrize("kind", ["dense", "relax-can", "can", "independent"])
def test_only_the_last_k_mechanisms_differ(kind):
    family = ILDFamily(kind, 2, 4, 2)
    model = ILDVAEModel(family, (8, 8, 1))
    params = model.init(jax.random.key(0))
    x, zero = jax.random.uniform(jax.random.key(1), (5, 8, 8, 1)), jnp.zeros(5, int)
    means = [model.encode(params, x, zero + domain)[0] for domain in (0, 1)]
    differ = np.abs(np.asarray(means[0] - means[1])).max(axis=0) > 1e-6
    sparse = kind in ("relax-can", "can")
    assert differ[2:].all()
    assert differ[:2].any() != sparse
    assert model.decode(params, means[0], zero).shape == x.shape


def test_the_loss_is_error_plus_divergence():
    model = ILDVAEModel(ILDFamily("relax-can", 2, 3, 1), (8, 8, 1))
    batch = DomainImages(jax.random.uniform(jax.random.key(1), (40, 8, 8, 1)), jnp.arange(40) % 2)
    objective = ild_vae_objective(model, 0.3)
    params = objective.init(jax.random.key(0), batch)
    loss, terms = objective.loss(params, jax.random.key(2), batch)
    assert float(loss) == pytest.approx(float(terms["error"] + 0.3 * terms["divergence"]), rel=1e-5)
    mean, log_variance = model.encode(params, batch.x, batch.domain)
    known = 0.5 * (mean**2 + jnp.exp(log_variance) - 1 - log_variance).sum(axis=1).mean()
    assert float(terms["divergence"]) == pytest.approx(float(known), rel=1e-5)


def test_the_convolutions_fit_28_by_28_pixels():
    model = ILDVAEModel(ILDFamily("can", 2, 10, 1), (28, 28, 3), "conv")
    x, domain = jnp.zeros((2, 28, 28, 3)), jnp.zeros(2, int)
    shapes = jax.eval_shape(
        lambda key: model.counterfactual(model.init(key), x, domain, domain + 1), jax.random.key(0)
    )
    assert shapes.shape == (2, 28, 28, 3)
    with pytest.raises(InputError, match="network"):
        ILDVAEModel(ILDFamily("can", 2, 10, 1), (8, 8, 1), "conv")


def test_scores_of_known_counterfactuals():
    """Pictures of one pixel: its value is class + 10 domain."""
    domain, label = jnp.arange(60) % 3, jnp.arange(60) // 3 % 4
    x = (label + 10.0 * domain)[:, None, None, None]
    judges = lambda x: (x[:, 0, 0, 0] // 10).astype(int), lambda x: (x[:, 0, 0, 0] % 10).astype(int)

    def moved(x, source, target):
        return x + 10.0 * (target - source)[:, None, None, None]

    def scores(counterfactual, **options):
        return [float(v) for v in counterfactual_accuracy(counterfactual, *judges, x, domain, label, 3, **options)]

    assert scores(moved) == pytest.approx([1, 1, 1, 1])
    assert scores(lambda x, source, target: x) == pytest.approx([1, 1, 1 / 3, 1])
    # Loses the class whenever it moves: lost on the way there, so also on the way back.
    forgets = lambda x, source, target: jnp.where((source == target)[:, None, None, None], x, moved(x, source, target) // 10 * 10)  # noqa: E731, E501
    composition, reversibility, effectiveness, preservation = scores(forgets)
    assert (composition, effectiveness) == pytest.approx((1, 1))
    assert reversibility == preservation
    assert preservation == pytest.approx(1 / 3 + 2 / 3 * float((label == 0).mean()))
    # A map that is right going there and wrong coming back: the released half cycle sees only the way back.
    one_way = lambda x, source, target: jnp.where((target >= source)[:, None, None, None], moved(x, source, target), 0.0 * x)  # noqa: E731, E501
    assert scores(one_way)[1] != scores(one_way, released_cycle=True)[1]


def test_pictures_are_turned_and_coloured():
    images, labels = (np.random.default_rng(0).integers(0, 255, (60, 8, 8)).astype(np.uint8), np.arange(60) % 4)
    found = rotated_domains(images, labels, (0, 90))
    np.testing.assert_allclose(found.x[60:, ..., 0], np.rot90(found.x[:60, ..., 0], axes=(1, 2)), atol=1e-6)
    assert found.x.max() <= 1
    colored = colored_domains(0, np.repeat(images, 40, axis=0), np.repeat(labels, 40))
    assert set(colored.label) == {0, 1, 2}
    red = (colored.x[..., 1:].sum(axis=(1, 2, 3)) == 0) & (colored.x[..., 0].sum(axis=(1, 2)) > 0)
    upright_zero = (colored.label == 0) & (colored.domain == 0)
    assert red[upright_zero].mean() == pytest.approx(0.5, abs=0.06)
    assert red[~upright_zero].mean() == pytest.approx(0.1, abs=0.03)
    np.testing.assert_allclose(shrunk(images)[0, 0, 0], images[0, :2, :2].mean())
    with pytest.raises(InputError, match="factor"):
        shrunk(images, 3)
    with pytest.raises(InputError, match="angles"):
        rotated_domains(images, labels, (0,))


def test_the_facades_door(fitted):
    images, domain, _ = bars(20)
    for X, argument in ((images[0], "X"), (images * 255, "divide by 255"), (images[:, :4], "as in fit")):
        with pytest.raises(InputError, match=argument):
            fitted.counterfactual(X, "upright", "lying")
    with pytest.raises(InputError, match="target"):
        fitted.counterfactual(images, "upright", "sideways")
    with pytest.raises(InputError, match="k"):
        ILDVAE(k=10, latents=10).fit(images, domain)
    with pytest.raises(NotFittedError):
        ILDVAE().transform(images, domain)
    assert fitted.transform(images, "upright").shape == (20, 4)
    assert "sparse mechanism shifts" in str(fitted.summary())
