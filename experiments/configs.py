"""Finds and loads configs: ``configs/<paper>/<name>.py``, one Python file per table or figure.

A config file says everything about its experiment by itself:

- ``SCALES`` maps ``"smoke"``, ``"small"`` and ``"paper"`` to a frozen dataclass with a method ``study() -> Study``.
- ``REPRODUCE`` names the scale at which ``experiments.reproduce`` runs it: the largest that takes minutes on two cores.
- ``MAIN = True`` (default ``False``) makes it part of the main job, ``make reproduce``.
- ``DATA`` (default empty) lists data sets that may be neither installed nor downloadable, by their names in
  ``causalrep.data``. The experiment is skipped if one of them cannot be loaded.
- The first line of the docstring says what the config reproduces, and a line ``Expected time: ...`` how long it takes.

``entries`` reads all of this but ``SCALES`` from the text, so that a listing runs no config.
"""

import ast
import dataclasses
import difflib
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from causalrep.errors import CausalrepError
from causalrep.study import Study

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
PAPERS = ROOT / "experiments" / "papers"
SCALE_NAMES = ("smoke", "small", "paper")
_DECLARATIONS = ("DATA", "REPRODUCE", "MAIN")


class ConfigError(CausalrepError):
    """A config is unknown or its file is wrong."""


class Config(Protocol):
    """One scale of a config: a frozen dataclass of typed fields that can make its study."""

    def study(self) -> Study:
        """The study with these fields."""
        ...


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a config file says about itself, without its scales.

    Attributes:
        name: ``"<paper>/<name>"``.
        reproduces: First line of the docstring.
        expected_time: Text after "Expected time:" in the docstring.
        reproduce: Scale at which ``experiments.reproduce`` runs the config.
        main: Whether the main job runs it.
        data: Data sets without which it is skipped.
    """

    name: str
    reproduces: str
    expected_time: str
    reproduce: str
    main: bool
    data: tuple[str, ...]

    @property
    def paper(self) -> str:
        """The paper, which is the folder of the config."""
        return self.name.split("/")[0]


def reported_file(paper: str, root: Path = PAPERS) -> Path:
    """The file with the published numbers of a paper."""
    return root / paper / "reported.toml"


def names(root: Path = CONFIGS) -> list[str]:
    """All config names, ``"<paper>/<name>"``, sorted.

    Raises:
        ConfigError: If the folder of configs is missing.
    """
    if not root.is_dir():
        raise ConfigError(
            f"{root}: this folder is missing. Experiments run from a clone of the repository, whose root holds "
            "experiments/ and configs/; start the command in that root."
        )
    files = root.glob("*/*.py")
    return sorted(f"{path.parent.name}/{path.stem}" for path in files if not path.stem.startswith("_"))


def entries(root: Path = CONFIGS) -> list[Entry]:
    """What every config says about itself."""
    return [entry(name, root) for name in names(root)]


def entry(name: str, root: Path = CONFIGS) -> Entry:
    """What one config says about itself, read from its text without running it.

    Raises:
        ConfigError: If the file is not readable as Python, or declares no scale for ``experiments.reproduce``, or
            anything that is not a literal of the right type.
    """
    path = root / f"{name}.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as Python ({error}).") from error
    doc = ast.get_docstring(tree) or "(no docstring)"
    # The paragraph may run over several lines.
    time = re.search(r"^Expected time:(.+?)(?:\n\s*\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    said = _declarations(path, tree)
    reproduce, main, data = said.get("REPRODUCE"), said.get("MAIN", False), said.get("DATA", ())
    if reproduce not in SCALE_NAMES:
        raise ConfigError(f"{path}: REPRODUCE is {reproduce!r}; expected one of {', '.join(SCALE_NAMES)}.")
    if not isinstance(main, bool):
        raise ConfigError(f"{path}: MAIN is {main!r}; expected True or False.")
    if not isinstance(data, tuple) or not all(isinstance(dataset, str) for dataset in data):
        raise ConfigError(f"{path}: DATA is {data!r}; expected a tuple of names of data sets.")
    return Entry(
        name, doc.splitlines()[0], " ".join(time.group(1).split()) if time else "not stated", reproduce, main, data
    )


def _declarations(path: Path, tree: ast.Module) -> dict[str, Any]:
    """The module-level constants of a config file that describe it."""
    said = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constant = node.targets[0].id
            if constant in _DECLARATIONS:
                try:
                    said[constant] = ast.literal_eval(node.value)
                except ValueError as error:
                    raise ConfigError(f"{path}: {constant} is not a literal value.") from error
    return said


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
    # Dataclasses and type hints look up their module by name.
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
