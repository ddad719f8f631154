"""The documentation: its example runs, its reference is current, its links lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# Written by the tools.
PAPERS = ("ivl", "iv", "cate", "vluci", "demovae", "causal_info_min", "ild", "hca", "personax", "crl")
GENERATED = {f"docs/results/{paper}.md" for paper in PAPERS} | {"docs/measurements/benchmarks.md"}

_spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
make_api = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_api)


def test_the_instruments_page_runs(run_page):
    shown = run_page("methods/instrumental-variables.md", first=True)
    assert "OLS   0.0747" in shown
    assert "2SLS  0.1571" in shown
    assert "LIML  0.1640" in shown
    assert "CLR [0.06" in shown
    assert "WildBootstrapResult(treatment='educ'" in shown


@pytest.mark.slow
def test_the_nonlinear_page_runs(run_page):
    shown = run_page("methods/nonlinear-iv.md")
    assert "truth 1.99, linear" in shown
    for name in ("KernelIV", "KernelMMR", "SieveIV"):
        assert abs(float(re.search(rf"^{name} +([\d.]+)$", shown, re.MULTILINE).group(1)) - 1.99) < 0.3, name
    assert "Sieve two-stage least squares" in shown
    assert "median error 0.0" in shown


def test_the_effects_page_runs(run_page):
    shown = run_page("methods/treatment-effects.md", first=True)
    assert "in truth 4.02" in shown
    assert "1566 (403 treated, 1163 untreated)" in shown
    assert "ATT" in shown


def test_the_long_fit_resumes_as_its_page_says(tmp_path, monkeypatch):
    text = (DOCS / "running" / "long-fits.md").read_text(encoding="utf-8")
    script = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1).replace("2000", "200")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        names = {}
        exec(compile(script, "long-fits.md", "exec"), names)
        assert names["result"].steps_run == 200
        assert names["result"].final_loss < 1.5
    assert (tmp_path / "my-fit" / "steps" / "200").is_dir()


@pytest.mark.parametrize("room", make_api.ROOMS)
def test_the_reference_can_be_built(room):
    written = make_api.page(room)
    assert f"# causalrep.{room}" in written
    assert " object at 0x" not in written


@pytest.mark.parametrize(
    "page", [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve()
        built = path.parent == DOCS / "api" and path.stem in make_api.ROOMS  # by `make docs`
        assert path.exists() or built or str(path.relative_to(ROOT)) in GENERATED, f"{page.name} -> {target}"


@pytest.mark.slow
def test_the_invariance_page_runs(run_page):
    shown = run_page("methods/invariance.md", first=True)
    assert "No interval" in shown
    assert "IRM [" in shown
