"""Checks of what users pass: rows, and the labels of their environments, segments, series or domains."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from causalrep.base.columns import Columns, read_columns
from causalrep.base.kinds import to_labels
from causalrep.base.validation import check_index_alignment, check_time_order, code_labels, is_constant
from causalrep.errors import InputError
from causalrep.training.rows import Scaling

FEWEST = 10  # rows per column in each environment


class Labelled(NamedTuple):
    """Rows and their labels.

    Attributes:
        x: Rows (n, p).
        columns: The columns, by which later rows are matched.
        codes: Code of each row's label (n,), from 0.
        labels: The label of each code.
    """

    x: Float[np.ndarray, "n p"]
    columns: Columns
    codes: Int[np.ndarray, " n"]
    labels: list


def as_labelled(argument: str, X: Any, labels: Any) -> Labelled:
    """Rows with labels, coded in the order of the labels.

    Raises:
        InputError: If labels are missing, all equal, or in another order than the rows.
    """
    check_index_alignment(X=X, **{argument: labels})
    x, columns = read_columns("X", X)
    if labels is None:
        raise InputError(
            argument,
            found="None",
            expected=f"a label for each of the {len(x)} rows: without it nothing identifies the latents",
        )
    return Labelled(x, columns, *code_labels(argument, labels, rows=len(x), of="X", sort=True))


def as_environments(X: Any, environment: Any, observational: Any) -> Labelled:
    """Rows of several environments; code 0 is the observational one.

    Raises:
        InputError: If labels are missing or unknown, or too few rows carry one of them.
    """
    rows = as_labelled("environment", X, environment)
    if observational not in rows.labels:
        raise InputError("observational", found=repr(observational), expected=f"one of the environments {rows.labels}")
    counts, needed = np.bincount(rows.codes), FEWEST * rows.x.shape[1]
    if counts.min() < needed:
        raise InputError(
            "environment",
            found=f"{counts.min()} rows of {rows.labels[int(counts.argmin())]!r}",
            expected=f"at least {needed}, {FEWEST} per column",
        )
    ordered = [observational, *(label for label in rows.labels if label != observational)]
    place = np.array([ordered.index(label) for label in rows.labels], np.int32)
    return rows._replace(codes=place[rows.codes], labels=ordered)


def as_windows(X: Any, series: Any, length: int) -> tuple[Float[np.ndarray, "windows length d"], Columns]:
    """All runs of ``length`` consecutive rows of one series, in the order of time, and the columns of ``X``.

    Args:
        X: Rows (n, d) in the order of time.
        series: Label of each row's series (n,); None for one series.
        length: Rows per window.

    Raises:
        InputError: If labels are missing, the rows of a series are not consecutive, or there are too few windows.
    """
    check_index_alignment(X=X, series=series)
    x, columns = read_columns("X", X)
    codes = np.zeros(len(x), int)
    if series is not None:
        codes, _ = code_labels("series", series, rows=len(x), of="X", groups=1)
    check_time_order("X", X, codes)
    starts = np.flatnonzero(np.diff(codes)) + 1
    if len(starts) != codes.max():
        raise InputError(
            "series",
            found=f"rows of {codes.max() + 1} series in {len(starts) + 1} pieces",
            expected="consecutive rows for each series, in the order of time",
        )
    first, needed = np.arange(max(0, len(x) - length + 1)), FEWEST * x.shape[1]
    # Series are consecutive, so a window whose first and last rows are of one series lies within it.
    first = first[codes[first] == codes[first + length - 1]]
    if len(first) < needed:
        raise InputError(
            "X",
            found=f"{len(first)} time steps with a whole past of {length - 1}",
            expected=f"at least {needed}, {FEWEST} per column",
        )
    return x[first[:, None] + np.arange(length)], columns


def known_codes(argument: str, labels: Any, *, known: Sequence[Any], rows: int) -> Int[jax.Array, " rows"]:
    """Codes of labels known from ``fit``; one label stands for all rows.

    Args:
        argument: The name to use in errors.
        labels: One label, or one per row.
        known: Known labels, in the order of their codes.
        rows: Number of rows.

    Raises:
        InputError: If a label is unknown, or there are too few or too many.
    """
    given = to_labels(argument, labels if np.ndim(labels) or isinstance(labels, pd.DataFrame) else [labels]).tolist()
    if len(given) not in (1, rows):
        raise InputError(argument, found=f"{len(given)} labels", expected=f"one, or {rows}")
    codes = {label: code for code, label in enumerate(known)}
    unknown = [label for label in dict.fromkeys(given) if label not in codes]
    if unknown:
        raise InputError(argument, found=f"unknown labels {unknown}", expected=f"labels among {list(known)}")
    return jnp.broadcast_to(jnp.asarray([codes[label] for label in given], jnp.int32), (rows,))


def check_one_per_latent(latents: int, labels: list) -> None:
    """Require as many interventional environments as latents; the first label is the observational environment."""
    if len(labels) - 1 != latents:
        raise InputError(
            "environment",
            found=f"{len(labels) - 1} interventional environments {labels[1:]}",
            expected=f"{latents}, one for each of the {latents} latents",
        )


def column_scaling(argument: str, x: Float[np.ndarray, "n p"], columns: Sequence[Any] | None = None) -> Scaling:
    """Mean and standard deviation of every column; none may be constant.

    Args:
        argument: The name to use in errors.
        x: Rows, float64.
        columns: Names of the columns; default their numbers.
    """
    constant = np.flatnonzero(is_constant(x))
    if len(constant):
        name = int(constant[0]) if columns is None else columns[constant[0]]
        raise InputError(argument, found=f"column {name!r}, which is constant", expected="columns that vary")
    return Scaling(x.mean(axis=0), x.std(axis=0))
