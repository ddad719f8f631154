"""Every public estimator, found by itself, so that a new one is under the contract the day it is exported."""

import importlib
import inspect
from typing import Any

import pytest

ROOMS = ("iv", "effects", "confounders", "latent", "multimodal")

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
