"""Units of networks: powers of two leave the bits of standardized data as they are, so the answers are equal."""

import pickle

import numpy as np
import pytest

from tests.contract.catalogue import draw
from tests.contract.networks import NETWORKS
from tests.contract.support import assert_same, baseline, quiet
from tests.contract.test_units import in_units


@pytest.mark.parametrize("name", NETWORKS)
def test_units_and_a_second_fit(name):
    recipe = NETWORKS[name]
    model, expected = baseline(name, recipe)
    data, factors = draw(recipe), {}
    for place, argument in enumerate(recipe.scalable):
        value = data[argument]
        exponents = np.array([7, -9, 3, 12, -4, 1])
        factor = 2.0 ** exponents[(place + np.arange(1 if value.ndim == 1 else value.shape[1])) % 6]
        factors[argument] = factor if value.ndim == 2 else factor[0]
        data[argument] = value * factors[argument]
    with quiet():
        # A second fit of the same object, which forgets the first.
        again = pickle.loads(pickle.dumps(model)).fit(**data, **recipe.options)
        assert_same(recipe.answers(again, data), in_units(recipe, expected, factors), rtol=1e-5, what="powers of two")
