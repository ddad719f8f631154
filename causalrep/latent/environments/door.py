"""Checks of what the façades are given: rows, their environments, and which environment is observational."""

from typing import Any

import numpy as np
import pandas as pd

from causalrep.base.validation import as_labels, as_matrix, check_index_alignment
from causalrep.errors import InputError

FEWEST = 10  # rows a column in an environment


def as_environments(X: Any, environment: Any, observational: Any) -> tuple[np.ndarray, np.ndarray, list]:
    """Rows, codes of their environments with 0 for the observational one, and the environments' labels by code.

    Raises:
        InputError: If labels are missing, unknown, or too few rows carry one.
    """
    x, codes = as_labelled("environment", X, environment)
    labels = pd.unique(np.asarray(environment).reshape(-1)).tolist()  # plain values, for messages
    if observational not in labels:
        raise InputError("observational", found=repr(observational), expected=f"one of the environments {labels}")
    counts = np.bincount(codes)
    if counts.min() < FEWEST * x.shape[1]:
        raise InputError(
            "environment",
            found=f"{counts.min()} rows of {labels[int(counts.argmin())]!r}",
            expected=f"at least {FEWEST * x.shape[1]}, {FEWEST} a column",
        )
    ordered = [observational, *(label for label in labels if label != observational)]
    place = np.array([ordered.index(label) for label in labels], np.int32)
    return x, place[codes], ordered


def as_windows(X: Any, series: Any, length: int) -> np.ndarray:
    """All runs of consecutive rows of one series (windows, length, d), in the order of time.

    Raises:
        InputError: If labels are missing, rows of a series do not stand together, or there are too few windows.
    """
    check_index_alignment(X=X, series=series)
    x, _ = as_matrix("X", X)
    codes = np.zeros(len(x), int) if series is None else pd.factorize(np.asarray(series).reshape(-1))[0]
    if len(codes) != len(x) or codes.min() < 0:
        raise InputError(
            "series",
            found=f"{len(codes)} labels, {(codes < 0).sum()} of them missing",
            expected=f"{len(x)}, one for each row of X",
        )
    starts = np.flatnonzero(np.diff(codes)) + 1
    if len(starts) != codes.max():
        raise InputError(
            "series",
            found=f"rows of {codes.max() + 1} series in {len(starts) + 1} pieces",
            expected="rows of one series together, in the order of time",
        )
    windows, fewest = max(0, len(x) - length + 1), FEWEST * x.shape[1]
    first = np.arange(windows)
    first = first[codes[first] == codes[first + length - 1]]
    if len(first) < fewest:
        raise InputError(
            "X",
            found=f"{len(first)} steps with a whole past of {length - 1}",
            expected=f"at least {fewest}, {FEWEST} a column",
        )
    return x[first[:, None] + np.arange(length)]


def as_labelled(argument: str, X: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows and the codes of their labels, which methods that live on interventions cannot do without.

    Raises:
        InputError: If labels are missing, or stand in another order than the rows.
    """
    check_index_alignment(X=X, **{argument: labels})
    x, _ = as_matrix("X", X)
    if labels is None:
        raise InputError(
            argument,
            found="None",
            expected=f"a label for each of the {len(x)} rows: without it nothing identifies the latents",
        )
    return x, as_labels(argument, labels, rows=len(x))


def check_one_per_latent(latents: int, labels: list) -> None:
    """As many interventional environments as latents."""
    if len(labels) - 1 != latents:
        raise InputError(
            "environment",
            found=f"{len(labels) - 1} interventional environments {labels[1:]}",
            expected=f"{latents}, one for each of the {latents} latents",
        )


def as_rows(X: Any, columns: int) -> np.ndarray:
    """Rows to encode, with as many columns as in ``fit``."""
    x, _ = as_matrix("X", X)
    if x.shape[1] != columns:
        raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{columns}, as in fit")
    return x
