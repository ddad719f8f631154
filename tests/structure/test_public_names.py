"""What is exported is written down, documented, and no more than a reader can survey."""

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

WRITTEN = Path(__file__).with_name("public_names.toml")
ROOMS = tomllib.loads(WRITTEN.read_text(encoding="utf-8"))
MOST = 450


def exported(room: str) -> dict[str, object]:
    """The public names of a room and what they stand for."""
    module = importlib.import_module(f"causalrep.{room}")
    return {name: getattr(module, name) for name in module.__all__}


@pytest.mark.parametrize("room", ROOMS)
def test_the_exports_are_those_written_down(room):
    names = sorted(exported(room))
    assert names == sorted(ROOMS[room]["names"]), (
        f"causalrep.{room} exports other names than {WRITTEN.name} lists: change both, and say so in CHANGELOG.md"
    )


def test_every_room_is_written_down():
    root = Path(importlib.import_module("causalrep").__file__).parent
    below = (path.parent.relative_to(root) for path in root.rglob("__init__.py") if path.parent != root)
    rooms = [".".join(folder.parts) for folder in below]
    public = {room for room in rooms if hasattr(importlib.import_module(f"causalrep.{room}"), "__all__")}
    assert public == set(ROOMS)


def test_there_are_not_too_many():
    assert sum(len(ROOMS[room]["names"]) for room in ROOMS) <= MOST


@pytest.mark.parametrize("room", ROOMS)
def test_what_is_exported_is_documented(room):
    silent = []
    for name, value in exported(room).items():
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        doc = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        # NamedTuples and dataclasses get a docstring of their signature where the author wrote none.
        if not doc or re.fullmatch(rf"{name}\(.*\)", doc.strip(), re.DOTALL):
            silent.append(name)
    assert not silent, f"without a docstring of their own: {silent}"


@pytest.mark.parametrize("room", ROOMS)
def test_documented_arguments_are_complete(room):
    """Where a function explains some of its arguments, it explains all of them."""
    gaps = []
    for name, value in exported(room).items():
        doc = inspect.getdoc(value) or ""
        if "Args:" not in doc or not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        section = re.split(r"\n(?=\S)", doc.split("Args:", 1)[1], maxsplit=1)[0]
        known = set(re.findall(r"^\s+\**(\w+)(?: \([^)]*\))?:", section, re.MULTILINE))
        known |= {
            part for line in re.findall(r"^\s+([\w, *]+):", section, re.MULTILINE) for part in re.findall(r"\w+", line)
        }
        function = value.__init__ if inspect.isclass(value) else value
        arguments = [argument for argument in inspect.signature(function).parameters if argument != "self"]
        gaps += [f"{name}({argument})" for argument in arguments if argument not in known]
    assert not gaps, f"not explained: {gaps}"
