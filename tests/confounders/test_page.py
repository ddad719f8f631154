"""The how-to page runs, and says what it should."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_page_runs(tmp_path):
    text = (ROOT / "docs" / "unobserved-confounders.md").read_text(encoding="utf-8")
    (tmp_path / "page.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "U is two_point: identified True" in done.stdout
    assert "U is gaussian: identified False" in done.stdout
    assert "Excluded covariates Z  1" in done.stdout
    low, high, truth = map(float, re.search(r"posterior (\S+) to (\S+), in truth (\S+)", done.stdout).groups())
    assert low < truth < high
    assert "changed (300, 66) synthetic (100, 66)" in done.stdout
    assert re.search(r"^TEDClassifier 0\.\d", done.stdout, re.MULTILINE)
