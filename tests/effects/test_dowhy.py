"""Our estimators inside DoWhy: identified there, estimated here, refuted there. `make test-dowhy` runs it."""

import numpy as np
import pandas as pd
import pytest

from causalrep.effects import AIPW, DRLearner
from causalrep.errors import InputError
from causalrep.iv import TwoStageLeastSquares

dowhy = pytest.importorskip("dowhy", reason="DoWhy pins an older SciPy: run `make test-dowhy`")
pytestmark = pytest.mark.filterwarnings("ignore")
METHOD = "backdoor.causalrep.effects.dowhy.Estimator"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 3000
    w, x, z, u = rng.normal(size=(4, n))
    t = (rng.uniform(size=n) < 1 / (1 + np.exp(-(w + z)))).astype(int)
    y = 2 * t + t * x + 3 * w + rng.normal(size=n)
    return pd.DataFrame({"w": w, "x": x, "z": z, "t": t, "y": y, "d": z + u + w, "s": 2 * (z + u + w) + 3 * u + w})


@pytest.fixture(scope="module")
def model(data):
    return dowhy.CausalModel(data, "t", "y", graph="digraph {w -> t; w -> y; x -> y; z -> t; t -> y}")


def estimate(model, estimator, estimand=None, **options):
    return model.estimate_effect(
        estimand or model.identify_effect(), method_name=METHOD, method_params={"estimator": estimator}, **options
    )


def test_the_estimate_is_ours_and_the_true_effect(model, data):
    result = estimate(model, DRLearner(), confidence_intervals=True, test_significance=True)
    own = DRLearner().fit(data["y"], data["t"], X=data[["x"]], W=data[["w"]])
    assert result.value == pytest.approx(own.ate(), abs=1e-9)
    assert abs(result.value - 2) < 0.2
    assert abs(data.query("t == 1")["y"].mean() - data.query("t == 0")["y"].mean() - 2) > 1
    np.testing.assert_allclose(result.cate_estimates, own.effect(data[["x"]]), atol=1e-9)
    low, high = result.get_confidence_intervals()
    assert (low, high) == pytest.approx(own.ate_interval(), abs=1e-9)
    assert result.test_stat_significance()["p_value"] < 1e-6


def test_other_units(model, data):
    some = estimate(model, DRLearner(), target_units=lambda frame: frame["x"] > 0)
    assert some.value == pytest.approx(2 + data.query("x > 0")["x"].mean(), abs=0.25)
    treated = estimate(model, AIPW(), target_units="att")
    assert treated.value == pytest.approx(AIPW().fit(data["y"], data["t"], X=data[["x"]], W=data[["w"]]).att())


def test_dowhy_refutes_it(model):
    estimand = model.identify_effect()
    result = estimate(model, AIPW(), estimand)
    placebo = model.refute_estimate(
        estimand, result, method_name="placebo_treatment_refuter", placebo_type="permute", num_simulations=10
    )
    assert abs(placebo.new_effect) < 0.2
    common = model.refute_estimate(estimand, result, method_name="random_common_cause", num_simulations=5)
    assert common.new_effect == pytest.approx(result.value, abs=0.05)


def test_instruments(data):
    model = dowhy.CausalModel(data, "d", "s", graph="digraph {z -> d; d -> s; U -> d; U -> s}")
    result = model.estimate_effect(
        model.identify_effect(),
        method_name=METHOD.replace("backdoor", "iv"),
        method_params={"estimator": TwoStageLeastSquares()},
    )
    assert abs(result.value - 2) < 0.2


def test_what_is_refused(model):
    with pytest.raises(InputError, match="estimator: found None"):
        estimate(model, None)
    with pytest.raises(InputError, match="target_units: found some units, with AIPW"):
        estimate(model, AIPW(), target_units=lambda frame: frame["x"] > 0)
    with pytest.raises(InputError, match="treatment_value, control_value: found 2, 0"):
        estimate(model, AIPW(), treatment_value=2)
