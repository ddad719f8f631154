"""Functional connectivity, demographics and phenotypes of a cohort, read from files that the user has."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from causalrep.data.sources.folder import data_folder
from causalrep.errors import DataError

FOLDER = "connectivity-cohort"
FILES = CONNECTIVITY, DEMOGRAPHICS, FIELDS = "connectivity.npy", "demographics.csv", "fields.csv"
LAYOUT = (
    f"Expected in it: {CONNECTIVITY}, an array (subjects, edges), for instance the strict upper triangle of each "
    f"subject's correlation matrix, row by row; {DEMOGRAPHICS}, a table with a header, one row per subject and one "
    f"column per variable, such as age, sex and site; {FIELDS}, a table of the same form with one column per "
    "phenotype. All three files must list the subjects in the same order."
)
ACCESS = (
    "The cohorts of the DemoVAE paper are restricted: the Philadelphia Neurodevelopmental Cohort is dbGaP study "
    "phs000607, and BSNIP has its own application. The experiment demovae/standin needs no data."
)


@dataclass(frozen=True)
class ConnectivityCohort:
    """A cohort of n subjects, in the same order in all three attributes.

    Attributes:
        connectivity: Edges of each subject, float32 (n, E).
        demographics: One column per variable (n, v).
        fields: Phenotypes as numbers (n, m). Text is coded in alphabetical order, and missing values are replaced by
            the field's mean.
    """

    connectivity: np.ndarray
    demographics: pd.DataFrame
    fields: pd.DataFrame


def connectivity_cohort(path: str | Path | None = None) -> ConnectivityCohort:
    """Functional connectivity of a cohort, from your own files, since the DemoVAE paper's cohorts are not public.

    Args:
        path: The folder that holds ``connectivity.npy``, ``demographics.csv`` and ``fields.csv``; by default
            ``connectivity-cohort`` in the data folder.

    Raises:
        DataError: If a file is missing or has another form; the message describes the expected files.
    """
    folder = Path(path).expanduser() if path else data_folder() / FOLDER
    for name in FILES:
        if not (folder / name).is_file():
            raise DataError(f"connectivity_cohort: the file {folder / name} does not exist. {LAYOUT} {ACCESS}")
    connectivity = _matrix(folder / CONNECTIVITY)
    demographics = _table(folder / DEMOGRAPHICS, len(connectivity))
    fields = _as_numbers(_table(folder / FIELDS, len(connectivity)))
    if fields.empty:
        raise DataError(f"connectivity_cohort: no column of {folder / FIELDS} has two different values.")
    return ConnectivityCohort(connectivity, demographics, fields)


def _matrix(path: Path) -> np.ndarray:
    try:
        edges = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"connectivity_cohort: {path} is not an array that NumPy saved ({error}). {LAYOUT}") from error
    if not isinstance(edges, np.ndarray) or edges.ndim != 2 or min(edges.shape) < 2:
        shape = getattr(edges, "shape", "an archive")
        raise DataError(f"connectivity_cohort: {path} has shape {shape}, expected (subjects, edges). {LAYOUT}")
    if not np.issubdtype(edges.dtype, np.number) or not np.isfinite(edges).all():
        raise DataError(f"connectivity_cohort: {path} ({edges.dtype}) holds values that are not finite numbers.")
    return edges.astype(np.float32)


def _table(path: Path, rows: int) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"connectivity_cohort: {path} is not a readable table ({error}). {LAYOUT}") from error
    if len(table) != rows:
        raise DataError(
            f"connectivity_cohort: {path} has {len(table)} rows below its header, but {CONNECTIVITY} has "
            f"{rows} subjects."
        )
    return table


def _as_numbers(fields: pd.DataFrame) -> pd.DataFrame:
    """Every field as numbers; fields with fewer than two different values are dropped."""
    columns = {}
    for name, values in fields.items():
        if not pd.api.types.is_numeric_dtype(values):
            codes, _ = pd.factorize(values, sort=True)
            values = pd.Series(np.where(codes < 0, np.nan, codes), index=fields.index)
        values = values.astype(np.float64).replace([np.inf, -np.inf], np.nan)
        if values.nunique() > 1:
            columns[name] = values.fillna(values.mean())
    return pd.DataFrame(columns, index=fields.index)
