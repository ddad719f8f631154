"""A user's own cohort: correct files are read, and wrong ones are refused with a reason."""

import numpy as np
import pandas as pd
import pytest

from causalrep.data import load
from causalrep.errors import DataError


def written(folder, *, rows=6, **changed):
    rng = np.random.default_rng(0)
    tables = {
        "demographics": pd.DataFrame({"age": np.arange(rows) + 8.0, "sex": ["f", "m"] * (rows // 2)}),
        "fields": pd.DataFrame(
            {"wrat": [101.0, np.nan, 99, 103, 97, 100], "diagnosis": [*list("bbaba"), None], "site": ["x"] * 6}
        ),
    }
    np.save(folder / "connectivity.npy", changed.get("connectivity", rng.normal(size=(rows, 10))))
    for name, table in tables.items():
        changed.get(name, table).to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_subjects_and_fields_as_numbers(tmp_path):
    cohort = load("connectivity_cohort", path=written(tmp_path))
    assert cohort.connectivity.shape == (6, 10)
    assert cohort.connectivity.dtype == np.float32
    assert list(cohort.demographics["sex"]) == list("fmfmfm")
    # Fields with one value are dropped, text is coded, and missing values are replaced by the mean.
    assert list(cohort.fields.columns) == ["wrat", "diagnosis"]
    np.testing.assert_allclose(cohort.fields["wrat"], [101, 100, 99, 103, 97, 100])
    np.testing.assert_allclose(cohort.fields["diagnosis"], [1, 1, 0, 1, 0, 0.6])


def test_the_error_for_a_missing_folder_says_what_to_put_there(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"connectivity\.npy does not exist\. Expected in it: .*phs000607"):
        load("connectivity_cohort", path=tmp_path / "nowhere")
    monkeypatch.setenv("CAUSALREP_DATA", str(tmp_path))
    with pytest.raises(DataError, match="connectivity-cohort"):
        load("connectivity_cohort")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"connectivity": np.ones((6, 4, 4))}, r"shape \(6, 4, 4\), expected \(subjects, edges\)"),
        ({"connectivity": np.full((6, 4), np.nan)}, "not finite"),
        ({"connectivity": np.full((6, 4), "x")}, "not finite"),
        ({"demographics": pd.DataFrame({"age": [1, 2, 3]})}, "3 rows below its header"),
        ({"fields": pd.DataFrame({"iq": [1] * 6})}, "two different values"),
    ],
)
def test_wrong_shapes_are_refused(tmp_path, changed, message):
    with pytest.raises(DataError, match=message):
        load("connectivity_cohort", path=written(tmp_path, **changed))


def test_a_file_of_another_kind_is_refused(tmp_path):
    written(tmp_path)
    (tmp_path / "connectivity.npy").write_text("age,sex\n1,2\n")
    with pytest.raises(DataError, match="not an array that NumPy saved"):
        load("connectivity_cohort", path=tmp_path)
