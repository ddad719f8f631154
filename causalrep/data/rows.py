"""Data sets row by row: ``array_record`` files with random access, ready for a grain loader."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causalrep.data.catalogue import load
from causalrep.data.images.fashion_mnist import LabelledImages
from causalrep.data.images.mnist import Digits
from causalrep.data.sources.tfds import prepared_source
from causalrep.data.tables.econometric import IVTable
from causalrep.data.tables.types import EffectBenchmark, EffectTable
from causalrep.errors import InputError


def load_rows(name: str, **options: object) -> Sequence[dict[str, Any]]:
    """The rows of a data set, read from disk one at a time, whereas :func:`load` reads all of them into memory.

    At the first call a TensorFlow Datasets builder writes the rows as ``array_record`` files into the user's cache. The
    name of the copy contains a digest of its contents, so that changed data are prepared again.

    Args:
        name: A treatment-effect data set, an econometric table, or a set of images, named as for :func:`load`.
        **options: Options of the data set, as for :func:`load`.

    Returns:
        A sequence with random access, in the order of :func:`load`. A row is a dictionary. For a benchmark it has ``x``
        (d,), ``t``, ``y`` and, if they are known, ``mu0``, ``mu1``, ``y0`` and ``y1``: each of shape (), or (R,) with R
        replications. For a table it has ``x``, ``t``, ``y`` and, with instruments, ``z``, in float64. For images it has
        ``image`` and ``label`` of the training set.

    Raises:
        InputError: If there is no data set of that name, or it does not consist of rows, as the optical device.
        DataError: If the data can be neither found nor downloaded, or fail their checksum.

    >>> import grain
    >>> from causalrep.training import GrainLoader
    >>> rows = load_rows("ihdp", replications=[1, 2])
    >>> len(rows), rows[0]["x"].shape, rows[0]["y"].shape
    (747, (25,), (2,))
    >>> loader = GrainLoader(grain.MapDataset.source(rows).seed(0).shuffle().repeat(), batch_size=64)
    >>> next(loader.batches(start=0))["x"].shape
    (64, 25)
    """
    columns = _columns(name, load(name, **options))
    digest = hashlib.sha256()
    for column, values in columns.items():
        digest.update(f"{column}{values.dtype}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    count = len(next(iter(columns.values())))
    return prepared_source(
        f"{name}_rows",
        features={column: (values.shape[1:], values.dtype.type) for column, values in columns.items()},
        examples=lambda: ({column: values[i] for column, values in columns.items()} for i in range(count)),
        description=f"The rows of {name}.",
        variant=digest.hexdigest()[:16],
    )


def _columns(name: str, data: object) -> Mapping[str, np.ndarray]:
    """Arrays by name, whose first axis are the rows."""
    if isinstance(data, EffectBenchmark):
        known = {field: getattr(data, field) for field in ("t", "y", "mu0", "mu1", "y0", "y1", "randomized")}
        # Replications are the first axis in memory, (R, n), and the last in a row, (n, R).
        return {"x": data.x} | {field: values.T for field, values in known.items() if values is not None}
    if isinstance(data, EffectTable | IVTable):
        roles = {"x": data.X, "t": data.T, "y": data.Y, "z": getattr(data, "Z", None)}
        return {role: np.asarray(table, np.float64) for role, table in roles.items() if table is not None}
    if isinstance(data, Digits):
        return {"image": data.images, "label": data.labels}
    if isinstance(data, LabelledImages):
        return data._asdict()
    raise InputError("name", found=repr(name), expected="a data set of rows: a benchmark, a table or images")
