"""The documentation's own study runs as it is printed, and its claims hold."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from causalrep.study import load_reported

PAGE = Path(__file__).resolve().parents[2] / "docs" / "running" / "your-own-study.md"


def _block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL).group(1)


def test_the_page_s_file_runs_alone(tmp_path):
    (tmp_path / "weak_instrument.py").write_text(_block("python"))
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parents[2])}
    done = subprocess.run(
        [sys.executable, "weak_instrument.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "3 held, 0 failed, 0 undecided" in done.stdout
    (folder,) = (tmp_path / "results" / "my" / "weak_instrument").iterdir()
    assert (folder / "error-by-strength.png").exists()
    assert {claim["n"] for claim in json.loads((folder / "claims.json").read_text())} == {200}
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["chunk"] == 100


def test_the_page_s_numbers_load(tmp_path):
    (tmp_path / "numbers.toml").write_text(_block("toml"))
    (number,) = load_reported(tmp_path / "numbers.toml")
    assert (number.value, number.se) == (0.05, pytest.approx(0.01))
