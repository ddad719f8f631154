"""Records know their code: what changes it, what does not, and what becomes of records whose code has changed."""

import dataclasses
import functools
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from causalrep.errors import CausalrepWarning, InputError, RecordsError
from causalrep.study import Study, run
from causalrep.study.code import code_of

ROOT = Path(__file__).resolve().parents[2]


def cell(source, **names):
    """What a notebook's cell defines as ``replicate``."""
    space = dict(names)
    exec(source, space)
    return space["replicate"]


def study_of(replicate, **changes):
    return Study("my/nb", replicate, [{"n": 1}], **{"replications": 2, "compiled": False, **changes})


CELL = """
FACTOR, WEIGHTS, CALLS, seen = 2.0, {"a": [1.0, 2.0]}, [], 0
class Method:
    scale = 3.0
    def score(self, x): return self.scale * x
def helper(x): return FACTOR * x
def replicate(key, s):
    global seen
    seen += 1
    CALLS.append(key)
    return {"A": {"e": helper(1.0) + Method().score(WEIGHTS["a"][0])}}
"""


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("helper(1.0) +", "helper(1.5) +", "replicate"),
        ("FACTOR * x", "FACTOR + x", "helper"),
        ("CALLS, seen = 2.0", "CALLS, seen = 3.0", "FACTOR"),
        ("[1.0, 2.0]", "[1.0, 3.0]", "WEIGHTS"),
        ("scale = 3.0", "scale = 4.0", "Method.scale"),
        ("self.scale * x", "self.scale - x", "Method.score"),
    ],
)
def test_a_changed_cell_is_refused_by_name(old, new, named, tmp_path):
    first = run(study_of(cell(CELL)), tmp_path, progress=False)
    # The same source once more, which has counted and collected nothing yet.
    assert not run(study_of(cell(CELL)), tmp_path, progress=False).computed
    changed = study_of(cell(CELL.replace(old, new)))
    expected = rf"my/nb: the records in {first.folder} were computed by other code than today's: {named} changed since"
    with pytest.raises(RecordsError, match=expected):
        run(changed, tmp_path, progress=False)
    with pytest.warns(CausalrepWarning, match=expected):
        assert run(changed, tmp_path, progress=False, other_code="keep").frame.equals(first.frame)
    again = run(changed, tmp_path, progress=False, other_code="recompute")
    assert again.computed
    assert again.frame.equals(run(changed, progress=False).frame)
    assert not run(changed, tmp_path, progress=False).computed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def helper(x): return", "def helper(x):\n    'Says what it does.'\n    # Says why.\n    return"),
        ("\nclass Method", "\n\n\n\nunused = 1\nclass Method"),
        ("CALLS, seen = 2.0, {", "CALLS, seen = 2.0, {  # in the units of the paper\n"),
    ],
)
def test_comments_layout_and_docstrings_do_not_count(old, new):
    assert code_of(cell(CELL)) == code_of(cell(CELL.replace(old, new)))


def test_a_run_that_crashed_and_was_mended_holds_no_old_numbers(tmp_path):
    source = """
def replicate(key, s):
    DONE.append(1)
    if len(DONE) > 3: raise ZeroDivisionError
    return {"A": {"e": 1.0}}
"""
    with pytest.raises(ZeroDivisionError):
        run(study_of(cell(source, DONE=[]), replications=6), tmp_path, progress=False)
    mended = cell("def replicate(key, s): return {'A': {'e': 42.0}}")
    records = run(study_of(mended, replications=6), tmp_path, progress=False)
    assert records.frame["value"].tolist() == [42.0] * 6


def test_a_bucket_s_records_are_computed_again_too():
    first, second = (study_of(cell(f"def replicate(key, s): return {{'A': {{'e': {value}}}}}")) for value in (1.0, 2.0))
    run(first, "memory://code", progress=False)
    with pytest.raises(RecordsError, match="replicate changed"):
        run(second, "memory://code", progress=False)
    assert set(run(second, "memory://code", progress=False, other_code="recompute").frame["value"]) == {2.0}


def test_a_misspelt_choice_is_refused():
    with pytest.raises(InputError, match="other_code: found 'ignore'; expected one of 'refuse', 'keep', 'recompute'"):
        run(study_of(cell(CELL)), progress=False, other_code="ignore")


@dataclasses.dataclass(frozen=True)
class Settings:
    shift: float

    def replicate(self, key, setting):
        return {"A": {"e": self.shift}}


def shifted(key, setting, *, shift=0.0):
    return {"A": {"e": shift}}


def capturing(value):
    return lambda key, setting: {"A": {"e": value}}


def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (lambda shift: functools.partial(shifted, shift=shift), (1.0, 2.0)),
        (lambda shift: Settings(shift).replicate, (1.0, 2.0)),
        (capturing, (1.0, 2.0)),
        (capturing, (np.arange(3.0), np.arange(3.0) + (np.arange(3) == 2))),
        (lambda value: decorated(capturing(value)), (1.0, 2.0)),
        (lambda value: capturing({"methods": [capturing(value)]}), (1.0, 2.0)),
        (lambda value: functools.lru_cache(capturing(value)), (1.0, 2.0)),
        (lambda value: cell(f"replicate = lambda key, s: {{'A': {{'e': {value}}}}}"), (1.0, 2.0)),
        (lambda value: cell(f"def replicate(key, s, e={value}): return {{'A': {{'e': e}}}}"), (1.0, 2.0)),
        (lambda value: cell("def replicate(key, s): return {'A': {'e': np.mean(value)}}", np=np, value=value), (1, 2)),
    ],
)
def test_what_a_function_holds_is_part_of_it(make, values):
    assert code_of(make(values[0])) == code_of(make(values[0]))
    assert code_of(make(values[0])) != code_of(make(values[1]))


LIBRARY = "RATE = 0.5\nfrom my_inner import inner\ndef outer(x): return inner(x) * RATE\n"
INNER = "def inner(x): return x + 1.0\n"


@pytest.mark.parametrize("import_", ["import my_helper\n", "from my_helper import outer as my_outer\n", "lazy"])
@pytest.mark.parametrize(("file", "old", "new"), [("my_helper", "0.5", "0.25"), ("my_inner", "+ 1.0", "- 1.0")])
def test_a_user_s_own_modules_are_followed(tmp_path, monkeypatch, import_, file, old, new):
    monkeypatch.syspath_prepend(tmp_path)
    call = "my_outer(1.0)" if "as my_outer" in import_ else "my_helper.outer(1.0)"
    late = "    import my_helper\n" if import_ == "lazy" else ""
    source = f"{'' if late else import_}def replicate(key, s):\n{late}    return {{'A': {{'e': {call}}}}}\n"

    def load():
        for name in ("my_helper", "my_inner"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return cell(source)

    texts = {"my_helper": LIBRARY, "my_inner": INNER}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    study = study_of(load())
    before = code_of(study.replicate)
    run(study, tmp_path / "results", progress=False)
    assert code_of(load()) == before
    (tmp_path / f"{file}.py").write_text(texts[file].replace(old, new))
    with pytest.raises(RecordsError, match=rf"{file}.* changed since"):
        run(study_of(load()), tmp_path / "results", progress=False)


SCRIPT = """
import sys
from causalrep.study.code import code_of
import json
LEVELS = {"b", "a", "c", "d"}
def method(x): return x if x in {"u", "v", "w"} else LEVELS
def replicate(key, s): return {"A": {"e": method(s["n"])}}
if __name__ == "__main__":
    print(json.dumps(code_of(replicate)))
"""


def test_every_process_describes_code_alike(tmp_path):
    (tmp_path / "my_script.py").write_text(SCRIPT)
    shown = set()
    ways = (
        ["my_script.py"],
        ["-m", "my_script"],
        ["-c", "import json, my_script as m; print(json.dumps(m.code_of(m.replicate)))"],
    )
    for seed, way in enumerate(ways):
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONHASHSEED": str(seed)}
        done = subprocess.run(
            [sys.executable, *way], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        shown.add(done.stdout)
    assert len(shown) == 1
    assert set(eval(shown.pop())) >= {"LEVELS", "method", "replicate"}


def test_installed_code_is_not_followed():
    names = code_of(cell("import numpy as np\ndef replicate(key, s): return {'A': {'e': np.mean([1.0])}}"))
    assert list(names) == ["replicate"]
