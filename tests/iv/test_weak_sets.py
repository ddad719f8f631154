"""Confidence sets by test inversion: published numbers, peers, brute force."""

import numpy as np
import pytest

from causalrep.iv.diagnostics import first_stage_f
from causalrep.iv.weak import anderson_rubin_set
from causalrep.precision import float64


def test_anderson_rubin_set_of_card(card):
    y, x, z, c, _ = card
    one = z[:, :1]
    np.testing.assert_allclose(anderson_rubin_set(y, x, one, c).intervals, [(0.0248, 0.2848)], atol=5e-5)
    chi2 = anderson_rubin_set(y, x, one, c, distribution="chi2")
    np.testing.assert_allclose(chi2.intervals, [(0.0249, 0.2847)], atol=5e-5)
    np.testing.assert_allclose(anderson_rubin_set(y, x, z, c).intervals, [(0.0536, 0.3620)], atol=5e-5)


def test_anderson_rubin_set_of_mroz(mroz):
    assert np.allclose(anderson_rubin_set(*mroz).intervals, [(-0.0190, 0.1351)], atol=5e-5)
    chi2 = anderson_rubin_set(*mroz, distribution="chi2")
    np.testing.assert_allclose(chi2.intervals, [(-0.0187, 0.1348)], atol=5e-5)


def test_a_useless_instrument_gives_the_whole_line(bwght):
    assert anderson_rubin_set(*bwght).kind == "line"


@pytest.mark.parametrize(("instruments", "expected"), [(1, 13.2558), (2, 7.8931)])
def test_first_stage_f_of_card(card, instruments, expected):
    _, x, z, c, _ = card
    with float64():
        f = first_stage_f(x, z[:, :instruments], c)
    assert round(float(f.statistic), 4) == expected
