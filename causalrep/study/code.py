"""The code of a study: its function and all of the user's own code that the function uses, by name.

A function is followed to what it refers to: functions, classes and constants of its module, of other modules of the
user's, of a notebook's cells; what it has captured, its defaults, and modules that it imports when it runs. Each has a
digest of the program that Python made of it, so that comments, layout and docstrings do not count. Installed packages
and Python itself are not followed. Neither is what no code mentions by name, such as ``getattr(module, name)``.
"""

import dis
import functools
import hashlib
import importlib.machinery
import importlib.util
import inspect
import json
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from causalrep.fingerprint import captured, contents, is_state, is_users

# Digests of programs can be compared only if one version of Python has made them, with the same flags.
COMPILER = f"{sys.implementation.cache_tag}-opt{sys.flags.optimize}"


def code_of(function: Any) -> dict[str, str]:
    """Digests of a function and of all of the user's code that it uses, by name."""
    home = function
    while isinstance(home, functools.partial | types.MethodType) or hasattr(home, "__wrapped__"):
        home = getattr(home, "func", None) or getattr(home, "__func__", None) or home.__wrapped__
    reader = _Reader(getattr(home, "__module__", None) or type(home).__module__)
    reader.read("replicate", function)
    found = {name: parts for name, parts in reader.found.items() if name not in reader.state}
    return {name: _digest(sorted(parts)) for name, parts in sorted(found.items())}


class _Reader:
    """Follows references.

    Attributes:
        found: Digests of everything found, by name; several objects may share a name.
        state: Names of variables that some function changes, such as counters and caches.
    """

    def __init__(self, home: str):
        self.found: dict[str, set[str]] = {}
        self.state: set[str] = set()
        self._home = home
        self._seen: dict[Any, Any] = {}  # with the objects themselves, so that their ids stay theirs

    def read(self, name: str, value: Any) -> None:
        """Read an object that code refers to by a name."""
        # Of functions and classes the name is their own. Whether two names share a plain value is chance.
        key = id(value) if isinstance(value, types.FunctionType | type) else (name, id(value))
        if key in self._seen:
            return
        self._seen[key] = value
        if isinstance(value, functools.partial):
            self.read(name, value.func)
            self._data(f"{name} (arguments)", (value.args, value.keywords))
        elif isinstance(value, types.MethodType):
            self.read(name, value.__func__)
            self.read(f"{name} (object)", value.__self__)
        elif isinstance(value, types.FunctionType):
            self._function(name, value)
        elif hasattr(value, "__wrapped__"):  # jax.jit, functools.lru_cache
            self.read(name, value.__wrapped__)
        elif isinstance(value, type):
            self._class(value)
        elif not isinstance(value, types.ModuleType):
            self._data(name, value)

    def _function(self, name: str, function: types.FunctionType) -> None:
        code = function.__code__
        if not is_users(code.co_filename):
            # An installed decorator, or what an installed function returned: it may hold functions of the user's.
            self._data(name, function)
            held = [value for _, value in captured(function) if callable(value)]
            for value in [*held, *([function.__wrapped__] if hasattr(function, "__wrapped__") else [])]:
                self.read(name, value)
            return
        label = self._label(function.__module__, function.__qualname__)
        self._add(label, _text(code))
        for variable, value in captured(function):
            self.read(f"{label} ({variable})", value)
        names = set(_names(code))
        for reference in sorted(names & function.__globals__.keys()):
            value = function.__globals__[reference]
            if isinstance(value, types.ModuleType):
                self._module(value, names)
            elif is_state(code, reference, value):
                self.state.add(self._label(function.__module__, reference))
            else:
                self.read(self._label(function.__module__, reference), value)
        package = function.__globals__.get("__package__") or ""
        for imported in _imports(code, package):
            self._file(imported)

    def _module(self, module: types.ModuleType, names: set[str]) -> None:
        """Those attributes of a module of the user's that the code mentions."""
        if not is_users(getattr(module, "__file__", None) or "<none>") or module.__name__ == "builtins":
            return
        for attribute in sorted(names & vars(module).keys()):
            value = vars(module)[attribute]
            if not isinstance(value, types.ModuleType):
                self.read(f"{module.__name__}.{attribute}", value)
            elif id(value) not in self._seen:
                self._seen[id(value)] = value
                self._module(value, names)

    def _class(self, kind: type) -> None:
        if not _is_users_class(kind):
            return
        label = self._label(kind.__module__, kind.__qualname__)
        self._add(label, [base.__qualname__ for base in kind.__bases__])
        for base in kind.__bases__:
            self.read(label, base)
        for name, value in sorted(vars(kind).items()):
            parts = [getattr(value, part, None) for part in ("__func__", "fget", "fset", "func")]
            for part in [part for part in parts if part is not None] or [value]:
                if isinstance(part, types.FunctionType) or not name.startswith("_"):
                    self.read(f"{label}.{name}", part)

    def _data(self, name: str, value: Any) -> None:
        self._add(name, contents(value))
        if _is_users_class(type(value)) and hasattr(value, "__dict__"):
            plain = {k: v for k, v in vars(value).items() if isinstance(v, bool | int | float | str)}
            self._add(f"{name} (attributes)", plain)
        if isinstance(value, Mapping):
            items = list(value.values())
        else:
            items = list(value) if isinstance(value, list | tuple | set | frozenset) else []
        for item in items:
            if callable(item) or isinstance(item, list | tuple | set | frozenset | Mapping):
                self.read(name, item)
        if not isinstance(value, types.FunctionType):
            self.read(name, type(value))

    def _file(self, module: str) -> None:
        """A module that is imported when the function runs: all of it, loaded or not, and what it imports."""
        origin = _origin(module)
        if origin is None or not is_users(origin) or module in self.found:
            return
        try:
            code = compile(Path(origin).read_bytes(), origin, "exec", dont_inherit=True)
        except (OSError, SyntaxError, ValueError):
            return
        self._add(module, _text(code))
        package = module if Path(origin).name == "__init__.py" else module.rpartition(".")[0]
        for imported in _imports(code, package):
            self._file(imported)

    def _label(self, module: str | None, name: str) -> str:
        # The module of the function itself has several names: a script is called "__main__".
        return name if module in (None, self._home) else f"{module}.{name}"

    def _add(self, name: str, described: Any) -> None:
        self.found.setdefault(name, set()).add(_digest(described))


def _is_users_class(kind: type) -> bool:
    if kind.__module__ == "builtins":  # of exec without a module's name, too
        return any(isinstance(value, types.FunctionType) for value in vars(kind).values())
    return is_users(getattr(sys.modules.get(kind.__module__), "__file__", None) or "<none>")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()[:12]


def _text(code: types.CodeType) -> list[Any]:
    """A program as plain values: its arguments and its instructions, without line numbers and docstrings."""
    arguments = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE
    count = code.co_argcount + code.co_kwonlyargcount
    head = [code.co_name, code.co_varnames[:count], code.co_kwonlyargcount, code.co_flags & arguments]
    body = [
        (instruction.opname, _constant(instruction.argval))
        for instruction, following in zip(*_pairs(code), strict=True)
        if not (instruction.opname == "LOAD_CONST" and following is not None and following.argval == "__doc__")
    ]
    return [*head, body]


def _pairs(code: types.CodeType) -> tuple[list[dis.Instruction], list[dis.Instruction | None]]:
    instructions = list(dis.get_instructions(code))
    return instructions, [*instructions[1:], None]


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _text(value)
    if isinstance(value, frozenset):  # of text, its order differs by process
        return sorted(map(repr, value))
    return f"{type(value).__name__} {value!r}"


def _inner(code: types.CodeType) -> Iterator[types.CodeType]:
    """A program and those of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _inner(constant)


def _names(code: types.CodeType) -> Iterator[str]:
    for inner in _inner(code):
        yield from inner.co_names


def _imports(code: types.CodeType, package: str) -> Iterator[str]:
    """Full names of what a program imports when it runs; some are names in a module rather than modules."""
    for inner in _inner(code):
        instructions = list(dis.get_instructions(inner))
        for index, instruction in enumerate(instructions):
            if instruction.opname != "IMPORT_NAME":
                continue
            level, names = (instructions[index - back].argval for back in (2, 1))
            try:
                module = importlib.util.resolve_name("." * (level or 0) + instruction.argval, package)
            except ImportError:
                continue
            yield module
            yield from (f"{module}.{name}" for name in names or ())


def _origin(module: str) -> str | None:
    """The file of a module, found without importing it."""
    path, spec, name = None, None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        try:
            spec = importlib.machinery.PathFinder.find_spec(name, path)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec.origin if spec is not None and spec.origin and spec.origin.endswith(".py") else None
