"""Rows from disk equal the rows in memory, in the same order, and changed contents get a new copy."""

import grain
import numpy as np
import pytest

from causalrep.data import load, load_rows
from causalrep.errors import InputError
from causalrep.training import GrainLoader


def same(rows, columns):
    assert len(rows) == len(next(iter(columns.values())))
    for i in (0, 7, len(rows) - 1):
        assert set(rows[i]) == set(columns)
        for name, values in columns.items():
            np.testing.assert_array_equal(rows[i][name], values[i])


def test_a_benchmark_with_replications(empty_home):
    data = load("ihdp", replications=[1, 2])
    columns = {"x": data.x, "t": data.t, "y": data.y.T, "mu0": data.mu0.T, "mu1": data.mu1.T}
    rows = load_rows("ihdp", replications=[1, 2])
    same(rows, columns | {"y0": data.y0.T, "y1": data.y1.T} if data.y0 is not None else columns)
    other = load_rows("ihdp", replications=[3])
    np.testing.assert_array_equal(other[5]["y"], load("ihdp", replications=[3]).y[:, 5])


def test_tables(empty_home):
    data = load("card")
    same(load_rows("card"), {"x": data.X.values, "t": data.T.values, "y": data.Y.values, "z": data.Z.values})
    data = load("nhefs")
    same(load_rows("nhefs"), {"x": data.X.values, "t": data.T.values, "y": data.Y.values})


def test_a_loader_reads_every_row_once_in_an_epoch(empty_home):
    rows = load_rows("card")
    loader = GrainLoader(grain.MapDataset.source(rows).seed(0).shuffle(), batch_size=301)
    seen = np.concatenate([batch["y"] for batch in loader.batches(start=0)])
    np.testing.assert_array_equal(np.sort(seen), np.sort(load("card").Y))


def test_what_has_no_rows_is_refused(monkeypatch, empty_home):
    monkeypatch.setattr("causalrep.data.rows.load", lambda name, **options: object())
    with pytest.raises(InputError, match="name: found 'optical_device'; expected a data set of rows"):
        load_rows("optical_device")
