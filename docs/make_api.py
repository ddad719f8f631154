"""Write docs/api/*.md from the public names of each room and their docstrings: ``python docs/make_api.py``."""

import importlib
import inspect
import re
from pathlib import Path

import flax.linen

ROOMS = (
    "iv",
    "effects",
    "confounders",
    "latent",
    "invariance",
    "data",
    "nn",
    "study",
    "training",
    "aot",
    "parallel",
    "multimodal",
    "discovery",
    "inference",
    "metrics",
    "plots",
)
FOLDER = Path(__file__).resolve().parent / "api"
HEADER = "<!-- Written by docs/make_api.py from the docstrings. -->\n"


def page(room: str) -> str:
    """The Markdown of one room's page."""
    module = importlib.import_module(f"causalrep.{room}")
    public = [value for value in vars(module).values() if inspect.isclass(value)]
    parts = [HEADER, f"# causalrep.{room}\n", f"{_text(module)}\n"]
    for name in sorted(module.__all__, key=str.lower):
        parts.append(_entry(name, getattr(module, name), public))
    return "\n".join(parts)


def _entry(name: str, value: object, public: list[type]) -> str:
    if inspect.ismodule(value):
        return f"## {name}\n\n{_text(value)}\n"
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        text = re.sub(r"\b(?:\w+\.)+(?=\w)", "", repr(value))  # names without their modules, which move
        return f"## {name}\n\n```python\n{name} = {_clean(text)}\n```\n"
    lines = [f"## {name}\n", f"```python\n{name}{_signature(value)}\n```\n", _text(value)]
    if inspect.isclass(value):
        for method in _methods(value, public):
            function = getattr(value, method)
            call = "" if isinstance(function, property) else _signature(function)
            lines.append(f"\n### {name}.{method}\n\n```python\n{method}{call}\n```\n\n{_text(function)}")
    return "\n".join(lines) + "\n"


def _methods(value: type, public: list[type]) -> list[str]:
    """Documented public methods; those of a base that has an entry of its own are found there."""
    elsewhere = {base for other in public if other is not value and other in value.mro() for base in other.mro()}
    own = [base for base in value.mro() if base not in elsewhere and base.__module__.startswith("causalrep")]
    return sorted(
        {
            name
            for base in own
            for name, member in vars(base).items()
            if not name.startswith("_")
            and (inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod))
            and inspect.getdoc(getattr(value, name))
        }
    )


def _signature(value: object) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    hidden = {"self", "cls"}
    if isinstance(value, type) and issubclass(value, flax.linen.Module):
        hidden |= {"parent", "name"}  # flax's own
    names = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name not in hidden]
    return _clean(str(signature.replace(parameters=names, return_annotation=signature.empty)))


def _clean(text: str) -> str:
    # A default without a stable text, such as a function, would change from run to run.
    text = re.sub(r"<PjitFunction of (<[^<>]*>)>", r"\1", text)
    text = re.sub(r"<[\w.]+ object at 0x\w+>", "...", text)
    text = re.sub(r"<\w+ ([\w.<>]+) at 0x\w+>", lambda match: match[1].replace("<locals>.", ""), text)
    return re.sub(r"<(\w+) (<?[\w.]+>?)[^>]*>", r"\2", text)


def _text(value: object) -> str:
    """The docstring, as preformatted text from its first section on."""
    doc = inspect.getdoc(value) or ""
    doc = re.sub(r":(?:class|func|meth|mod|data):`~?([^`]+)`", r"`\1`", doc).replace("``", "`")
    section = re.search(r"^(Args|Attributes|Returns|Raises|>>>|Columns).*", doc, re.MULTILINE)
    if not section:
        return doc
    return f"{doc[: section.start()].rstrip()}\n\n```text\n{doc[section.start() :].rstrip()}\n```".lstrip()


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for room in ROOMS:
        (FOLDER / f"{room}.md").write_text(page(room), encoding="utf-8")


if __name__ == "__main__":
    main()
