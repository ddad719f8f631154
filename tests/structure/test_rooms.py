"""The house: rooms import only rooms listed before them, nothing goes round in a circle, no listing is a heap."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "causalrep"

# A room may import those before it, never one after it.
ROOMS = (
    *(
        "errors",
        "arithmetic",
        "precision",
        "linalg",
        "storage",
        "fingerprint",
        "keys",
        "compilation_cache",
        "_runtime",
        "versions",
    ),
    *("base", "data", "nn", "metrics", "inference", "graphs", "parallel", "aot", "training"),
    *("iv", "invariance", "effects", "confounders", "latent", "discovery", "multimodal"),
    *("preferences", "survival", "retrieval", "audits", "plots", "study"),
)
MOST_ENTRIES = 14
# The library's own root, the tests that mirror it, and indexes by paper.
EXEMPT = {"causalrep", "tests", "configs", "experiments/papers", "docs/results"}


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # "from causalrep import storage" imports a module; "from causalrep.iv import LIML" may or may not.
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def room_of(module: str) -> str | None:
    """The room of a dotted name, or None outside the library."""
    parts = module.split(".")
    return parts[1] if parts[0] == "causalrep" and len(parts) > 1 else None


def modules() -> dict[str, Path]:
    """All modules of the library by dotted name."""
    paths = sorted(LIBRARY.rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


MODULES = modules()


def test_every_room_has_its_place():
    present = {room for name in MODULES if (room := room_of(name))}
    assert present <= set(ROOMS), f"add to ROOMS: {sorted(present - set(ROOMS))}"


@pytest.mark.parametrize("room", [room for room in ROOMS if any(room_of(name) == room for name in MODULES)])
def test_a_room_imports_only_rooms_before_it(room):
    upward = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for name, path in MODULES.items()
        if room_of(name) == room
        for line, imported in imports_of(path)
        if (other := room_of(imported)) in ROOMS and ROOMS.index(other) > ROOMS.index(room)
    ]
    assert not upward, "\n".join(upward)


def test_the_library_imports_neither_experiments_nor_tests():
    outside = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for path in MODULES.values()
        for line, imported in imports_of(path)
        if imported.split(".")[0] in ("experiments", "configs", "tests", "benchmarks")
    ]
    assert not outside, "\n".join(outside)


def test_simulators_import_neither_graphs_nor_metrics():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for name, path in MODULES.items()
        if name.startswith("causalrep.data.")
        for line, imported in imports_of(path)
        if room_of(imported) in ("graphs", "metrics")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circle_of_imports():
    graph = {}
    for name, path in MODULES.items():
        # Imports inside functions run later, when every module is there.
        top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
        targets = set()
        for node in top:
            # "from causalrep.effects import meta" needs the module meta; other names need the package.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            targets |= {target if target in MODULES else node.module for target in names}
        graph[name] = sorted(target for target in targets if target in MODULES and target != name)
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in graph[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_listing_is_a_heap():
    heaps = {}
    for top in ("causalrep", "experiments", "configs", "tests", "benchmarks", "docs"):
        for folder in [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]:
            label = str(folder.relative_to(ROOT))
            if label in EXEMPT or label.startswith(("docs/results/", "docs/api")) or "__pycache__" in label:
                continue
            skipped = ("__init__.py", "__pycache__")
            entries = [path for path in folder.iterdir() if path.name not in skipped and not path.name.startswith(".")]
            if len(entries) > MOST_ENTRIES:
                heaps[label] = len(entries)
    assert not heaps, f"more than {MOST_ENTRIES} entries: {heaps}"
