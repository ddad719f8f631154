"""Parts 2 and 4, rows: permuting them permutes the answer; arguments are paired only where their indexes agree."""

import numpy as np
import pandas as pd
import pytest

from causalrep.errors import InputError
from tests.contract.catalogue import draw
from tests.contract.networks import ALL
from tests.contract.support import assert_same, baseline, framed, quiet


def length(data):
    return len(next(iter(data.values())))


@pytest.mark.parametrize("name", [name for name, recipe in ALL.items() if not recipe.slow])
@pytest.mark.parametrize("order", ["shuffled", "sorted"])
def test_the_order_of_rows_does_not_matter(name, order):
    recipe = ALL[name]
    _, expected = baseline(name, recipe)
    data = draw(recipe)
    first = next(iter(data.values()))
    rows = np.random.default_rng(1).permutation(len(first))
    if order == "sorted":  # by the outcome, as files often are
        rows = np.argsort(first if first.ndim == 1 else first[:, 0])
    moved = {argument: value[rows] for argument, value in data.items()}
    with quiet():
        # In the order of fit the new rows are the old ones.
        model = recipe.fit(moved)
        answers, there = recipe.answers(model, moved), recipe.answers(model, data)
    wanted = {n: np.asarray(value)[rows] if n in recipe.by_row else value for n, value in expected.items()}
    exact = {n: value for n, value in wanted.items() if n not in recipe.random}
    mine = {n: answers[n] if n in recipe.by_row else there[n] for n in exact}
    assert_same(mine, exact, rtol=1e-6, what=f"rows {order}")
    if recipe.random:
        back = {n: np.asarray(value)[np.argsort(rows)] for n, value in answers.items() if n in recipe.by_row}
        assert_within_seeds(name, there | back)


def assert_within_seeds(name, answers):
    """Answers lie where those of other seeds lie: within five standard deviations of their mean."""
    recipe = ALL[name]
    data = draw(recipe)
    with quiet():
        models = [recipe.make().set_params(seed=seed).fit(**data, **recipe.options) for seed in range(8)]
        others = [recipe.answers(model, data) for model in models]
    for answer in recipe.random:
        values = np.array([np.ravel(other[answer]) for other in others])
        distance = np.abs(np.ravel(answers[answer]) - values.mean(axis=0))
        # Judged together: the root mean square over the entries of one answer.
        assert np.mean(distance**2) <= 25 * np.mean(values.var(axis=0)) + 1e-12 * np.mean(values**2), answer


@pytest.mark.parametrize("name", ALL)
def test_indexes_must_agree(name):
    recipe = ALL[name]
    data = draw(recipe)
    n = length(data)
    if len(data) < 2:
        pytest.skip("one argument: nothing to align")
    with quiet():
        for argument in data:
            given = {other: framed(other, value, pd.RangeIndex(n)) for other, value in data.items()}
            given[argument] = given[argument].set_axis(np.random.default_rng(0).permutation(n), axis=0)
            with pytest.raises(InputError, match="index"):
                recipe.fit(given)
