"""The command line, called in this process: listing, fields, errors and exit codes."""

import json
import os
import re
import subprocess
import sys

import pytest

from causalrep.study import read_records
from experiments import configs
from experiments import report as report_tool
from experiments.run import main


@pytest.fixture
def cli(roots, tmp_path, capsys):
    def call(*arguments):
        try:
            code = main([*arguments], **roots)
        except SystemExit as stop:  # tyro's own errors and --help
            code = stop.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_list_names_every_config(cli):
    code, out, _ = cli("--list")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 3
    expected = "demo/location Absolute error of the mean and the median of a normal sample. 2 s at any scale."
    assert " ".join(lines[1].split()) == expected


def test_help_shows_every_field_with_its_default(cli):
    code, out, _ = cli("demo/location", "--scale", "paper", "--help")
    assert code == 0
    for text in (
        "--scale",
        "--results",
        "--mode",
        "--chunk",
        "--replications",
        "400",
        "--samples",
        "10 20",
        "Sample",
    ):
        assert text in out
    code, out, _ = cli("--help")
    assert code == 0
    assert "demo/slow" in out


def test_a_run_prints_table_claims_and_folder(cli, tmp_path):
    results = tmp_path / "results"
    code, out, err = cli("demo/location", "--results", str(results), "--samples", "10", "40", "--replications", "300")
    assert code == 0
    assert "0.2523 [card]" in out
    assert "1 held, 0 failed, 0 undecided" in out
    assert str(results / "demo" / "location" / "small-") in out
    assert len(err.splitlines()) == 4
    assert "cell 1/4 (n=10, mu=0)" in err
    (folder,) = (results / "demo" / "location").iterdir()
    assert len(read_records(folder / "records.parquet")) == 4 * 300 * 2
    assert json.loads((folder / "config.json").read_text())["config"] == {
        "replications": 300,
        "samples": [10, 40],
    }
    # The same command again computes nothing.
    code, _, err = cli("demo/location", "--results", str(results), "--samples", "10", "40", "--replications", "300")
    assert (code, err) == (0, "")


def test_a_run_says_how_fast_it_was(cli, tmp_path):
    command = ["demo/location", "--results", f"memory://{tmp_path.name}", "--profile", "--tensorboard", str(tmp_path)]
    code, out, _ = cli(*command)
    assert code == 0
    assert re.search(r"\n160 replications in \S+ s \(\S+/s\) after \S+ s of compiling; vmap on 1 x cpu: cpu\.\n", out)
    assert re.search(r"As compiled: (at least )?\S+ FLOP per replication, so (at least )?\S+ FLOP/s", out)
    assert f"memory://{tmp_path.name}/demo/location/small-" in out
    assert list((tmp_path / "demo" / "location").rglob("events.out.*"))
    code, out, _ = cli(*command)
    assert code == 0
    assert "compiling" not in out, "nothing was computed"


def test_memory_that_bounds_a_chunk_is_said(cli, tmp_path, monkeypatch):
    from causalrep.study.execution import chunks

    monkeypatch.setitem(chunks.CHUNK_BYTES, "cpu", 4000)
    code, out, _ = cli("demo/location", "--results", str(tmp_path), "--samples", "100", "101")
    assert code == 0
    assert re.search(r"Cells 1, 2(?:, 3, 4)?: \d+ replications per call, limited by memory: the compiled", out)


def test_preemption_has_its_exit_code(cli, roots, tmp_path):
    path = roots["config_root"] / "demo" / "slow.py"
    path.write_text(path.read_text().replace("time.sleep(", "import os; os.kill(os.getpid(), 15); time.sleep("))
    code, _, err = cli("demo/slow", "--results", str(tmp_path / "results"), "--seconds", "0.01")
    assert code == 75
    assert "continue with the same command" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo/location", "--process-count", "2"], "coordinator and process_index: found None"),
        (["demo/location", "--results", "nowhere://x"], "results: found 'nowhere://x'"),
        (["demo/locatoin"], "did you mean demo/location"),
        (["nothing"], "no config named 'nothing'"),
        (["--scale", "small"], "the config comes first"),
        (["demo/location", "--samplse", "3"], "--samples"),
        (["demo/location", "--replications", "many"], "--replications"),
        (["demo/location", "--scale", "huge"], "huge"),
        (["demo/location", "--scale"], "--scale"),
        (["demo/location", "--mode", "pmap"], "pmap"),
        (["demo/location", "--replications", "0"], "replications: found 0"),
        (["demo/location", "--results", "/proc/nowhere"], "cannot be written"),
        (["demo/slow", "--mode", "vmap"], "compiled=False"),
    ],
)
def test_a_user_s_mistake_is_explained_without_a_traceback(cli, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*arguments)
    assert code == 2
    assert message in out + err
    assert "Traceback" not in err


def test_corrupt_records_are_explained(cli, tmp_path):
    command = ("demo/location", "--scale", "smoke", "--results", str(tmp_path / "results"))
    assert cli(*command)[0] == 0
    (path,) = (tmp_path / "results").rglob("records.parquet")
    path.write_bytes(b"PAR1 nothing")
    code, _, err = cli(*command)
    assert code == 2
    assert "records.parquet" in err
    assert "Delete it" in err
    assert err.startswith("error: ")


def test_damaged_configs_are_explained(cli, roots):
    path = roots["config_root"] / "demo" / "location.py"
    path.write_text('"""Nothing."""\nSCALES = {"smoke": 1}\n')
    assert "SCALES" in cli("demo/location")[2]
    path.write_text('"""Nothing."""\nSCALES = {"smoke": 1, "small": 1, "paper": 1}\n')
    assert "not a dataclass" in cli("demo/location")[2]
    path.write_text('"""')
    assert cli("--list")[0] == 2


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("", "location.py: REPRODUCE is None; expected one of smoke, small, paper"),
        ('REPRODUCE = "large"', "location.py: REPRODUCE is 'large'"),
        ('REPRODUCE = "small"\nMAIN = 1', "location.py: MAIN is 1; expected True or False"),
        ('REPRODUCE = "small"\nDATA = ("ihdp")', "location.py: DATA is 'ihdp'; expected a tuple"),
        ("REPRODUCE = min(1, 2)", "location.py: REPRODUCE is not a literal value"),
    ],
)
def test_a_config_must_say_how_it_is_reproduced(cli, roots, declared, message):
    path = roots["config_root"] / "demo" / "location.py"
    path.write_text(path.read_text().replace('REPRODUCE = "small"', declared))
    code, _, err = cli("--list")
    assert code == 2
    assert message in err


def test_the_place_to_run_it_is_named_where_configs_are_missing(roots, tmp_path, capsys):
    nowhere = {**roots, "config_root": tmp_path / "nowhere"}
    for arguments in (["demo/location"], ["--list"]):
        assert main(arguments, **nowhere) == 2
        assert "start the command in that root" in capsys.readouterr().err


def test_report_collects_the_largest_scale(cli, roots, tmp_path, capsys):
    results, docs = tmp_path / "results", tmp_path / "docs"
    assert report_tool.main(["demo", "--results", str(results)], docs=docs, **roots) == 2
    assert "start with: python -m experiments.run demo/location" in capsys.readouterr().err
    assert report_tool.main(["dem"], docs=docs, **roots) == 2
    assert "there are: demo" in capsys.readouterr().err
    for scale in ("smoke", "small"):
        cli("demo/location", "--scale", scale, "--results", str(results))
    assert report_tool.main(["demo", "--results", str(results), "--publish"], docs=docs, **roots) == 0
    printed = capsys.readouterr().out
    page = (docs / "demo.md").read_text()
    assert page.startswith("<!-- Written by `python -m experiments.report demo --publish`; do not edit. -->")
    for text in (printed, page):
        assert "Scale small, 40 replications per cell" in text
        assert "0.2523 [card]" in text
        assert "Not run yet: demo/slow" in text
        assert "python -m experiments.run demo/location --scale small" in text
    assert "](demo/location/error-by-n.png)" in page
    assert (docs / "demo" / "location" / "error-by-n.png").exists()
    assert report_tool.main(["demo", "--results", str(results), "--scale", "smoke"], docs=docs, **roots) == 0
    assert "Scale smoke, 4 replications" in capsys.readouterr().out


def test_every_config_of_the_repository_loads():
    for name in configs.names():
        for scale in configs.load(name).values():
            study = configs.study_of(scale)
            assert study.name == name
            assert study.config
    for entry in configs.entries():
        assert entry.expected_time != "not stated"


@pytest.mark.parametrize("flags", [[], ["-OO"]], ids=["asserts", "neither asserts nor docstrings"])
def test_an_ascii_terminal_and_python_without_docstrings_end_no_run(roots, tmp_path, flags):
    code = (
        "import sys; from pathlib import Path; from experiments.run import main; "
        "config, papers, *rest = sys.argv[1:]; "
        "sys.exit(main(rest, config_root=Path(config), papers_root=Path(papers)))"
    )

    def call(*arguments):
        return subprocess.run(
            [sys.executable, *flags, "-c", code, *map(str, roots.values()), *arguments],
            env={**os.environ, "PYTHONPATH": str(configs.ROOT), "PYTHONIOENCODING": "ascii"},
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )

    done = call("demo/location", "--scale", "smoke")
    assert done.returncode == 0, done.stderr.decode()
    assert b"mean \\xb1 SE" in done.stdout
    assert call("--help").returncode == 0
