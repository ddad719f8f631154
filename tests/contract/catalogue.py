"""What the contract covers: every public estimator, found by itself, with a recipe that says what it takes and answers.

A new estimator without a recipe fails :mod:`tests.contract.test_catalogue`. A recipe gives a small instance, data, the
later calls that take new rows, and the answers that must not depend on units, rows, columns, kinds or ownership.
"""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ROOMS = ("iv", "effects", "confounders", "latent", "multimodal")
ROWS = 240


def estimators() -> dict[str, type]:
    """Every public estimator by name; abstract bases and regressions (``fit(x, y, w)``) are not among them."""
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"causalrep.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and hasattr(value, "_parameter_names") and not _is_base(value):
                found[name] = value
    return found


def _is_base(value: type) -> bool:
    return any(value in other.__bases__ for other in _subclasses(value)) or inspect.isabstract(value)


def _subclasses(value: type) -> list[type]:
    return [other for other in value.__subclasses__() if other.__module__.startswith("causalrep.")]


@dataclass(frozen=True)
class Recipe:
    """How the contract uses an estimator.

    Attributes:
        make: A small instance.
        data: Arguments of ``fit`` by name, for a generator.
        answers: Answers by name, given a fitted model and the data.
        units: For each answer, the arguments whose units it has, with exponents: ``{"Y": 1, "T": -1}`` is the outcome's
            unit per unit of the treatment. An answer that is not listed has no unit.
        by_row: Answers with one entry per row of the data.
        numeric: Arguments that hold numbers.
        labels: Arguments that hold labels.
        later: Calls of a fitted model on new rows, by the argument that they match by name.
        scalable: Arguments whose columns may be multiplied; a binary treatment may not.
        shiftable: Arguments to whose columns a constant may be added.
        slow: Whether a fit trains a network: its units are scaled by powers of two, which leave every bit as it is, and
            its rows are not permuted, since batches are drawn by position.
        options: Further arguments of ``fit`` that are no data.
        random: Answers that depend on what is drawn by position (halves of the sample, folds, bootstrap samples): a
            permutation of the rows changes them as another seed does.
    """

    make: Callable[[], Any]
    data: Callable[[np.random.Generator], dict[str, Any]]
    answers: Callable[[Any, dict[str, Any]], dict[str, Any]]
    units: dict[str, dict[str, int]] = field(default_factory=dict)
    by_row: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    later: dict[str, Callable[[Any, Any, dict[str, Any]], Any]] = field(default_factory=dict)
    scalable: tuple[str, ...] = ()
    shiftable: tuple[str, ...] = ()
    slow: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    random: tuple[str, ...] = ()

    def fit(self, data: dict[str, Any]) -> Any:
        """A fitted instance."""
        return self.make().fit(**data, **self.options)


def draw(recipe: Recipe, seed: int = 0) -> dict[str, Any]:
    """The data of a recipe."""
    return recipe.data(np.random.default_rng(seed))
