"""ILD for images: sparsity holds in the maps, counterfactuals move what they should, and the façade."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import colored_domains, rotated_domains
from causalrep.data.images.rotated_images import shrunk
from causalrep.errors import InputError, NotFittedError
from causalrep.latent import ILDVAE, ILDFamily, Schedule, ild_vae_objective
from causalrep.latent.ild.images import DomainImages, ILDVAEModel
from causalrep.metrics import counterfactual_accuracy


def bars(n=400, seed=0):
    """Bars of random height and place; the second domain's camera has a stripe along the lower edge."""
    draw = np.random.default_rng(seed)
    images, domain = np.zeros((n, 8, 8), np.float32), np.arange(n) % 2
    for image, height, column in zip(images, draw.integers(2, 8, n), draw.integers(1, 7, n), strict=True):
        image[:height, column] = 1.0
    images[domain == 1, 7] = 1.0
    return images, domain


@pytest.fixture(scope="module")
def fitted():
    images, domain = bars()
    return ILDVAE(k=1, latents=4, schedule=Schedule(steps=1000)).fit(images, np.where(domain == 0, "clean", "striped"))


def test_counterfactuals_change_the_stripe_and_keep_the_bar(fitted):
    images, domain = bars(100, seed=1)
    clean = images[domain == 0]
    striped = clean.copy()
    striped[:, 7] = 1.0
    for source, target, labels in ((clean, striped, ("clean", "striped")), (striped, clean, ("striped", "clean"))):
        there = fitted.counterfactual(source, *labels)
        assert there.shape == source.shape
        stripe, truth = there[:, 7].mean(axis=1), target[:, 7].mean(axis=1)
        assert np.mean((stripe > 0.5) == (truth > 0.5)) > 0.9
        # The bar: far better than the average image of the target domain, which also has the right stripe.
        average = np.mean((target - target.mean(axis=0)) ** 2)
        assert np.mean((there - target) ** 2) < 0.7 * average
    shuffled = fitted.counterfactual(np.roll(clean, 1, axis=0), "clean", "striped")
    assert np.mean((shuffled - striped) ** 2) > average


@pytest.mark.parametrize("kind", ["dense", "relax-can", "can", "independent"])
def test_only_the_last_k_mechanisms_differ(kind):
    family = ILDFamily(kind, 2, 4, 2)
    model = ILDVAEModel(family, (8, 8, 1))
    params = jax.jit(model.init)(jax.random.key(0))
    x, zero = np.random.default_rng(1).uniform(size=(5, 8, 8, 1)).astype(np.float32), np.zeros(5, np.int32)
    encode, decode = jax.jit(model.encode), jax.jit(model.decode)
    means = [np.asarray(encode(params, x, zero + domain)[0]) for domain in (0, 1)]
    differ = np.abs(means[0] - means[1]).max(axis=0) > 1e-6
    sparse = kind in ("relax-can", "can")
    assert differ[2:].all()
    assert differ[:2].any() != sparse
    assert decode(params, means[0], zero).shape == x.shape


def test_the_loss_is_error_plus_divergence():
    model = ILDVAEModel(ILDFamily("relax-can", 2, 3, 1), (8, 8, 1))
    x = np.random.default_rng(1).uniform(size=(40, 8, 8, 1)).astype(np.float32)
    batch = DomainImages(x, np.arange(40, dtype=np.int32) % 2)
    objective = ild_vae_objective(model, 0.3)
    params = jax.jit(objective.init)(jax.random.key(0), batch)
    loss, terms = jax.device_get(jax.jit(objective.loss)(params, jax.random.key(2), batch))
    assert float(loss) == pytest.approx(float(terms["error"] + 0.3 * terms["divergence"]), rel=1e-5)
    mean, log_variance = jax.device_get(jax.jit(model.encode)(params, batch.x, batch.domain))
    known = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1).mean()
    assert float(terms["divergence"]) == pytest.approx(float(known), rel=1e-5)


def test_the_convolutions_fit_28_by_28_pixels():
    model = ILDVAEModel(ILDFamily("can", 2, 10, 1), (28, 28, 3), "conv")
    x, domain = jnp.zeros((2, 28, 28, 3)), jnp.zeros(2, int)
    shapes = jax.eval_shape(lambda key: model.counterfactual(model.init(key), x, domain, domain + 1), jax.random.key(0))
    assert shapes.shape == (2, 28, 28, 3)
    with pytest.raises(InputError, match="network"):
        ILDVAEModel(ILDFamily("can", 2, 10, 1), (8, 8, 1), "conv")


def test_scores_of_known_counterfactuals():
    """Images of one pixel, whose value is class + 10 domain."""
    domain, label = np.arange(60, dtype=np.int32) % 3, np.arange(60, dtype=np.int32) // 3 % 4
    x = np.float32(label + 10.0 * domain)[:, None, None, None]
    judges = lambda x: (x[:, 0, 0, 0] // 10).astype(int), lambda x: (x[:, 0, 0, 0] % 10).astype(int)

    def moved(x, source, target):
        return x + 10.0 * (target - source)[:, None, None, None]

    def scores(counterfactual, **options):
        @jax.jit  # one program: without jit, every operation would be compiled by itself
        def accuracy(x, domain, label):
            return counterfactual_accuracy(counterfactual, *judges, x, domain, label, 3, **options)

        return [float(v) for v in accuracy(x, domain, label)]

    assert scores(moved) == pytest.approx([1, 1, 1, 1])
    assert scores(lambda x, source, target: x) == pytest.approx([1, 1, 1 / 3, 1])

    # Loses the class whenever it moves: lost on the way there, so also on the way back.
    def forgets(x, source, target):
        return jnp.where((source == target)[:, None, None, None], x, moved(x, source, target) // 10 * 10)

    composition, reversibility, effectiveness, preservation = scores(forgets)
    assert (composition, effectiveness) == pytest.approx((1, 1))
    assert reversibility == preservation
    assert preservation == pytest.approx(1 / 3 + 2 / 3 * float((label == 0).mean()))

    # A map that is right going there and wrong coming back: the released half cycle sees only the way back.
    def one_way(x, source, target):
        return jnp.where((target >= source)[:, None, None, None], moved(x, source, target), 0.0 * x)

    assert scores(one_way)[1] != scores(one_way, released_cycle=True)[1]


def test_images_are_rotated_and_colored():
    images, labels = (np.random.default_rng(0).integers(0, 255, (60, 8, 8)).astype(np.uint8), np.arange(60) % 4)
    result = rotated_domains(images, labels, (0, 90))
    np.testing.assert_allclose(result.x[60:, ..., 0], np.rot90(result.x[:60, ..., 0], axes=(1, 2)), atol=1e-6)
    assert result.x.max() <= 1
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
    images, domain = bars(20)
    for X, argument in ((images[0], "X"), (images * 255, "divide by 255"), (images[:, :4], "as in fit")):
        with pytest.raises(InputError, match=argument):
            fitted.counterfactual(X, "clean", "striped")
    with pytest.raises(InputError, match="target"):
        fitted.counterfactual(images, "clean", "sideways")
    with pytest.raises(InputError, match="k"):
        ILDVAE(k=10, latents=10).fit(images, domain)
    with pytest.raises(NotFittedError):
        ILDVAE().transform(images, domain)
    assert fitted.transform(images, "clean").shape == (20, 4)
    assert "sparse mechanism shifts" in str(fitted.summary())
