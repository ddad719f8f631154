"""Random keys: no key is both split and folded, no seed is made by arithmetic, the generator is pinned."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from causalrep.keys import derive, root

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    path.relative_to(ROOT)
    for top in ("causalrep", "experiments", "configs", "benchmarks")
    for path in sorted((ROOT / top).rglob("*.py"))
]


def faults(source: str, *, library: bool) -> Iterator[str]:
    """What a file does with keys that it must not, with line numbers."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        used: dict[str, dict[str, int]] = {}
        for node in _own_nodes(function):
            if isinstance(node, ast.Call) and node.args and (what := _random_call(node)) in ("split", "fold_in"):
                used.setdefault(ast.unparse(node.args[0]), {})[what] = node.lineno
        for key, lines in used.items():
            if len(lines) == 2:
                yield f"line {lines['fold_in']}: {function.name} folds {key}, which it splits in line {lines['split']}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        makes_key = name in ("root", "keys.root") or name.endswith(("random.key", "random.PRNGKey"))
        if makes_key and node.args and isinstance(node.args[0], ast.BinOp):
            yield f"line {node.lineno}: a seed by arithmetic, {ast.unparse(node)}"
        if library and makes_key and name not in ("root", "keys.root"):
            yield f"line {node.lineno}: {name}, whose generator the environment chooses; use causalrep.keys.root"


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it, whose names are their own."""
    pending = list(function.body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)


def _random_call(node: ast.Call) -> str | None:
    name = ast.unparse(node.func)
    return name.rpartition(".")[2] if name.startswith(("jax.random.", "random.", "jr.")) else None


@pytest.mark.parametrize("path", FILES, ids=str)
def test_keys_are_used_in_one_way(path):
    if path.as_posix() == "causalrep/keys.py":
        return
    source = (ROOT / path).read_text(encoding="utf-8")
    assert not list(faults(source, library=path.parts[0] in ("causalrep", "experiments", "configs")))


def test_the_reader_sees_each_fault():
    mixed = "def f(key):\n    a, b = jax.random.split(key)\n    return jax.random.fold_in(key, 1)\n"
    assert list(faults(mixed, library=True)) == ["line 3: f folds key, which it splits in line 2"]
    assert list(faults("key = root(seed + 1)", library=True)) == ["line 1: a seed by arithmetic, root(seed + 1)"]
    assert len(list(faults("key = jax.random.key(0)", library=True))) == 1
    assert not list(faults("def f(key):\n    return jax.random.split(derive(key, 'a'))", library=True))


def test_a_name_is_a_stream_of_its_own():
    key = root(0)
    names = [derive(key, name) for name in ("data", "fit", "order")]
    counters = [jax.random.fold_in(key, number) for number in range(8)]
    data = {
        tuple(np.asarray(jax.random.key_data(k)).tolist()) for k in [key, *names, *counters, *jax.random.split(key)]
    }
    # split(key)[i] is fold_in(key, i): the two of split add nothing to the counters.
    assert len(data) == 1 + 3 + 8
    nested = derive(derive(key, "fit"), "order")
    assert (jax.random.key_data(derive(key, "fit", "order")) == jax.random.key_data(nested)).all()


def test_names_and_seeds_keep_their_numbers():
    # Published records rest on these.
    assert jax.random.key_data(root(7)).tolist() == [0, 7]
    assert jax.random.key_data(derive(root(7), "data")).tolist() == [1815806214, 3613127808]


def test_the_environment_does_not_choose_the_numbers():
    code = (
        "import causalrep, jax; from causalrep.keys import derive, root; "
        "print(jax.random.normal(derive(root(3), 'data'), (3,)).tolist())"
    )
    shown = set()
    partitionable = {"JAX_THREEFRY_PARTITIONABLE": "0"}
    settings = ({}, {"JAX_DEFAULT_PRNG_IMPL": "rbg"}, partitionable, {**partitionable, "CAUSALREP_KEEP_RUNTIME": "1"})
    for setting in settings:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), **setting},
            capture_output=True,
            text=True,
            check=True,
        )
        shown.add(done.stdout)
    assert len(shown) == 1
