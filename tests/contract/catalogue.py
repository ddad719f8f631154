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
import pytest

ROOMS = ("iv", "effects", "confounders", "latent", "multimodal")
ROWS = 240

# Values for arguments of constructors without a default.
REQUIRED: dict[str, dict[str, Any]] = {
    "BayesianConfounder": {"latent": "two_point"},
    "BetaVAE": {"latents": 2},
    "CauCA": {"graph": [[0, 1], [0, 0]]},
    "ContrastiveCRL": {"latents": 2},
    "IVAE": {"latents": 2},
    "LSCALEI": {"latents": 2},
    "LinearDisentanglement": {"latents": 2},
    "PersonaX": {"latents": (1, 1)},
    "PolynomialDisentanglement": {"latents": 2},
    "TCL": {"latents": 2},
    "VLUCI": {"latent": "two_point"},
}


def estimators() -> list[type]:
    """Classes with ``fit`` that the rooms export, but for the abstract ones, from which other estimators inherit."""
    rooms = [importlib.import_module(f"causalrep.{room}") for room in ROOMS]
    exported = [getattr(room, name) for room in rooms for name in room.__all__]
    classes = {one for one in exported if inspect.isclass(one) and hasattr(one, "fit")}
    final = [one for one in classes if not any(issubclass(other, one) and other is not one for other in classes)]
    return sorted(final, key=lambda one: one.__name__)


def parameters(method: Any) -> dict[str, inspect.Parameter]:
    """Arguments of a method, by name."""
    return {name: one for name, one in inspect.signature(method).parameters.items() if name != "self"}


def example(estimator: type, /, **changes: Any) -> Any:
    """An instance with default hyperparameters, but for the changes."""
    required = REQUIRED.get(estimator.__name__, {})
    given = required | changes
    every = parameters(estimator.__init__)
    lacking = [name for name, one in every.items() if one.default is one.empty and name not in given]
    if lacking:
        pytest.fail(f"{estimator.__name__} has arguments without a default: add values of {lacking} to REQUIRED")
    return estimator(**given)


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
