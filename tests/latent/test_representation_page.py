"""The examples of the page on causal representation learning run, and show what the page says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods" / "causal-representation-learning.md"


@pytest.mark.slow
def test_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile("\n".join(blocks), PAGE.name, "exec"), {})
    shown = capsys.readouterr().out
    for name in ("LinearDisentanglement", "LSCALEI"):
        result, blind, chance = map(
            float, re.search(rf"{name}: MCC ([\d.]+), .* environments ([\d.]+), .* rotations ([\d.]+)", shown).groups()
        )
        assert result > 0.9 > chance + 0.03
        assert blind < chance + 0.12
    assert "Assumed: linear mixing and mechanisms" in shown
    assert float(re.search(r"contrastive: MCC ([\d.]+)", shown).group(1)) > 0.8
    assert "environment: found None; expected a label for each of the 8000 rows" in shown
    pairs = re.findall(r"on \d: ([\d.]+), loss (-?[\d.]+)", shown)
    (right, loss), (wrong, higher) = (map(float, pair) for pair in pairs)
    assert right > 0.95 > wrong + 0.2
    assert higher >= loss
    assert float(re.search(r"polynomial: MCC ([\d.]+)", shown).group(1)) > 0.98
    flow, _, plain = map(float, re.search(r"iFlow ([\d.]+), iVAE ([\d.]+), beta-VAE ([\d.]+)", shown).groups())
    assert flow > 0.95 > plain
    own, plain = map(float, re.search(r"TCL ([\d.]+), beta-VAE ([\d.]+)", shown).groups())
    assert own > 0.8
    assert own > plain
    assert float(re.search(r"temporal flow: MCC ([\d.]+)", shown).group(1)) > 0.9
