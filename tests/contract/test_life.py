"""Parts 6 and 9, ownership and life: later changes of the caller's arrays, copies, pickles, clones, second fits."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tests.contract.catalogue import draw
from tests.contract.networks import ALL
from tests.contract.support import assert_same, baseline, framed, quiet

QUICK = [name for name, recipe in ALL.items() if not recipe.slow]


def held(name, kind):
    recipe, data = ALL[name], draw(ALL[name])
    if kind == "arrays":
        return {argument: np.array(value) for argument, value in data.items()}
    return {a: framed(a, np.array(v)) if a in recipe.numeric else np.array(v) for a, v in data.items()}


@pytest.mark.parametrize("kind", ["arrays", "frames"])
@pytest.mark.parametrize("name", QUICK)
def test_later_changes_of_the_data_change_nothing(name, kind):
    recipe, given = ALL[name], held(name, kind)
    with quiet():
        model = recipe.fit(given)
        for argument, value in given.items():
            if isinstance(value, pd.DataFrame | pd.Series):
                value.iloc[:] = 0
            elif value.dtype.kind == "f":
                value *= 1000
            elif argument in recipe.labels:
                value[:] = value[0]
        data = draw(recipe)
        answers = recipe.answers(model, data)
    assert_same(answers, baseline(name, recipe)[1], rtol=1e-9, what="changed arrays")


@pytest.mark.parametrize("name", ALL)
def test_copies_answer_as_the_original(name):
    recipe = ALL[name]
    model, expected = baseline(name, recipe)
    data = draw(recipe)
    with quiet():
        for what, copied in {
            "pickle": pickle.loads(pickle.dumps(model)),
            "deepcopy": copy.deepcopy(model),
        }.items():
            assert_same(recipe.answers(copied, data), expected, rtol=1e-12, what=what)


@pytest.mark.parametrize("name", QUICK)
def test_clones_and_second_fits(name):
    recipe = ALL[name]
    model, expected = baseline(name, recipe)
    copied = clone(model)
    assert repr(copied) == repr(recipe.make())
    assert not [key for key in vars(copied) if key.endswith("_") and not key.startswith("_")]
    data, other = draw(recipe), draw(recipe, seed=5)
    with quiet():
        again = copied.fit(**other, **recipe.options).fit(**data, **recipe.options)
        assert_same(recipe.answers(again, data), expected, rtol=0.0, what="the second fit")
    assert isinstance(again._repr_html_(), str)
    assert type(model).__name__ in repr(model)
