"""TE-D and ATE-D: the coding rate, the pieces of either loss, and what a small fit does under a shifted prior."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

from causalrep.data import prior_shift_vqa, vqa_prototypes
from causalrep.data.simulators.multimodal.vqa import answer_prior, bayes_answers
from causalrep.errors import DivergenceError, IdentificationWarning, InputError
from causalrep.keys import derive
from causalrep.multimodal import ATEDClassifier, TEDClassifier, UnimodalDebiasing, coding_rate, sufficiency
from causalrep.multimodal.debiasing.ate_d import Confounders, k_means, nearest_centroid, tied_autoencoder
from causalrep.multimodal.debiasing.sufficiency import softmax_loss
from causalrep.multimodal.debiasing.te_d import TEDModel, TEDNetworks, contrast, fit_ted, ted_objective
from causalrep.multimodal.debiasing.two_streams import StreamSizes, answer_loss, plain_objective, train_streams
from causalrep.training import fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import Schedule


@pytest.mark.parametrize("shape", [(20, 6), (6, 20)])
def test_coding_rate_is_the_sum_over_singular_values(shape, x64):
    z = np.random.default_rng(0).normal(size=shape)
    m, d = shape
    s = np.linalg.svd(z, compute_uv=False)
    expected = 0.5 * np.sum(np.log1p(d * s**2 / (m * 0.05)))
    np.testing.assert_allclose(coding_rate(jnp.asarray(z), 0.05), expected, rtol=1e-10)
    assert coding_rate(jnp.asarray(2 * z)) > coding_rate(jnp.asarray(z))
    np.testing.assert_allclose(jax.grad(coding_rate)(jnp.zeros(shape)), 0.0, atol=1e-12)


def batch_of(rng, n=40):
    return {
        "first": jnp.asarray(rng.normal(size=(n, 3)), jnp.float32),
        "second": jnp.asarray(rng.normal(size=(n, 2)), jnp.float32),
        "y": jax.nn.one_hot(jnp.asarray(rng.integers(0, 4, n)), 4),
    }


def test_the_loss_is_its_terms_and_the_rate_is_minimized():
    batch = batch_of(np.random.default_rng(0))
    model = TEDModel(StreamSizes(4, 6, 8))
    objective = ted_objective(model)
    params = jax.jit(objective.init)(jax.random.key(0), batch)
    out = jax.jit(TEDNetworks(model).apply)(params, batch["first"], batch["second"])
    ce, ce_c = (answer_loss(logits, batch["y"]) for logits in (out.logits, out.confounder_logits))
    rate = coding_rate(out.confounder)
    expected = ce + ce_c + min(1.0, 0.25 * ce_c / rate) * rate + contrast(out.features, out.debiased, out.confounder)
    np.testing.assert_allclose(jax.jit(objective.loss)(params, jax.random.key(1), batch)[0], expected, rtol=1e-5)
    # By hand: the cosines' softmax with the positive first.
    x, f, r = (np.asarray(part, float) for part in (out.features, out.debiased, out.confounder))
    cos = [np.sum(x * o, 1) / np.linalg.norm(x, axis=1) / np.linalg.norm(o, axis=1) for o in (f, r)]
    by_hand = np.mean(-np.log(np.exp(cos[0]) / (np.exp(cos[0]) + np.exp(cos[1]))))
    np.testing.assert_allclose(contrast(out.features, out.debiased, out.confounder), by_hand, rtol=1e-4)
    logits, y = np.asarray(out.logits, float), np.asarray(batch["y"])
    bce = -y * np.log(1 / (1 + np.exp(-logits))) - (1 - y) * np.log(1 / (1 + np.exp(logits)))
    np.testing.assert_allclose(ce, 4 * bce.mean(), rtol=1e-4)


def test_the_confounder_branch_does_not_move_the_backbone_without_contrast():
    batch = batch_of(np.random.default_rng(0))
    sizes = StreamSizes(4, 6, 8)

    def backbone_gradient(rate):
        objective = ted_objective(TEDModel(sizes, rate=rate, contrastive=False))
        params = jax.jit(objective.init)(jax.random.key(0), batch)
        gradient = jax.jit(jax.grad(lambda p: objective.loss(p, jax.random.key(1), batch)[0]))
        return gradient(params)["params"]["backbone"]

    for with_rate, without in zip(*(jax.tree.leaves(backbone_gradient(rate)) for rate in (0.25, 0.0))):
        np.testing.assert_allclose(with_rate, without, atol=1e-6)


def test_tied_autoencoder_reaches_the_principal_directions():
    rng = np.random.default_rng(0)
    h = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 12)) + 0.3 * rng.normal(size=(300, 12)) + 0.5
    data = {"h": jnp.asarray(h, jnp.float32)}
    result = fit(tied_autoencoder(4), adam(0.02, cosine_steps=1500), data, jax.random.key(0), steps=1500)
    s = np.linalg.svd(h, compute_uv=False)
    best = np.sum(s[4:] ** 2) / 300
    assert best * 0.999 < float(result.final_loss) < best * 1.05
    w = np.asarray(result.params["W"])
    np.testing.assert_allclose(w @ w.T, np.eye(4), atol=0.05)


def test_k_means_is_as_good_as_scikit_learns():
    rng = np.random.default_rng(0)
    centres = 5 * rng.normal(size=(6, 3))
    z = (centres[rng.integers(0, 6, 400)] + rng.normal(size=(400, 3))).astype(np.float32)
    inertia = []
    for seed in range(5):
        centroids = k_means(jax.random.key(seed), jnp.asarray(z), 6)
        own = np.asarray(centroids)[np.asarray(nearest_centroid(jnp.asarray(z), centroids))]
        inertia.append(np.sum((z - own) ** 2))
    reference = KMeans(6, n_init=10, random_state=0).fit(z).inertia_
    np.testing.assert_allclose(min(inertia), reference, rtol=1e-3)


def test_weights_of_tokens(x64):
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.normal(size=(8, 3)))[0].T
    entries = rng.normal(size=(4, 3))
    entries /= np.linalg.norm(entries, axis=1, keepdims=True)
    result = Confounders(jnp.asarray(w), jnp.asarray(entries))
    tokens = rng.normal(size=(500, 8))
    weights = np.asarray(result.weights(jnp.asarray(tokens)))
    assert weights.min() >= 0
    assert weights.max() <= 2
    # The token whose code points along the mean entry gets the least weight of all; one orthogonal to them all gets 1.
    typical = entries.mean(0) @ w
    assert result.weights(jnp.asarray(typical[None]))[0] <= weights.min() + 1e-5
    outside = tokens[0] - w.T @ (w @ tokens[0])
    np.testing.assert_allclose(result.weights(jnp.asarray(outside[None]))[0], 1.0, atol=1e-6)


def test_softmax_probe_is_scikit_learns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = np.argmax(x @ rng.normal(size=(3, 4)) + rng.gumbel(size=(400, 4)), axis=1)
    folds = np.arange(400) % 5
    result = softmax_loss(jnp.asarray(x, jnp.float32), jnp.asarray(y), jnp.asarray(folds), classes=4)
    z = (x - x.mean(0)) / x.std(0)
    total = 0.0
    for fold in range(5):
        inside, outside = folds != fold, folds == fold
        model = LogisticRegression(C=1 / (1e-3 * inside.sum()), tol=1e-8).fit(z[inside], y[inside])
        total -= model.predict_log_proba(z[outside])[np.arange(outside.sum()), y[outside]].sum()
    np.testing.assert_allclose(result, total / 400, atol=2e-3)


def test_sufficiency_of_nothing_and_of_everything():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    predicted = jnp.asarray(np.argmax(x[:, :3], axis=1))
    everything, nothing = (
        sufficiency(jax.random.key(0), jnp.asarray(f), jnp.asarray(x), predicted, classes=3)
        for f in (x, rng.normal(size=(300, 4)).astype(np.float32))
    )
    np.testing.assert_allclose(everything.ratio, 1.0, atol=1e-4)
    assert nothing.ratio < 0.05
    assert 0.7 < everything.reference < np.log(3)


def test_the_generator_shifts_the_prior_alone():
    prototypes = vqa_prototypes(jax.random.key(0))
    here, shifted = (prior_shift_vqa(jax.random.key(1), prototypes, n=20_000, shift=s) for s in (0, 2))
    for s, prior in ((here, answer_prior()), (shifted, answer_prior(2))):
        table = np.zeros((8, 4))
        np.add.at(table, (np.asarray(s.answer) // 4, np.asarray(s.answer) % 4), 1)
        np.testing.assert_allclose(table / table.sum(1, keepdims=True), prior, atol=0.03)
    right = [
        np.mean(bayes_answers(s, prototypes, p) == s.answer)
        for s in (here, shifted)
        for p in (answer_prior(), jnp.full((8, 4), 0.25))
    ]
    assert right[0] > right[1] + 0.01, "the training prior helps in distribution"
    assert right[2] < right[3] - 0.01, "and harms out of it"


@pytest.fixture(scope="module")
def shifted():
    prototypes = vqa_prototypes(jax.random.key(0))
    return [
        prior_shift_vqa(jax.random.key(k), prototypes, n=n, shift=s)
        for k, n, s in ((1, 3000, 0), (2, 1500, 0), (3, 1500, 2))
    ]


@pytest.mark.slow
def test_rate_minimization_makes_the_confounder_poorer(shifted):
    train, here, _ = shifted
    answers, truth = np.asarray(train.answer), np.asarray(here.answer)
    with_rate = TEDClassifier(prediction="logits", schedule=Schedule(epochs=8), starts=1).fit(
        train.question, train.image, answers
    )
    # Without the rate the confounder predicts as the model does, and the total effect has nothing left.
    with pytest.warns(IdentificationWarning, match="coding rate"):
        without = TEDClassifier(rate=0.0, schedule=Schedule(epochs=8), starts=1).fit(
            train.question, train.image, answers
        )
    assert with_rate.rate_share_ < 0.8 * without.rate_share_
    assert with_rate.score(here.question, here.image, truth) > 0.6
    assert without.score(here.question, here.image, truth) < 0.3


@pytest.mark.slow
def test_recalibrated_and_unimodal_classifiers_predict(shifted):
    train, here, _ = shifted
    names = np.array([f"answer {a:02d}" for a in range(32)])
    truth = names[np.asarray(here.answer)]
    for model in (ATEDClassifier(schedule=Schedule(epochs=6)), UnimodalDebiasing(schedule=Schedule(epochs=6))):
        model.fit(train.question, train.image, names[np.asarray(train.answer)])
        assert model.score(here.question, here.image, truth) > 0.5, model
        assert set(model.predict(here.question, here.image)) <= set(names)
        if isinstance(model, ATEDClassifier):
            weights = model.weights(here.question, here.image)
            assert (weights >= -1e-6).all()
            assert (weights <= 2).all()
            assert weights.std() > 0
            assert 0 <= model.sufficiency(here.question, here.image).ratio <= 1


def test_bad_input():
    rng = np.random.default_rng(0)
    a, b, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2)), np.arange(30) % 3
    with pytest.raises(InputError, match="second"):
        TEDClassifier().fit(a, b[:-1], y)
    with pytest.raises(InputError, match="multiple of 4"):
        TEDClassifier(features=10).fit(a, b, y)
    with pytest.raises(InputError, match="bottleneck"):
        ATEDClassifier(bottleneck=64).fit(a, b, y)
    with pytest.raises(InputError, match="fusion"):
        UnimodalDebiasing(fusion="sum").fit(a, b, y)
    with pytest.raises(InputError, match="y: found"):
        TEDClassifier().fit(a, b, np.zeros(30))
    with pytest.raises(InputError, match="second: found 29 rows; expected 30 rows, as many as first"):
        UnimodalDebiasing().fit(a, b[1:], y)
    with pytest.raises(InputError, match="y: found an index that differs from first's"):
        UnimodalDebiasing().fit(pd.DataFrame(a), b, pd.Series(y)[::-1])
    with pytest.raises(InputError, match="seed: found 'x'"):
        ATEDClassifier(seed="x").fit(a, b, y)
    with pytest.raises(DivergenceError, match=r"learning_rate=1e\+30.*at update \d+"):
        UnimodalDebiasing(fusion="none", schedule=Schedule(epochs=3, learning_rate=1e30)).fit(a, b, y)


@pytest.mark.slow
def test_of_several_starts_the_one_with_the_least_information_is_kept():
    keys = jax.random.split(jax.random.key(0), 3)
    data = {
        "first": jax.random.normal(keys[0], (200, 3)),
        "second": jax.random.normal(keys[1], (200, 2)),
        "y": jax.nn.one_hot(jax.random.randint(keys[2], (200,), 0, 3), 3),
    }
    model, schedule = TEDModel(StreamSizes(3, 12, 12)), Schedule(epochs=2, batch_size=50)
    fitted = jax.jit(lambda key: fit_ted(key, data, model=model, schedule=schedule))

    def share(result):
        out = TEDNetworks(model).apply(result.params, data["first"], data["second"])
        return float(coding_rate(out.confounder) / coding_rate(out.features))

    starts = [keys[0], *jax.random.split(derive(keys[0], "starts"), 3)]
    alone = [share(fitted(key)) for key in starts]
    assert np.ptp(alone) > 1e-3
    result = jax.jit(lambda key: fit_ted(key, data, model=model, schedule=schedule, starts=4))(keys[0])
    assert share(result) == pytest.approx(min(alone), abs=1e-4)


def test_equal_schedules_share_one_compiled_program():
    data, objective = batch_of(np.random.default_rng(0)), plain_objective(StreamSizes(4, 6, 8))
    chex.clear_trace_counter()
    counted = chex.assert_max_traces(train_streams, n=1)
    program = jax.jit(counted, static_argnames=("objective", "schedule"))
    fits = [
        program(jax.random.key(0), data=data, objective=objective, schedule=Schedule(epochs=2, batch_size=20))
        for _ in range(2)
    ]
    chex.assert_trees_all_equal(*fits)
