"""The examples of the page on latent causal models run, and show what the page says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods" / "latent-causal-models.md"


@pytest.mark.slow
def test_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile("\n".join(blocks), PAGE.name, "exec"), {})
    shown = capsys.readouterr().out
    assert "sparse mechanism shifts" in shown
    error, nothing = map(float, re.search(r"error ([\d.]+), of changing nothing ([\d.]+)", shown).groups())
    assert error < nothing / 2
    assert float(re.search(r"error ([\d.]+) of the identity map's", shown).group(1)) < 0.7
    assert "Hierarchical causal factors" in shown
    assert "Causal latents of several modalities" in shown
    assert "openness" in shown
    own, chance = map(float, re.search(r"MCC ([\d.]+), of random rotations ([\d.]+)", shown).groups())
    assert abs(own - chance) < 0.25
    assert "after an affine map 1.00, R2 1.00" in shown
