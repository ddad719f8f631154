"""PersonaX: its simulator, its bound, what it recovers, what it cannot, and its façade."""

import pickle

import jax
import numpy as np
import pytest

from causalrep import metrics
from causalrep.data import persona_simulation
from causalrep.errors import InputError, NotFittedError
from causalrep.latent import PersonaX, Schedule, identification, multimodal_objective
from causalrep.latent.personax.model import MultimodalSpec, MultimodalVAE
from causalrep.latent.personax.objective import Weights

BLOCKS = ((0, 1), (2, 3))
# One program each: without jit, every operation would be compiled by itself.
block_r2 = jax.jit(metrics.block_r2, static_argnums=(2, 3, 4))
mcc = jax.jit(metrics.mcc)
QUICK = {"schedule": Schedule(steps=1200, batch_size=128)}


@pytest.fixture(scope="module")
def sample():
    return persona_simulation(101, n=3000, cross="separate")


@pytest.fixture(scope="module")
def fitted(sample):
    return PersonaX((2, 2), **QUICK).fit([[x[:2500] for x in modality] for modality in sample.x])


def rest(sample):
    return [[x[2500:] for x in modality] for modality in sample.x]


def test_the_simulator_has_the_edges_it_says():
    plain, dense = persona_simulation(0, n=20_000), persona_simulation(0, n=20_000, cross="dense")
    np.testing.assert_allclose(plain.z.std(axis=0), 1.0, atol=1e-9)
    # Sparse: given z11, z12 says nothing of z21; dense: it does.
    bins = np.digitize(plain.z[:, 0], np.quantile(plain.z[:, 0], np.linspace(0, 1, 41)[1:-1]))

    def partial(sample, i, j):
        a, b = (sample.z[:, k].copy() for k in (i, j))
        for level in range(40):
            rows = bins == level
            a[rows] -= a[rows].mean()
            b[rows] -= b[rows].mean()
        return abs(np.corrcoef(a, b)[0, 1])

    assert partial(plain, 1, 2) < 0.03
    assert partial(dense, 1, 2) > 0.2
    assert plain.graph.sum() == 3
    assert dense.graph.sum() == 6
    again = persona_simulation(0, n=20_000)
    np.testing.assert_array_equal(again.x[1][2], plain.x[1][2])
    with pytest.raises(InputError, match="cross"):
        persona_simulation(0, cross="none")


def test_the_bound_is_the_sum_of_its_terms():
    spec = MultimodalSpec((2, 1), ((3, 4), (2,)), hidden=(8,))
    rng = np.random.default_rng(0)
    x = tuple(
        tuple(rng.normal(size=(50, columns)).astype(np.float32) for columns in modality)
        for modality in spec.measurements
    )
    weights = Weights(2.0, 0.1, 0.3, 0.7)
    objective = multimodal_objective(spec, weights)
    params = jax.jit(objective.init)(jax.random.key(0), x)
    loss, terms = jax.device_get(jax.jit(objective.loss)(params, jax.random.key(1), x))
    expected = (
        2.0 * terms["error"] + 0.1 * terms["divergence"] + 0.3 * terms["open_gates"] + 0.7 * terms["disagreement"]
    )
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    # Two gates lead between the modalities, each open with the probability of its logit.
    assert float(terms["open_gates"]) == pytest.approx(2 * float(jax.nn.sigmoid(2.0)), rel=1e-5)
    codes = jax.jit(lambda params, x: MultimodalVAE(spec).apply(params, x, method="encode"))(params, x)
    assert codes.z.shape == (50, 3)
    assert len(codes.specific) == 3
    # One modality has two measurements: their codes' squared distance, halved by the mean, is a pair's.
    alone = MultimodalSpec((2,), ((3,),), hidden=(8,))
    single = MultimodalVAE(alone)
    own = jax.jit(single.init)(jax.random.key(0), ((x[0][0],),), jax.random.key(0))
    codes = jax.jit(lambda params, x: single.apply(params, x, method="encode"))(own, ((x[0][0],),))
    assert float(codes.disagreement) == 0.0
    assert spec.blocks == ((0, 1), (2,))
    assert np.array(spec.between).sum() == 2


def test_blocks_and_latents_are_recovered(sample, fitted):
    codes, z = np.asarray(fitted.transform(rest(sample))), np.asarray(sample.z[2500:], np.float32)
    result = np.asarray(block_r2(z, codes, BLOCKS, BLOCKS, "kernel"))
    assert result.diagonal().min() > 0.75, result
    assert result.diagonal().min() > result[0, 1]
    assert float(mcc(z, codes)) > float(mcc(z, codes[::-1])) + 0.4
    noises = fitted.noises(rest(sample))
    np.testing.assert_allclose(noises.mean(axis=0), 0.0, atol=0.25)
    assert 0.6 < noises.std() < 1.3


def test_the_facade(sample, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(rest(sample)), fitted.transform(rest(sample)))
    assert fitted.blocks_ == BLOCKS
    assert fitted.gates_.shape == (4, 4)
    assert not np.tril(fitted.gates_).any(), "edges lead from earlier to later latents"
    text = str(fitted.summary())
    assert "sparse edges between modalities" in text
    assert "z21" in text
    with pytest.raises(NotFittedError):
        PersonaX((2, 2)).transform(sample.x)
    with pytest.raises(InputError, match="as in fit"):
        fitted.transform([sample.x[0], sample.x[1][:1]])


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"latents": (2,)}, "latents"),
        ({"latents": (2, 0)}, "latents"),
        ({"schedule": Schedule(steps=30)}, "schedule.steps"),
        ({"schedule": Schedule(batch_size=0)}, "schedule.batch_size"),
        ({"sparsity": -1.0}, "sparsity"),
        ({"schedule": Schedule(validation_share=1.0)}, "schedule.validation_share"),
    ],
)
def test_wrong_hyperparameters_are_named(sample, change, argument):
    with pytest.raises(InputError, match=argument):
        PersonaX(**{"latents": (2, 2)} | change).fit(sample.x)


def test_wrong_data_are_named(sample):
    x = [[np.array(a) for a in modality] for modality in sample.x]
    with pytest.raises(InputError, match="list of modalities"):
        PersonaX((2, 2)).fit(x[0][0])
    x[1][0][3, 2] = np.nan
    with pytest.raises(InputError, match=r"X\[1\]\[0\]"):
        PersonaX((2, 2)).fit(x)
    x[1][0] = np.ones_like(x[1][0])
    with pytest.raises(InputError, match="constant"):
        PersonaX((2, 2)).fit(x)
    with pytest.raises(InputError, match="same rows"):
        PersonaX((2, 2)).fit([[a[:-1] for a in x[0]], sample.x[1]])


def test_identification_follows_neighborhoods_and_views():
    graph = persona_simulation(0, n=10, cross="separate").graph
    result = identification(graph, BLOCKS, [3, 3])
    assert result["component"].all()
    sparse = identification(persona_simulation(0, n=10).graph, BLOCKS, [3, 3])
    assert list(sparse["mixed_with"]) == [(), (0,), (), (2,)]
    assert list(sparse["component"]) == [True, False, True, False]
    dense = identification(persona_simulation(0, n=10, cross="dense").graph, BLOCKS, [3, 3])
    assert not dense["component"].any()
    assert dense["block"].all()
    # One measurement and another modality are two views; without an edge between modalities there is one.
    assert list(identification(graph, BLOCKS, [3, 1])["views"]) == [4, 4, 2, 2]
    assert not identification(np.zeros((4, 4)), BLOCKS, [3, 2])["block"][2:].any()
    with pytest.raises(InputError, match="blocks"):
        identification(graph, ((0, 1), (1, 2)), [3, 3])
