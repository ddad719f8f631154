"""Part 7, roles: what is degenerate but ordinary gets a named error, a named warning or a finite answer, never NaN."""

import warnings

import numpy as np
import pytest

from causalrep.errors import CausalrepWarning, InputError
from tests.contract.catalogue import draw
from tests.contract.networks import ALL

QUICK = [name for name, recipe in ALL.items() if not recipe.slow]
WITH_COVARIATES = [name for name in QUICK if {"Y", "T", "X"} <= set(ALL[name].numeric)]


def outcome_of(name, data):
    """``"refused"``, ``"warned"``, or the answers."""
    recipe = ALL[name]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            answers = recipe.answers(recipe.fit(data), data)
        except InputError:
            return "refused"
    return "warned" if any(issubclass(one.category, CausalrepWarning) for one in seen) else answers


def assert_named_or_finite(name, data, what):
    result = outcome_of(name, data)
    if isinstance(result, dict):
        for answer, value in result.items():
            value = np.asarray(value, float)
            # A confidence set may be unbounded; NaN is never an answer.
            assert not np.isnan(value).any(), f"{name}, {what}: {answer} is NaN without a word"


@pytest.mark.parametrize("name", QUICK)
def test_a_constant_column_up_to_rounding(name):
    recipe, data = ALL[name], draw(ALL[name])
    for argument in recipe.numeric:
        if data[argument].ndim == 2:
            constant = np.full(len(data[argument]), 0.1)
            assert_named_or_finite(name, data | {argument: np.column_stack([data[argument], constant])}, argument)


@pytest.mark.parametrize("name", WITH_COVARIATES)
def test_a_column_with_two_roles_is_refused_by_name(name):
    data = draw(ALL[name])
    for argument, other in (("X", "T"), ("X", "Y"), ("T", "Y")):
        twice = (
            data[other]
            if argument == "T"
            else np.column_stack([data[argument], data[other] if other == "Y" else 3 - 2 * data[other]])
        )
        if argument == "T" and set(np.unique(data["T"])) <= {0.0, 1.0}:
            continue  # an outcome is no binary treatment, and is refused for that
        assert outcome_of(name, data | {argument: twice}) == "refused", f"{name}: {other} is in {argument} too"


@pytest.mark.parametrize("name", WITH_COVARIATES)
def test_an_outcome_that_does_not_vary(name):
    data = draw(ALL[name])
    assert_named_or_finite(name, data | {"Y": np.full(len(data["Y"]), 0.1)}, "a constant outcome")


@pytest.mark.parametrize("name", QUICK)
def test_duplicated_rows(name):
    data = draw(ALL[name])
    assert_named_or_finite(name, {a: np.concatenate([v, v]) for a, v in data.items()}, "every row twice")


@pytest.mark.parametrize("name", WITH_COVARIATES)
def test_a_dummy_of_one_row(name):
    data = draw(ALL[name])
    n = len(data["Y"])
    dummy = (np.arange(n) == 17).astype(float)
    assert_named_or_finite(name, data | {"X": np.column_stack([data["X"], dummy])}, "a dummy of one row")


@pytest.mark.parametrize("name", WITH_COVARIATES)
def test_covariates_that_depend_on_each_other(name):
    data = draw(ALL[name])
    x = data["X"]
    assert_named_or_finite(name, data | {"X": np.column_stack([x, x[:, 0] + 2])}, "a covariate twice")
