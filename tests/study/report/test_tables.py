import dataclasses

import numpy as np
import pandas as pd
import pytest

from causalrep.errors import InputError, RecordsError
from causalrep.study import (
    Curves,
    Estimate,
    Figure,
    Monotone,
    Ordering,
    PrintedDigits,
    ReportedNumber,
    Table,
    Within,
    load_reported,
)
from causalrep.study.report.figures import save_figure
from causalrep.study.report.tables import difference, show


@pytest.mark.parametrize(
    "spec",
    [
        Curves(x="kappa", metric="eror"),
        Curves(x="kappa", metric="eror", methods=("OLS",)),
        Curves(x="kappa", metric="err", methods=("OSL",)),
        Table(title="Errors", metric="eror"),
        Table(title="Errors", metric=("err", "eror")),
        Ordering(metric="eror", methods=("2SLS", "OLS")),
        Within(metric="eror", method="OLS", low=0.0, aggregate="every"),
        Monotone(metric="eror", method="OLS", along="kappa", direction="increasing"),
        PrintedDigits("digits", (ReportedNumber("demo/x", {"method": "OLS"}, "eror", 1.5, "Table 1", "paper"),)),
    ],
    ids=lambda spec: type(spec).__name__,
)
def test_a_misspelt_metric_or_method_is_refused_with_the_names_there_are(spec, frame, tmp_path):
    def show():
        if isinstance(spec, Curves):
            save_figure(spec, frame, tmp_path / "figure.png")
        elif isinstance(spec, Table):
            spec.markdown(frame)
        else:
            spec.evaluate(frame)

    with pytest.raises(InputError, match=r"no rows with .*metric '\w+'.*methods \['2SLS', 'OLS'\], metrics \['err'\]"):
        show()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    rows = [
        {
            "kappa": k,
            "kind": "s",
            "method": m,
            "replication": r,
            "metric": "err",
            "value": base + k + rng.normal() / 9,
        }
        for k in (0.5, 1.0)
        for r in range(16)
        for m, base in (("OLS", 1.0), ("2SLS", 0.1))
    ]
    return pd.DataFrame(rows)


NUMBERS = (
    ReportedNumber("demo/x", {"method": "OLS", "kappa": 0.5}, "err", 1.5, "Table 1", "paper"),
    ReportedNumber("demo/x", {"method": "OLS", "kappa": 1}, "err", 9.0, "Table 1", "textbook (unverified)", se=0.5),
    ReportedNumber("demo/x", {"method": "2SLS", "kappa": 1}, "other", 7.7, "Table 1", "paper"),
)


def test_one_value_a_row(frame):
    text = Table(title="Errors", metric="err", where={"kappa": 1.0}).markdown(frame, NUMBERS)
    lines = text.splitlines()
    assert lines[0] == "### Errors"
    ols = [cell.strip() for cell in next(line for line in lines if line.startswith("| OLS")).split("|")]
    values = frame[(frame["kappa"] == 1.0) & (frame["method"] == "OLS")]["value"]
    mean, se = values.mean(), values.std(ddof=1) / 4
    assert ols[2] == f"{mean:.3f} ± {se:.3f} (n=16)"
    assert ols[3] == "9 ± 0.5 [textbook (unverified)]"
    assert ols[4] == f"{(mean - 9) / np.hypot(se, 0.5):+.1f} SE"
    assert lines.index(next(x for x in lines if x.startswith("| OLS"))) < lines.index(
        next(x for x in lines if x.startswith("| 2SLS"))
    )
    assert "7.7" not in text
    assert len({len(line) for line in lines[2:] if line}) == 1


def test_reported_numbers_match_one_cell_only(frame):
    # Averaged over kappa, a row is not what the paper printed for one kappa.
    assert "paper" not in Table(title="", metric="err").markdown(frame, NUMBERS)
    assert "reported" not in Table(title="", metric="err", reported=False).markdown(frame, NUMBERS)


def test_columns(frame):
    text = Table(title="", metric="err", columns="kappa").markdown(frame, NUMBERS)
    assert "kappa=0.5" in text
    assert "n = 16 in each cell" in text
    assert "; 1.5 [paper]: " in text
    by_pair = Table(title="", metric="err", rows=("method", "kind"), columns=("kappa", "kind")).markdown(frame)
    assert "kappa=1, kind=s" in by_pair
    assert Table(title="", metric="err", aggregate="median").markdown(frame).count("median ± SE") == 1


def test_several_metrics_stand_side_by_side_with_reported_lines_below(frame):
    once = frame[(frame["replication"] == 0) & (frame["kappa"] == 1.0)].assign(value=0.13150384)
    frame = pd.concat([once, once.assign(metric="se", value=0.0549), once.assign(metric="count", value=3.0)])
    frame = frame[(frame["metric"] != "se") | (frame["method"] == "OLS")]
    numbers = (
        ReportedNumber("demo/x", {"method": "OLS"}, "err", 0.1315, "peer 1.0", "measured with a peer package"),
        ReportedNumber("demo/x", {"method": "OLS"}, "err", 0.14, "Table 1", "textbook (unverified)"),
        ReportedNumber("demo/x", {"method": "OLS"}, "se", 0.0551, "peer 1.0", "measured with a peer package"),
    )
    metrics = ("err", "se", "count")
    text = Table(title="T", metric=metrics, unit=(), decimals=7, note="A note.").markdown(frame, numbers)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    assert lines[0] == ["method", "source", *metrics]
    assert lines[2:] == [
        ["OLS", "ours", "0.1315038", "0.0549000", "3"],
        ["", "peer 1.0", "0.1315 (=)", "0.0551 (-0.0002)", ""],
        ["", "Table 1", "0.14 (-0.0085)", "", ""],
        ["2SLS", "ours", "0.1315038", "", "3"],
    ]
    assert "A note." in text
    assert "Table 1: textbook (unverified)" in text
    plain = Table(title="T", metric=metrics, unit=()).markdown(frame)
    assert "source" not in plain
    with pytest.raises(InputError, match="several metrics and columns"):
        Table(title="T", metric=metrics, columns="kappa")


def test_every_reported_number_of_a_cell_is_shown(frame):
    twice = [ReportedNumber("demo/x", {"method": "OLS"}, "err", v, "s", "paper") for v in (1.5131, 1.6)]
    narrow = Table(title="", metric="err").markdown(frame, twice)
    assert "1.5131 [paper]; 1.6 [paper]" in narrow
    wide = Table(title="", metric="err", columns="kind").markdown(
        frame, [ReportedNumber("demo/x", {"method": "OLS", "kind": "s"}, "err", 1.51312345, "s", "paper")]
    )
    assert "; 1.51312345 [paper]: " in wide


def test_wrong_tables_are_named(frame):
    with pytest.raises(InputError, match="no rows"):
        Table(title="T", metric="nothing").markdown(frame)
    with pytest.raises(InputError, match="columnz"):
        Table(title="T", metric="err", columns="columnz").markdown(frame)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(0.8241, 0.0123, 32), "0.824 ± 0.012 (n=32)"),
        (Estimate(123.4, 12.0, 3), "123 ± 12 (n=3)"),
        (Estimate(0.1315038, np.nan, 1), "0.131504 (n=1)"),
        (Estimate(2.0, 0.0, 5), "2 (n=5)"),
        (Estimate(np.nan, np.nan, 5), "nan (n=5)"),
    ],
)
def test_numbers_show_two_digits_of_their_error(found, text):
    assert show(found) == text


def test_differences():
    assert difference(Estimate(1.0, 0.1, 9), NUMBERS[0]) == "-5.0 SE"
    assert difference(Estimate(1.6, np.nan, 1), NUMBERS[0]) == "+0.1"
    rounded = dataclasses.replace(NUMBERS[0], value=0.0, se=None, decimals=3)
    assert difference(Estimate(4e-4, 1e-5, 9), rounded) == "+0.0 SE", "0.000 may stand for 0.0004"
    assert difference(Estimate(7e-4, 1e-4, 9), rounded) == "+2.0 SE"


ENTRY = """
[[number]]
experiment = "demo/x"
where = { method = "OLS", kappa = 1.0 }
metric = "err"
value = 1
source = "Table 1"
provenance = "paper"
"""


def test_reported_file(tmp_path):
    path = tmp_path / "demo.toml"
    assert load_reported(path) == ()
    path.write_text(ENTRY + "se = 0.5\n")
    (number,) = load_reported(path)
    assert number == ReportedNumber("demo/x", {"method": "OLS", "kappa": 1.0}, "err", 1.0, "Table 1", "paper", 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("value = 1", "value = 'x'"), "value"),
        (("value = 1", "value = nan"), "value"),
        (("value = 1", ""), "missing"),
        (("metric", "metrics"), "unknown"),
        (('"paper"', '"rumour"'), "provenance"),
        (('source = "Table 1"', 'source = ""'), "source"),
        (("[[number]]", "[[numbers]]"), "numbers"),
        (("where = {", "where = ["), "TOML"),
    ],
)
def test_wrong_reported_files_are_named(tmp_path, change, message):
    path = tmp_path / "demo.toml"
    path.write_text(ENTRY.replace(*change))
    with pytest.raises(RecordsError, match=message) as caught:
        load_reported(path)
    assert "demo.toml" in str(caught.value)


def test_curves_draw_means_bands_and_reported_points(frame, tmp_path):
    from matplotlib.figure import Figure as Canvas

    spec = Curves(x="kappa", metric="err", title="T", xlabel="kappa", hline=1.0, vlines=lambda records: {"here": 0.7})
    canvas = Canvas()
    spec.draw(frame, canvas, NUMBERS)
    (axes,) = canvas.axes
    curve = axes.lines[0]
    ols = frame[frame["method"] == "OLS"].groupby("kappa")["value"].mean()
    np.testing.assert_allclose(curve.get_ydata(), ols)
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["OLS", "2SLS", "OLS [paper]", "OLS [textbook (unverified)]"]
    assert (axes.get_xlabel(), axes.get_title()) == ("kappa", "T")
    save_figure(spec, frame, tmp_path / "curves.png", NUMBERS)
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    save_figure(Figure("own", lambda records, figure: figure.subplots().plot([1, 2])), frame, tmp_path / "own.png")
    assert (tmp_path / "own.png").stat().st_size > 1000
    with pytest.raises(InputError, match="no rows with method 'LIML'"):
        Curves(x="kappa", metric="err", methods=("LIML",)).draw(frame, Canvas())
    with pytest.raises(InputError, match="x = 'gamma'"):
        Curves(x="gamma", metric="err").draw(frame, Canvas())
