"""The façades' common ground: bad input by name, shapes of effects, scikit-learn's habits."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from causalrep.errors import InputError, NoIntervalError, NotFittedError
from causalrep.iv import DFIV, DeepGMM, DeepIV, KernelIV, KernelMMR, RidgeSieveIV, SieveIV

ALL = (KernelIV, KernelMMR, SieveIV, RidgeSieveIV, DeepIV, DFIV, DeepGMM)
QUICK = SieveIV(3, basis="polynomial")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    z, u, c, v = rng.normal(size=(4, 300))
    t = z + u + 0.3 * v + 0.5 * c
    return np.sin(t) + c + 2 * u, t, c, z


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize("problem", ["no Z", "NaN", "lengths", "constant", "few", "words", "index"])
def test_bad_input_is_named(data, estimator, problem):
    y, t, c, z = (block.copy() for block in data)
    wrong = {
        "no Z": (y, t, c, None, "Z: found None"),
        "NaN": (y, np.where(np.arange(300) == 7, np.nan, t), c, z, "T: found 1 missing .* row 7"),
        "lengths": (y, t, c, z[:-1], "Z: found 299 rows"),
        "constant": (y, t, np.ones(300), z, "X: found constant columns"),
        "few": (y[:10], t[:10], c[:10], z[:10], "Y: found 10 rows"),
        "words": (y, t, c, np.array(["a"] * 300), "Z: found text"),
        "index": (pd.Series(y), pd.Series(t, index=np.arange(300)[::-1]), c, z, "T: found an index"),
    }
    *arrays, message = wrong[problem]
    with pytest.raises(InputError, match=message):
        estimator().fit(arrays[0], arrays[1], X=arrays[2], Z=arrays[3])


@pytest.mark.parametrize("estimator", ALL)
def test_habits(estimator):
    model = estimator()
    assert clone(model).get_params() == model.get_params()
    assert repr(model) == f"{estimator.__name__}()"
    with pytest.raises(NotFittedError, match="call fit"):
        model.predict([1.0])
    with pytest.raises(InputError, match="wrong"):
        model.set_params(wrong=1)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"candidates": 0}, "candidates"),
        ({"penalty_range": (1.0, 0.1)}, "penalty_range"),
        ({"penalty_range": 0.1}, "penalty_range"),
        ({"approximation": "fourier"}, "approximation"),
        ({"landmarks": 0}, "landmarks"),
    ],
)
def test_wrong_kernel_hyperparameters_are_named(data, arguments, word):
    y, t, _, z = data
    with pytest.raises(InputError, match=f"^{word}"):
        KernelIV(**arguments).fit(y, t, Z=z)


def test_effects_take_one_level_or_many(data):
    y, t, c, z = data
    model = QUICK.fit(y, t, Z=z)
    assert isinstance(model.effect(), float)
    many = model.effect(T0=0.0, T1=[0.5, 1.0])
    assert many[1] == pytest.approx(model.effect())
    assert model.effect(T0=1.0, T1=1.0) == 0.0
    assert model.ate() == pytest.approx(model.effect())
    np.testing.assert_allclose(np.diff(model.predict([0.0, 1.0]))[0], model.effect())
    lower, upper = model.effect_interval(T0=0.0, T1=[0.5, 1.0])
    np.testing.assert_allclose((lower + upper) / 2, many)
    with_control = SieveIV(3, basis="polynomial").fit(y, t, X=c, Z=z)
    effects = with_control.effect(X=c)
    assert effects.shape == (300,)
    assert with_control.ate() == pytest.approx(effects.mean())
    two = SieveIV(2, basis="polynomial").fit(y, np.column_stack([t, z]), X=c, Z=np.column_stack([z, z**2]))
    assert two.effect(X=c, T0=[0.0, 0.0], T1=[1.0, 0.0]).shape == (300,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.effect(X=[1.0]), "X: found controls"),
        (lambda m: m.effect(T1=[[1.0, 2.0]]), "T1: found shape"),
        (lambda m: m.effect(T1=np.nan), "T1: found missing"),
        (lambda m: m.effect(T0=[0.0, 1.0], T1=[0.0, 1.0, 2.0]), "T1: found 3 levels"),
        (lambda m: m.effect(T1=["high"]), "T1: found .'high'."),
        (lambda m: m.ate(T1=[0.0, 1.0]), "T1: found 2 levels"),
        (lambda m: m.predict(np.ones((3, 2))), "T: found 2 columns"),
        (lambda m: m.ate_interval(alpha=2), "alpha"),
    ],
)
def test_wrong_questions_are_named(data, call, message):
    y, t, _, z = data
    with pytest.raises(InputError, match=message):
        call(QUICK.fit(y, t, Z=z))


@pytest.mark.parametrize(
    "model", [KernelIV(approximation="nystroem", landmarks=40), KernelMMR(landmarks=40), SieveIV()]
)
def test_pandas_names_summary_and_pickle(data, model):
    y, t, _, z = data
    model = model.fit(pd.Series(y, name="sales"), pd.Series(t, name="price"), Z=pd.DataFrame({"cost": z}))
    text = str(model.summary())
    assert all(word in text for word in ("sales", "price", "cost", "completeness"))
    if not isinstance(model, SieveIV):
        assert "No interval: the penalties leave a bias" in text
        with pytest.raises(NoIntervalError):
            model.effect_interval()
    else:
        assert "0.975]" in text
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(t[:5]), model.predict(t[:5]))


def test_exact_and_nystroem_by_size_and_by_wish(data):
    y, t, _, z = data
    exact = KernelIV().fit(y, t, Z=z)
    approximate = KernelIV(approximation="nystroem", landmarks=100).fit(y, t, Z=z)
    assert (exact.approximation_, approximate.approximation_) == ("exact", "nystroem")
    np.testing.assert_allclose(approximate.predict(t), exact.predict(t), atol=1e-3)
    assert exact.penalties_ == pytest.approx(approximate.penalties_)


def test_centering_makes_the_answer_equivariant(data):
    y, t, _, z = data
    shifted = KernelIV(landmarks=40, approximation="nystroem").fit(y + 1000, t, Z=z).predict(t[:9])
    np.testing.assert_allclose(
        shifted - 1000, KernelIV(landmarks=40, approximation="nystroem").fit(y, t, Z=z).predict(t[:9]), atol=1e-6
    )


def test_rows_in_another_order_give_a_similar_answer(data):
    y, t, _, z = data
    order = np.argsort(t)  # a sorted file must not put low treatments in one half and high ones in the other
    sorted_first = KernelIV(approximation="nystroem", landmarks=40).fit(y[order], t[order], Z=z[order])
    assert abs(sorted_first.effect(T0=-1.0, T1=1.0) - 2 * np.sin(1)) < 1.0
