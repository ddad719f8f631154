"""Claims on records whose truth is known: each kind holds, fails and stays undecided where it must."""

import numpy as np
import pandas as pd
import pytest

from causalrep.errors import InputError
from causalrep.study import (
    Holds,
    Monotone,
    Ordering,
    PrintedDigits,
    Ratio,
    RelativeGain,
    ReportedNumber,
    Within,
    claims_markdown,
    estimate,
    select,
    unit_values,
)
from causalrep.study.verdicts.estimates import two_se


def _records(n=200, noise=1.0, means=(1.0, 1.2), levels=(0.0, 1.0, 2.0), slope=0.5, shared=5.0, seed=0):
    """Two methods that share a large replication effect: only a paired comparison tells them apart."""
    rng = np.random.default_rng(seed)
    common = shared * rng.normal(size=n)
    rows = []
    for level in levels:
        for r in range(n):
            for method, mean in zip("ab", means, strict=True):
                value = 10 + mean + slope * level + common[r] + noise * rng.normal()
                rows.append({"gamma": level, "method": method, "replication": r, "metric": "x", "value": value})
    return pd.DataFrame(rows)


def test_ordering_is_paired():
    frame = _records(means=(1.0, 1.5))
    claim = Ordering(metric="x", methods=("a", "b"))
    held = claim.evaluate(frame)
    a, b = (select(frame, method=m).groupby("replication")["value"].mean() for m in "ab")
    assert held.status == "held"
    assert held.statistic == pytest.approx((b - a).mean())
    assert held.se == pytest.approx((b - a).std(ddof=1) / np.sqrt(200))
    assert held.n == 200
    # Unpaired, the replication effect would drown the difference.
    assert held.statistic < 2 * np.hypot(a.std(), b.std()) / np.sqrt(200)
    assert Ordering(metric="x", methods=("b", "a")).evaluate(frame).status == "failed"
    assert claim.evaluate(_records(means=(1.0, 1.0), seed=3)).status == "undecided"
    assert claim.evaluate(_records(n=2, means=(1.0, 1.0))).status == "undecided"


def test_ordering_fails_by_one_pair_and_compares_cells():
    frame = _records(means=(1.0, 2.0))
    cells = [("a", {"gamma": 0.0}), ("a", {"gamma": 2.0}), ("b", {"gamma": 2.0})]
    assert Ordering(metric="x", methods=tuple(cells)).evaluate(frame).status == "held"
    assert Ordering(metric="x", methods=(cells[0], cells[2], cells[1])).evaluate(frame).status == "failed"


def test_an_ordering_of_equal_methods_holds_about_as_rarely_as_it_should():
    # A claim that cannot fail is a defect: under equality, "held" is a 2.3% event.
    claim = Ordering(metric="x", methods=("a", "b"))
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        values = rng.normal(size=12)
        frame = pd.DataFrame(
            {"method": list("ab") * 6, "replication": np.repeat(range(6), 2), "metric": "x", "value": values}
        )
        held += claim.evaluate(frame).status == "held"
    assert 1 <= held <= 20


def test_a_single_unit_is_judged_by_the_point():
    frame = _records(n=1, noise=0.0)
    result = Ordering(metric="x", methods=("a", "b"), where={"gamma": 0.0}).evaluate(frame)
    assert (result.status, result.se, result.n) == ("held", None, 1)
    assert Ordering(metric="x", methods=("b", "a")).evaluate(frame).status == "failed"
    assert Ordering(metric="x", methods=("a", "b"), min_replications=2).evaluate(frame).status == "undecided"
    # unit=() makes many rows one deterministic quantity.
    mean = float(select(_records(), method="a")["value"].mean())
    band = Within(metric="x", method="a", low=mean - 1e-9, high=mean + 1e-9, unit=())
    assert band.evaluate(_records()).n == 1
    assert band.evaluate(_records()).status == "held"


def test_ratio_by_the_delta_method():
    frame = _records(means=(0.0, 10.0), slope=0.0, noise=0.5)
    result = Ratio(metric="x", numerator="b", denominator="a", low=1.8, high=2.2).evaluate(frame)
    assert result.status == "held"
    a, b = (unit_values(select(frame, method=m), ("replication",)).to_numpy() for m in "ab")
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, 200, 200) for _ in range(4000)]
    bootstrap = np.std([b[i].mean() / a[i].mean() for i in draws])
    assert result.se == pytest.approx(bootstrap, rel=0.1)
    assert Ratio(metric="x", numerator="b", denominator="a", low=3.0, high=4.0).evaluate(frame).status == "failed"
    assert Ratio(metric="x", numerator="b", denominator="a", low=1.5).evaluate(frame).status == "held"
    open_bound = Ratio(metric="x", numerator="b", denominator="a", low=result.statistic - result.se)
    assert open_bound.evaluate(frame).status == "undecided"


def test_within_bands_and_bounds():
    frame = _records(means=(1.0, 2.0), slope=0.0, shared=0.0)
    mean, se, _ = estimate(unit_values(select(frame, method="a"), ("replication",)))
    verdicts = {
        "held": [(10.9, 11.1), (mean - se / 9, mean + se / 9), (mean - 3 * se, None)],
        "failed": [(12.0, 13.0), (mean + 2.1 * se, mean + 3 * se), (None, mean - 3 * se)],
        "undecided": [(mean + se, mean + 2 * se), (mean - se, None), (None, mean + se), (mean + se, None)],
    }
    for status, bands in verdicts.items():
        for low, high in bands:
            assert Within(metric="x", method="a", low=low, high=high).evaluate(frame).status == status


def test_claims_that_say_nothing_are_refused_when_made():
    for make, named in (
        (lambda: Within(metric="x", method="a"), "low, high"),
        (lambda: Ratio(metric="x", numerator="a", denominator="b", low=2.0, high=1.0), "low, high"),
        (lambda: Ordering(metric="x", methods=("a",)), "methods"),
        (lambda: Monotone(metric="x", method="a", along="gamma", direction="up"), "direction"),
        (lambda: Within(metric="x", aggregate="every", method="a"), "low, high"),
        (lambda: Within(metric="x", aggregate="median", method="a", low=2.0, high=1.0), "low, high"),
        (lambda: Ratio(metric="x", aggregate="every", numerator="a", denominator="b", low=1.0), "aggregate"),
    ):
        with pytest.raises(InputError, match=named):
            make()


def test_monotone_judges_the_trend_and_every_step():
    rising = Monotone(metric="x", method="a", along="gamma", direction="increasing")
    falling = Monotone(metric="x", method="a", along="gamma", direction="decreasing")
    assert rising.evaluate(_records()).status == "held"
    assert falling.evaluate(_records()).status == "failed"
    assert falling.evaluate(_records(slope=-0.5)).status == "held"
    assert rising.evaluate(_records(slope=0.0, seed=2)).status == "undecided"
    hill = _records(noise=0.2)
    hill.loc[hill["gamma"] == 1.0, "value"] += 3
    assert rising.evaluate(hill).status == "failed"
    # A long flat stretch has noisy steps down; none is evidence against a trend.
    flat = _records(levels=tuple(np.linspace(0, 1, 20)), slope=1.0, noise=0.5)
    assert rising.evaluate(flat).status == "held"


def test_values_that_are_not_finite_leave_a_claim_undecided():
    frame = _records()
    frame.loc[0, "value"] = np.nan
    result = Ordering(metric="x", methods=("a", "b")).evaluate(frame)
    assert result.status == "undecided"
    assert "not finite" in result.detail
    frame.loc[0, "value"] = np.inf
    assert Within(metric="x", method="a", low=0.0, high=99.0).evaluate(frame).status == "undecided"


def test_a_claim_about_nothing_is_an_error():
    frame = _records()
    for claim in (
        Ordering(metric="y", methods=("a", "b")),
        Within(metric="x", method="c", low=0.0),
        Within(metric="x", method="a", low=0.0, where={"gamma": 7.0}),
        Within(metric="x", method="a", low=0.0, where={"delta": 7.0}),
        Monotone(metric="x", method="a", along="gamma", direction="increasing", where={"gamma": 0.0}),
        Within(metric="x", method="a", low=0.0, unit=("dataset",)),
    ):
        with pytest.raises(InputError, match="found"):
            claim.evaluate(frame)


def _heavy_tailed(n=200):
    """Two methods with medians near 1 and 2, whose means a few huge values decide."""
    rng = np.random.default_rng(4)
    values = {"a": np.exp(0.3 * rng.normal(size=n)), "b": 2 * np.exp(0.3 * rng.normal(size=n))}
    values["a"][:3] = 1e6
    rows = [
        {"method": method, "replication": r, "metric": "x", "value": value}
        for method, column in values.items()
        for r, value in enumerate(column)
    ]
    return pd.DataFrame(rows)


def test_claims_about_medians_hold_where_the_means_say_otherwise():
    frame = _heavy_tailed()
    assert Within(metric="x", method="a", high=1.3).evaluate(frame).status != "held"
    for bounds, status in (
        ({"high": 1.3}, "held"),
        ({"low": 0.8, "high": 1.2}, "held"),
        ({"high": 0.8}, "failed"),
        ({"low": 1.0001 * frame.loc[frame["method"] == "a", "value"].median()}, "undecided"),
    ):
        assert Within(metric="x", aggregate="median", method="a", **bounds).evaluate(frame).status == status, bounds
    for bounds, status in (({"low": 1.5}, "held"), ({"low": 3.0}, "failed"), ({"low": 1.5, "high": 2.5}, "held")):
        ratio = Ratio(metric="x", aggregate="median", numerator="b", denominator="a", **bounds)
        assert ratio.evaluate(frame).status == status, bounds
    few = frame[frame["replication"] < 19]
    assert Within(metric="x", aggregate="median", method="a", high=1.3).evaluate(few).status == "undecided"
    assert (
        Ratio(metric="x", aggregate="median", numerator="b", denominator="a", low=1.5).evaluate(few).status
        == "undecided"
    )
    zero = frame.assign(value=frame["value"].where(frame["method"] == "b", 0.0))
    result = Ratio(metric="x", aggregate="median", numerator="b", denominator="a", low=1.5).evaluate(zero)
    assert (result.status, result.statistic) == ("undecided", None)


def test_every_value_counts_by_itself():
    frame = _records(noise=0.0, shared=0.0, slope=0.0)
    exact = Within(metric="x", aggregate="every", method="a", low=11.0, high=11.0)
    result = exact.evaluate(frame)
    assert (result.status, result.statistic, result.n) == ("held", 1.0, 200)
    assert result.detail == "600 of 600; from 11 to 11"
    for value in (11.0001, np.nan, np.inf):
        wrong = frame.copy()
        wrong.loc[0, "value"] = value
        assert exact.evaluate(wrong).status == "failed", value


def test_a_relative_gain_is_paired():
    rng = np.random.default_rng(0)
    common = 10 * rng.normal(size=30)
    rows = {"simulation": range(30), "replication": 0, "metric": "ate_error"}
    frame = pd.concat(
        pd.DataFrame(rows | {"method": method, "value": value})
        for method, value in (("No U", 20 + common), ("with U", 18 + common + 0.1 * rng.normal(size=30)))
    )
    gain = {"metric": "ate_error", "unit": ("simulation",)}
    result = RelativeGain(method="with U", over="No U", **gain).evaluate(frame)
    assert (result.status, result.n) == ("held", 30)
    assert "relative gain 0.1" in result.detail
    assert RelativeGain(method="No U", over="with U", **gain).evaluate(frame).status == "failed"
    assert RelativeGain(method="with U", over="No U", more_than=0.2, **gain).evaluate(frame).status == "failed"
    one = frame[frame["simulation"] == 0]
    assert RelativeGain(method="with U", over="No U", **gain).evaluate(one).status == "undecided"


def test_printed_digits_are_compared_to_the_last():
    frame = _records(n=1, noise=0.0, shared=0.0, slope=0.0, levels=(0.0,))  # a: 11, b: 11.2
    numbers = [
        ReportedNumber("demo", {"method": method}, "x", value, "Table 1", "paper")
        for method, value in (("a", 11.0), ("b", 11.2))
    ]
    (claim,) = PrintedDigits.by_source(numbers)
    assert claim.name == "x: every value of Table 1, to its printed digits"
    assert claim.evaluate(frame).status == "held"
    close = frame.assign(value=frame["value"] + 0.049)  # 11 was printed without a decimal, 11.2 with one
    assert claim.evaluate(close).status == "held"
    for wrong in (
        frame.assign(value=frame["value"] + 0.051),
        frame[frame["method"] == "a"],
        frame.assign(value=np.nan),
    ):
        assert claim.evaluate(wrong).status == "failed"
    (wider,) = PrintedDigits.by_source(numbers, {"x": 0.1})
    assert wider.evaluate(frame.assign(value=frame["value"] + 0.09)).status == "held"


def test_holds_is_the_way_out():
    frame = _records()
    for verdict, status in ((True, "held"), (False, "failed"), (None, "undecided")):
        result = Holds("odd", lambda records, v=verdict: (v, f"{len(records)} rows")).evaluate(frame)
        assert (result.status, result.detail, result.n) == (status, "1200 rows", 200)


def test_markdown_puts_failures_first():
    frame = _records(means=(1.0, 2.0))
    claims = [Ordering(metric="x", methods=m, source="Table 1").evaluate(frame) for m in (("a", "b"), ("b", "a"))]
    text = claims_markdown(claims)
    assert text.startswith("### Claims: 1 held, 1 failed, 0 undecided")
    assert text.index("**failed**") < text.index("**held**")
    assert "n=200: x: a < b (Table 1)" in text


def test_two_standard_errors_widen_for_few_units():
    assert two_se(10**6) == pytest.approx(2.0, abs=1e-4)
    assert two_se(3) > 4
    assert two_se(50, comparisons=10) > 2.8


def test_median_and_its_standard_error():
    rng = np.random.default_rng(0)
    median = estimate(rng.normal(size=4001), "median")
    assert median.se == pytest.approx(np.sqrt(np.pi / 2 / 4001), rel=0.15)
    assert abs(median.value) < 4 * median.se
    assert np.isnan(estimate(np.ones(1), "median").se)
