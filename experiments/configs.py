"""Finding and loading configs: ``configs/<paper>/<name>.py``, each a Python file that exports ``SCALES``.

``SCALES`` maps ``"smoke"``, ``"small"`` and ``"paper"`` to a frozen dataclass with a method ``study() ->
Study``. The first line of the file's docstring says what it reproduces; a line ``Expected time: ...`` says
how long it takes.
"""

import ast
import dataclasses
import difflib
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from causalrep.errors import CausalrepError
from causalrep.study import Study

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
PAPERS = ROOT / "experiments" / "papers"
SCALE_NAMES = ("smoke", "small", "paper")


class ConfigError(CausalrepError):
    """A config is unknown or its file is wrong."""


class Config(Protocol):
    """What a config is: a frozen dataclass of typed fields that can make its study."""

    def study(self) -> Study:
        """The study at these fields."""
        ...


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of ``--list``."""

    name: str
    reproduces: str
    expected_time: str


def reported_file(paper: str, root: Path = PAPERS) -> Path:
    """The published numbers of a paper."""
    return root / paper / "reported.toml"


def names(root: Path = CONFIGS) -> list[str]:
    """All config names, ``"<paper>/<name>"``."""
    files = root.glob("*/*.py")
    return sorted(f"{path.parent.name}/{path.stem}" for path in files if not path.stem.startswith("_"))


def entries(root: Path = CONFIGS) -> list[Entry]:
    """What each config reproduces and takes, read from its docstring without running it."""
    found = []
    for name in names(root):
        path = root / f"{name}.py"
        try:
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not readable as Python ({error}).") from error
        time = re.search(r"^Expected time:\s*(.+?)\s*$", doc, re.MULTILINE)
        first = doc.splitlines()[0] if doc else "(no docstring)"
        found.append(Entry(name, first, time.group(1) if time else "not stated"))
    return found


def load(name: str, root: Path = CONFIGS) -> Mapping[str, Config]:
    """The scales of one config.

    Raises:
        ConfigError: If the name is unknown (with the nearest names) or the file does not export ``SCALES``.
    """
    known = names(root)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none'}."
        raise ConfigError(f"no config named {name!r}; {hint} (python -m experiments.run --list shows all)")
    path = root / f"{name}.py"
    spec = importlib.util.spec_from_file_location("_config_" + re.sub(r"\W", "_", name), path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and type hints look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    scales = getattr(module, "SCALES", None)
    if not isinstance(scales, Mapping) or set(scales) != set(SCALE_NAMES):
        raise ConfigError(f"{path}: expected SCALES, a mapping with the keys {', '.join(SCALE_NAMES)}.")
    for scale, config in scales.items():
        if not dataclasses.is_dataclass(config) or not hasattr(config, "study"):
            raise ConfigError(f"{path}: SCALES[{scale!r}] is not a dataclass with a method study().")
    return scales


def study_of(config: Config) -> Study:
    """The config's study, with the config's fields as part of the run's identity."""
    study = config.study()
    return dataclasses.replace(study, config={**study.config, **dataclasses.asdict(config)})
