"""Part 5, kinds: numbers are numbers, whatever holds them; categories, text and dates are not; missing is missing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.contract.catalogue import draw
from tests.contract.networks import ALL
from tests.contract.support import assert_same, baseline, framed, named, quiet

NUMERIC = [(name, argument) for name, recipe in ALL.items() for argument in recipe.numeric]
LABELS = [(name, argument) for name, recipe in ALL.items() for argument in recipe.labels]


def as_frame(argument, value):
    frame = framed(argument, value)
    return frame.to_frame() if isinstance(frame, pd.Series) else frame


def masked(value):
    result = np.ma.masked_array(value.copy(), mask=np.zeros(value.shape, bool))
    result[(3,) * value.ndim if value.ndim == 1 else (3, 0)] = np.ma.masked
    return result


def missing(frame, value):
    result = frame.copy()
    result.iloc[3, 0] = value
    return result


def first_column(frame, values):
    return frame.assign(**{frame.columns[0]: values})


REFUSED = {
    "text": lambda f: first_column(f, f.iloc[:, 0].astype(str)),
    "objects of text": lambda f: first_column(f, f.iloc[:, 0].astype(str).astype(object)),
    "categories": lambda f: first_column(f, pd.Categorical(f.iloc[:, 0].round())),
    "dates": lambda f: first_column(f, pd.date_range("2020", periods=len(f))),
    "durations": lambda f: first_column(f, pd.to_timedelta(np.arange(len(f)), unit="D")),
    "complex numbers": lambda f: first_column(f, f.iloc[:, 0].astype(complex)),
    "NaN": lambda f: missing(f, np.nan),
    "infinity": lambda f: first_column(f, f.iloc[:, 0].where(np.arange(len(f)) != 3, np.inf)),
    "NA": lambda f: missing(f.convert_dtypes(), pd.NA),
    "None among objects": lambda f: first_column(f, f.iloc[:, 0].astype(object).where(np.arange(len(f)) != 3, None)),
    "NA among objects": lambda f: first_column(f, f.iloc[:, 0].astype(object).where(np.arange(len(f)) != 3, pd.NA)),
    "NaT": lambda f: first_column(f, pd.date_range("2020", periods=len(f)).where(np.arange(len(f)) != 3)),
    "masked": lambda f: masked(f.to_numpy()),
    "list with None": lambda f: [[None if i == 3 else v for v in row] for i, row in enumerate(f.to_numpy().tolist())],
    "null in polars": lambda f: pl.from_pandas(f).with_columns(
        pl.when(pl.int_range(pl.len()) != 3).then(pl.col(f.columns[0]))
    ),
    "text in polars": lambda f: pl.from_pandas(f).cast(pl.String),
}
ACCEPTED = {
    "nullable": lambda f: f.convert_dtypes(),
    "arrow": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda f: f.astype(object),
    "polars": pl.from_pandas,
    "list": lambda f: f.to_numpy().tolist(),
    "big-endian": lambda f: f.to_numpy().astype(">f8"),
    "column-major": lambda f: np.asfortranarray(f.to_numpy()),
    "strided": lambda f: np.repeat(f.to_numpy(), 2, axis=0)[::2],
}


@pytest.mark.parametrize(("name", "argument"), NUMERIC)
def test_what_is_no_number_is_refused_by_name(name, argument):
    recipe, data = ALL[name], draw(ALL[name])
    frame = as_frame(argument, data[argument])
    with quiet():
        for kind, change in REFUSED.items():
            try:
                with named(argument):
                    recipe.fit(data | {argument: change(frame)})
            except pytest.fail.Exception:
                pytest.fail(f"{name} accepts {kind} as {argument}")


@pytest.mark.parametrize(("name", "argument"), LABELS)
def test_missing_labels_are_refused_by_name(name, argument):
    recipe, data = ALL[name], draw(ALL[name])
    labels = data[argument]
    words = [str(label) for label in labels]
    spellings = {
        "NaN in a list": [np.nan if i == 3 else word for i, word in enumerate(words)],
        "None in a list": [None if i == 3 else word for i, word in enumerate(words)],
        "NaT": [pd.NaT if i == 3 else word for i, word in enumerate(words)],
        "NA": pd.Series(words, dtype="string").where(np.arange(len(words)) != 3),
        "array of a list": np.asarray([np.nan if i == 3 else word for i, word in enumerate(words)]),
        "category": pd.Series(pd.Categorical(words)).where(np.arange(len(words)) != 3),
        "masked": np.ma.masked_array(words, mask=np.arange(len(words)) == 3),
        "polars": pl.Series([None if i == 3 else word for i, word in enumerate(words)]),
    }
    with quiet():
        for spelling, value in spellings.items():
            try:
                with named(argument):
                    recipe.fit(data | {argument: value})
            except pytest.fail.Exception:
                pytest.fail(f"{name} accepts {spelling} in {argument}")


@pytest.mark.parametrize("kind", ACCEPTED)
@pytest.mark.parametrize("name", [name for name, recipe in ALL.items() if not recipe.slow])
def test_numbers_are_numbers_whatever_holds_them(name, kind):
    recipe, data = ALL[name], draw(ALL[name])
    _, expected = baseline(name, recipe)
    held = {
        argument: ACCEPTED[kind](as_frame(argument, value)) if argument in recipe.numeric else value
        for argument, value in data.items()
    }
    with quiet():
        answers = recipe.answers(recipe.fit(held), held if kind != "list" else data)
    assert_same(answers, expected, rtol=1e-9, what=kind)
