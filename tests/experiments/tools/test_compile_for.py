"""``--compile-for`` and ``--precision``: their output, their exit codes and the rows of the page."""

import dataclasses
import json

import pytest

from causalrep.aot.collectives import Collective
from causalrep.aot.programs import Memory, ProgramReport, Roofline
from causalrep.errors import InputError
from experiments import report as report_tool
from experiments.run import main
from experiments.tools import compile_for as tool
from experiments.tools.pages import END, mark
from tests.libtpu import needs_libtpu

REPORT = ProgramReport(
    name="n=10 (2 cells)",
    target="tpu:v5e:4x4",
    chips=16,
    memory=Memory(2048, 512, 2**20, 2**20, 0),
    limit=2**34,
    flops=1.5e9,
    bytes=2**21,
    collectives=(),
    expected=(),
    open_loops=2,
    kernels={"Cholesky": 3},
    fast_products=0,
    lower_seconds=0.5,
    compile_seconds=1.25,
    estimate=Roofline(1e-6, 2.5e-6, 0.0),
)


@pytest.fixture
def cli(roots, capsys):
    def call(*arguments):
        code = main([*arguments], **roots)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def compiled(monkeypatch):
    """Replaces the reports of the compiler."""

    def give(*reports):
        monkeypatch.setattr(tool, "compile_for", lambda target, programs: list(reports))

    return give


def test_the_table_shows_what_a_program_needs(cli, compiled):
    compiled(REPORT)
    code, out, err = cli("demo/location", "--compile-for", "cuda:16")
    assert (code, err) == (0, "")
    for text in (
        "n=10 (2 cells)",
        "2.0 MiB (2.0 KiB + 512 B + 1.0 MiB + 1.0 MiB)",
        "1.5 G",
        "none",
        "1.25 s",
        "≥ 2.5 us, memory",
        "nothing was timed",
        "Up to 2 loops",
        "Cholesky",
    ):
        assert text in out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"collectives": (Collective("all-gather", 64, 3, "jit/qr"),)}, "stray all-gather: 3 x 64 bytes, from jit/qr"),
        ({"expected": ("all-reduce",)}, "no all-reduce, though one is expected"),
        ({"memory": None, "collectives": None, "too_large": "needs 100.00G"}, "does not fit: needs 100.00G"),
        ({"limit": 2**20}, "does not fit"),
    ],
)
def test_a_problem_is_an_error(cli, compiled, changes, message):
    compiled(REPORT, dataclasses.replace(REPORT, **changes))
    code, out, err = cli("demo/location", "--compile-for", "cuda:16")
    assert code == 1
    assert message in err
    assert "n=10" in out


def test_ordinary_python_has_nothing_to_compile(cli):
    code, out, _ = cli("demo/slow", "--compile-for", "cuda")
    assert code == 0
    assert "nothing to compile for cuda: ordinary Python" in out


def test_lowering_says_what_it_does_not_know(cli):
    code, out, _ = cli("demo/location", "--compile-for", "cuda:8")
    assert code == 0
    assert "Lowered only" in out
    assert out.count("unknown before compiling") == 3


@pytest.mark.parametrize("target", [pytest.param("tpu:v5e:5x5", marks=needs_libtpu), "moon"])
def test_an_unknown_target_is_a_user_s_error(cli, target):
    code, _, err = cli("demo/location", "--precision", "float32", "--compile-for", target)
    assert code == 2
    assert err.startswith("error: t")
    assert target.removeprefix("tpu:") in err


def test_a_run_in_float32_says_so(cli, tmp_path):
    code, _, _ = cli("demo/location", "--scale", "smoke", "--precision", "float32", "--results", str(tmp_path))
    assert code == 0
    (environment,) = tmp_path.rglob("environment.json")
    assert json.loads(environment.read_text())["precision"] == "float32, full matrix products"


def test_rows_of_the_page(compiled, tmp_path, monkeypatch, roots):
    load = tool.configs.load
    monkeypatch.setattr(tool.configs, "load", lambda name: load(name, roots["config_root"]))
    page = tmp_path / "page.md"
    page.write_text(f"{mark(tool.COMMAND)}\n{END}\n")
    compiled(REPORT)
    assert tool.publish(["demo/location"], ["cuda:16"], page=page) == 0
    compiled(dataclasses.replace(REPORT, limit=1))
    assert tool.publish(["demo/location"], ["cuda:8"], page=page) == 3, "a problem in each of three programs"
    lines = [line for line in page.read_text().splitlines() if line.startswith("| demo")]
    assert len(lines) == 6
    assert "2.0 MiB" in lines[0]
    assert "**does not fit" in "".join(lines)
    compiled(REPORT)
    assert tool.publish(["demo/location"], ["cuda:16"], page=page, most=1) == 0
    assert sorted(line.split("|")[3].strip() for line in page.read_text().splitlines() if "| cuda:16" in line) == [
        "1 more like these, not compiled",
        "n=10 (2 cells)",
        "n=10 (2 cells)",
    ]
    with pytest.raises(InputError, match=r"^most: found 0"):
        tool.publish(["demo/location"], ["cuda:16"], page=page, most=0)
    compiled()
    assert tool.publish(["demo/slow"], ["tpu:v5e:4x4", "tpu:v5e:16x16"], page=page) == 0
    (line,) = [line for line in page.read_text().splitlines() if line.startswith("| demo/slow")]
    assert [cell.strip() for cell in line.split("|")[2:4]] == ["tpu", "ordinary Python, which runs on the host"]


def test_the_report_finds_a_run_in_float32(cli, roots, tmp_path):
    cli("demo/location", "--scale", "smoke", "--precision", "float32", "--results", str(tmp_path))
    (finished,), _ = report_tool.collect("demo", tmp_path, "smoke", roots["config_root"])
    assert finished.study.precision == "float32"
    assert finished.environment["precision_why"] == "as asked"


def test_a_field_that_a_config_does_not_have_is_a_user_s_error(capsys):
    assert tool.main(["crl/contrastive", "--set", "digits=mnist-10k"]) == 2
    assert "set (crl/contrastive): found digits; expected" in capsys.readouterr().err
