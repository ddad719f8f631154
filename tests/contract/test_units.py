"""Part 1, units: multiplying or shifting a column changes the answer as algebra says, and nothing else."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.contract.catalogue import Recipe, draw
from tests.contract.recipes import CLOSED
from tests.contract.support import assert_same, baseline, quiet

NAMES = [name for name, recipe in CLOSED.items() if recipe.scalable]
# Powers of ten: nanoseconds to dollars of a country's product.
EXPONENTS = st.lists(st.integers(-9, 12), min_size=8, max_size=8)
# Offsets in standard deviations: a year has one of about 100, a date in days since 1970 more.
OFFSETS = st.lists(st.sampled_from([0.0, -3.0, 100.0, 1000.0]), min_size=8, max_size=8)
DOLLARS = [12, 9, 6, -9, 12, 3, -6, 0]
YEARS = [0.0, 1000.0, 100.0, 0.0, 1000.0, -3.0, 100.0, 0.0]


def changed(recipe: Recipe, exponents: list[int], offsets: list[float]) -> tuple[dict, dict]:
    """Data in other units, and the factor of every argument: a number for a vector, one per column of a matrix."""
    data, factors, place = draw(recipe), {}, 0
    for argument in recipe.scalable:
        value = data[argument]
        columns = 1 if value.ndim == 1 else value.shape[1]
        factor = 10.0 ** np.array([exponents[(place + j) % 8] for j in range(columns)])
        offset = np.array([offsets[(place + j) % 8] for j in range(columns)]) if argument in recipe.shiftable else 0.0
        place += columns
        factor, offset = (factor[0], np.ravel(offset)[0]) if value.ndim == 1 else (factor, offset)
        data[argument] = factor * (value + offset * value.std(axis=0))
        factors[argument] = factor
    return data, factors


def in_units(recipe: Recipe, answers: dict, factors: dict) -> dict:
    """Answers converted to other units."""
    converted = {}
    for name, value in answers.items():
        factor = 1.0
        for argument, power in recipe.units.get(name, {}).items():
            factor = factor * np.asarray(factors.get(argument, 1.0)) ** power
        converted[name] = np.asarray(value, float) * factor
    return converted


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(EXPONENTS, OFFSETS)
@example(DOLLARS, [0.0] * 8)
@example([0] * 8, YEARS)
def test_units_change_what_algebra_says(name, exponents, offsets):
    recipe = CLOSED[name]
    _, expected = baseline(name, recipe)
    data, factors = changed(recipe, exponents, offsets)
    with quiet():
        answers = recipe.answers(recipe.fit(data), data)
    assert_same(answers, in_units(recipe, expected, factors), rtol=1e-6, what=f"units {exponents}, offsets {offsets}")
