"""What the parts of the contract share: changes of units, answers side by side, quiet fits."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causalrep.errors import CausalrepWarning
from tests.contract.catalogue import Recipe, draw

_FITS: dict[tuple[str, int], tuple[Any, dict[str, Any]]] = {}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignore the library's warnings about the data, which are not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalrepWarning)
        yield


def baseline(name: str, recipe: Recipe, seed: int = 0) -> tuple[Any, dict[str, Any]]:
    """The fitted model on the data as they are, and its answers; one fit for the whole session."""
    if (name, seed) not in _FITS:
        data = draw(recipe, seed)
        with quiet():
            model = recipe.fit(data)
            _FITS[name, seed] = model, recipe.answers(model, data)
    return _FITS[name, seed]


def assert_same(answers: dict[str, Any], expected: dict[str, Any], *, rtol: float, what: str) -> None:
    """All answers agree up to ``rtol`` of the largest entry of each."""
    assert answers.keys() == expected.keys()
    for name, value in expected.items():
        value, answer = np.asarray(value, float), np.asarray(answers[name], float)
        assert answer.shape == value.shape, f"{name}, {what}: shape {answer.shape} for {value.shape}"
        finite = np.isfinite(value)
        np.testing.assert_array_equal(answer[~finite], value[~finite], err_msg=f"{name}, {what}")
        size = np.abs(value[finite]).max(initial=0.0)
        np.testing.assert_allclose(
            answer[finite], value[finite], rtol=rtol, atol=rtol * size, err_msg=f"{name}, {what}"
        )


def framed(argument: str, value: np.ndarray, index: Any = None) -> Any:
    """An array as a data frame, or as a Series if it is a vector; its columns have names."""
    if value.ndim == 1:
        return pd.Series(value, index=index, name=argument.lower())
    return pd.DataFrame(value, columns=[f"{argument.lower()}_{j}" for j in range(value.shape[1])], index=index)


def named(argument: str) -> Any:
    """An error that names the argument."""
    from causalrep.errors import InputError

    return pytest.raises(InputError, match=rf"^{argument}\b")
