"""Describes values and functions by their contents, alike in every process: what a run or a fit depends on.

Memory addresses, the order of sets and the names of modules (a script is called ``__main__``) do not enter. Arrays are
read once, in blocks: about a second per gigabyte.
"""

import dataclasses
import dis
import functools
import hashlib
import json
import sysconfig
import types
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

_BLOCK = 1 << 26
_CHANGING = {"append", "appendleft", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear"}
_OUTER = ("LOAD_GLOBAL", "LOAD_DEREF", "LOAD_NAME", "LOAD_CLASSDEREF")
_LIBRARY = Path(__file__).resolve().parent
_STANDARD = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})
_INSTALLED = {"site-packages", "dist-packages"}


@functools.lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Whether code from a file is the user's own: not the library's, nor Python's, nor an installed package's.

    The cells of a notebook and the argument of ``exec`` have file names like ``<string>``, and are the user's.
    """
    if file.startswith("<"):
        return not file.startswith(("<frozen", "<__array_function__"))
    path = Path(file).resolve()
    if path.is_relative_to(_LIBRARY) or _INSTALLED & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _STANDARD)


def contents(value: Any, within: tuple[int, ...] = ()) -> Any:
    """A value as plain JSON: numbers and text as they are, arrays as digests, functions by what they have captured.

    A function of the user's own is also described by the numbers in its code. An object of any other kind is described
    by its parameters if it has the method ``get_params``, else by its type alone.

    Args:
        value: The value.
        within: The values around it, by ``id``, which end a recursion.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | jax.Array):
        return array_digest(value)
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        columns = list(map(str, getattr(value, "columns", ())))
        return {"columns": columns, "rows": array_digest(np.asarray(pd.util.hash_pandas_object(value)))}
    if id(value) in within:
        return "(recursive)"
    return _parts(value, functools.partial(contents, within=(*within, id(value))))


def _parts(value: Any, again: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): again(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        names = getattr(value, "_fields", None) or map(str, range(len(value)))
        return {name: again(item) for name, item in zip(names, value, strict=True)}
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(again(item), sort_keys=True, default=str) for item in value)
    if isinstance(value, functools.partial):
        return {"function": again(value.func), "arguments": again(value.args), "keywords": again(value.keywords)}
    if isinstance(value, types.MethodType):
        return {"function": again(value.__func__), "of": again(value.__self__)}
    if isinstance(value, types.FunctionType):
        described = {name: again(item) for name, item in captured(value)}
        if is_users(value.__code__.co_filename):
            described |= {"numbers": sorted(_numbers(value.__code__), key=repr)} if _numbers(value.__code__) else {}
        return {"function": value.__qualname__, **described} if described else value.__qualname__
    if hasattr(value, "__wrapped__"):  # jax.jit, functools.lru_cache
        return again(value.__wrapped__)
    if isinstance(value, type):
        return value.__qualname__
    if dataclasses.is_dataclass(value):
        fields = (field.name for field in dataclasses.fields(value) if hasattr(value, field.name))
        return {"type": type(value).__qualname__} | {name: again(getattr(value, name)) for name in fields}
    if hasattr(value, "get_params"):
        return {"type": type(value).__qualname__} | again(value.get_params())
    return type(value).__qualname__


def captured(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Names and values of the variables that a function has captured, and of its defaults, except for its state."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if not is_state(function.__code__, name, value):
            yield name, value
    for index, default in enumerate(function.__defaults__ or ()):
        yield f"default {index + 1}", default
    yield from (function.__kwdefaults__ or {}).items()


def is_state(code: types.CodeType, name: str, value: Any) -> bool:
    """Whether code changes a variable from outside, a counter or a cache, so that its value describes no program."""
    assigned, changed = _changes(code)
    return name in assigned or (name in changed and isinstance(value, list | dict | set | bytearray | deque))


@functools.lru_cache(maxsize=4096)
def _changes(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The outer variables that code assigns, and those that it changes in place if they are containers."""
    assigned, changed = set[str](), set[str]()
    on_line, before = set[str](), None  # outer variables read on the current line, and by the instruction before
    for instruction in dis.get_instructions(code):
        if instruction.starts_line:
            on_line = set()
        if instruction.opname in ("STORE_GLOBAL", "STORE_DEREF", "DELETE_GLOBAL"):
            assigned.add(instruction.argval)
        elif instruction.opname in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            changed |= on_line
        elif instruction.argval in _CHANGING and instruction.opname in ("LOAD_METHOD", "LOAD_ATTR") and before:
            changed.add(before)
        before = instruction.argval if instruction.opname in _OUTER else None
        on_line |= {before} if before else set()
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            more, also = _changes(inner)
            assigned, changed = assigned | more, changed | also
    return frozenset(assigned), frozenset(changed)


def _numbers(code: types.CodeType) -> list[int | float]:
    own = [constant for constant in code.co_consts if isinstance(constant, int | float)]
    return own + [n for constant in code.co_consts if isinstance(constant, types.CodeType) for n in _numbers(constant)]


def tree_contents(tree: Any) -> dict[str, Any]:
    """The contents of a pytree's leaves, by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): contents(leaf) for path, leaf in leaves}


def array_digest(array: np.ndarray | jax.Array) -> str:
    """Dtype, shape and a digest of an array's bytes; without the digest if other hosts hold parts of it."""
    if isinstance(array, jax.Array):
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        if not array.is_fully_addressable:
            return f"{array.dtype}{list(array.shape)}"
    values, digest = np.asarray(array), hashlib.blake2b(digest_size=8)
    if values.dtype.hasobject:
        digest.update(repr(values.tolist()).encode())
    else:
        rows = np.atleast_1d(values)
        each = max(1, _BLOCK // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), each):
            digest.update(np.ascontiguousarray(rows[start : start + each]).reshape(-1).view(np.uint8).data)
    return f"{values.dtype}{list(values.shape)} {digest.hexdigest()}"
