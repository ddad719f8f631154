"""A cohort's functional connectivity, demographics and phenotypes, from files that a user has."""

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
    f"subject's correlation matrix, row by row; {DEMOGRAPHICS}, a row a subject and a column a variable, such as age, "
    f"sex and site, with a header; {FIELDS}, likewise, a column a phenotype. Subjects are in the same order everywhere."
)
ACCESS = (
    "The cohorts of the DemoVAE paper are restricted: the Philadelphia Neurodevelopmental Cohort is dbGaP study "
    "phs000607, BSNIP has an application of its own. demovae/standin needs no data."
)


@dataclass(frozen=True)
class ConnectivityCohort:
    """Subjects, in the same order everywhere.

    Attributes:
        connectivity: Edges of each subject, float32 (n, E).
        demographics: A column a variable (n, v).
        fields: Phenotypes as numbers: text is coded in alphabetical order, what is missing is the field's mean (n, m).
    """

    connectivity: np.ndarray
    demographics: pd.DataFrame
    fields: pd.DataFrame


def connectivity_cohort(path: str | Path | None = None) -> ConnectivityCohort:
    """Functional connectivity of a cohort, from your own files: there is no public copy of the DemoVAE paper's.

    Args:
        path: The folder of ``connectivity.npy``, ``demographics.csv`` and ``fields.csv``; by default
            ``connectivity-cohort`` in the data folder.

    Raises:
        DataError: If a file is missing, or does not hold what it should; the message says what is expected.
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
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"connectivity_cohort: {path} is not an array that NumPy saved ({error}). {LAYOUT}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or min(found.shape) < 2:
        shape = getattr(found, "shape", "an archive")
        raise DataError(f"connectivity_cohort: {path} has shape {shape}, expected (subjects, edges). {LAYOUT}")
    if not np.issubdtype(found.dtype, np.number) or not np.isfinite(found).all():
        raise DataError(f"connectivity_cohort: {path} ({found.dtype}) holds values that are not finite numbers.")
    return found.astype(np.float32)


def _table(path: Path, rows: int) -> pd.DataFrame:
    try:
        found = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"connectivity_cohort: {path} is not a readable table ({error}). {LAYOUT}") from error
    if len(found) != rows:
        raise DataError(
            f"connectivity_cohort: {path} has {len(found)} rows below its header, but {CONNECTIVITY} has "
            f"{rows} subjects."
        )
    return found


def _as_numbers(fields: pd.DataFrame) -> pd.DataFrame:
    """Every field as numbers; one without any value, or with one alone, says nothing and goes."""
    columns = {}
    for name, values in fields.items():
        if not pd.api.types.is_numeric_dtype(values):
            codes, _ = pd.factorize(values, sort=True)
            values = pd.Series(np.where(codes < 0, np.nan, codes), index=fields.index)
        values = values.astype(np.float64).replace([np.inf, -np.inf], np.nan)
        if values.nunique() > 1:
            columns[name] = values.fillna(values.mean())
    return pd.DataFrame(columns, index=fields.index)
