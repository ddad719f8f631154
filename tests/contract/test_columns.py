"""Part 3, columns: those of a data frame are matched by name after ``fit``."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from causalrep.errors import CausalrepWarning, InputError
from tests.contract.catalogue import draw
from tests.contract.networks import ALL
from tests.contract.support import framed, quiet

CASES = [(name, argument) for name, recipe in ALL.items() for argument in recipe.later]


@pytest.fixture(scope="module")
def fits():
    """Models fitted to data frames, one for each estimator."""
    models = {}

    def fit(name):
        if name not in models:
            data = draw(ALL[name])
            with quiet():
                models[name] = ALL[name].fit(
                    {a: framed(a, v) if a in ALL[name].numeric else v for a, v in data.items()}
                )
        return models[name]

    return fit


def later(name, argument, fits):
    recipe, data = ALL[name], draw(ALL[name])
    value = data[argument] if data[argument].ndim == 2 else data[argument][:, None]
    frame = pd.DataFrame(
        value,
        columns=framed(argument, data[argument]).to_frame().columns
        if data[argument].ndim == 1
        else framed(argument, value).columns,
    )
    others = {a: framed(a, v) if a in recipe.numeric else v for a, v in data.items()}
    return lambda new: np.asarray(recipe.later[argument](fits(name), new, others), float), frame


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_columns_are_matched_by_name(name, argument, fits):
    call, frame = later(name, argument, fits)
    with quiet():
        expected = call(frame)
        np.testing.assert_array_equal(call(frame[frame.columns[::-1]]), expected)
        np.testing.assert_array_equal(call(pl.from_pandas(frame[frame.columns[::-1]])), expected)


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_missing_and_unknown_columns_are_named(name, argument, fits):
    call, frame = later(name, argument, fits)
    with pytest.raises(InputError, match="'stranger'"):
        call(frame.assign(stranger=1.0))
    with pytest.raises(InputError, match=f"'{frame.columns[0]}'"):
        call(frame.rename(columns={frame.columns[0]: "stranger"}))
    if frame.shape[1] > 1:
        with pytest.raises(InputError, match=f"'{frame.columns[0]}'"):
            call(frame.iloc[:, 1:])


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_an_array_is_taken_by_position_with_a_warning(name, argument, fits):
    call, frame = later(name, argument, fits)
    with quiet():
        expected = call(frame)
    if frame.shape[1] == 1:
        np.testing.assert_array_equal(call(frame.to_numpy()), expected)
        return
    with pytest.warns(CausalrepWarning, match="in this order"):
        np.testing.assert_array_equal(call(frame.to_numpy()), expected)
    with pytest.raises(InputError, match=rf"\b{frame.shape[1] - 1} columns"):
        call(frame.to_numpy()[:, 1:])
