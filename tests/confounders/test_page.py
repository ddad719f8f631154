"""The page on unobserved confounders runs, and its output shows what the text claims."""

import re

import pytest


@pytest.mark.slow
def test_the_page_runs(run_page):
    shown = run_page("methods/unobserved-confounders.md", timeout=600)
    assert "U is two_point: identified True" in shown
    assert "U is gaussian: identified False" in shown
    assert "Excluded covariates Z  1" in shown
    low, high, truth = map(float, re.search(r"posterior (\S+) to (\S+), true effect (\S+)", shown).groups())
    assert low < truth < high
    assert "changed (300, 66) synthetic (100, 66)" in shown
    assert re.search(r"^TEDClassifier 0\.\d", shown, re.MULTILINE)
