"""Checks of what the façades are given: rows, their environments, and which environment is observational."""

from typing import Any

import numpy as np
import pandas as pd

from causalrep.errors import InputError
from causalrep.validation import as_labels, as_matrix

FEWEST = 10  # rows a column in an environment


def as_environments(X: Any, environment: Any, observational: Any) -> tuple[np.ndarray, np.ndarray, list]:
    """Rows, codes of their environments with 0 for the observational one, and the environments' labels by code.

    Raises:
        InputError: If labels are missing, unknown, or too few rows carry one.
    """
    x, _ = as_matrix("X", X)
    codes = labels_of("environment", environment, len(x))
    labels = pd.unique(np.asarray(environment).reshape(-1)).tolist()  # plain values, for messages
    if observational not in labels:
        raise InputError("observational", found=repr(observational), expected=f"one of the environments {labels}")
    counts = np.bincount(codes)
    if counts.min() < FEWEST * x.shape[1]:
        raise InputError(
            "environment", found=f"{counts.min()} rows of {labels[int(counts.argmin())]!r}",
            expected=f"at least {FEWEST * x.shape[1]}, {FEWEST} a column",
        )  # fmt: skip
    ordered = [observational, *(label for label in labels if label != observational)]
    place = np.array([ordered.index(label) for label in labels], np.int32)
    return x, place[codes], ordered


def labels_of(argument: str, labels: Any, rows: int) -> np.ndarray:
    """Codes of labels, which methods that live on interventions cannot do without."""
    if labels is None:
        raise InputError(argument, found="None", expected=f"a label for each of the {rows} rows: without it nothing "
                         "identifies the latents")  # fmt: skip
    return as_labels(argument, labels, rows=rows)


def check_one_per_latent(latents: int, labels: list) -> None:
    """As many interventional environments as latents."""
    if len(labels) - 1 != latents:
        raise InputError(
            "environment", found=f"{len(labels) - 1} interventional environments {labels[1:]}",
            expected=f"{latents}, one for each of the {latents} latents",
        )  # fmt: skip


def as_rows(X: Any, columns: int) -> np.ndarray:
    """Rows to encode, with as many columns as in ``fit``."""
    x, _ = as_matrix("X", X)
    if x.shape[1] != columns:
        raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{columns}, as in fit")
    return x
