"""What a run's numbers were computed with: a digest of the code, the commit, versions and the machine."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import inspect
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

import causalrep
from causalrep.study.code import COMPILER, code_of
from causalrep.study.plan import Study, canonical_json

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "pandas", "pyarrow", "optax", "flax", "numpyro")


@dataclasses.dataclass(frozen=True)
class Code:
    """The code that computes a study.

    Attributes:
        library: Digest of the library's source.
        functions: Digests of ``replicate`` and of all of the user's code that it uses, by name.
    """

    library: str
    functions: dict[str, str]

    @classmethod
    def of(cls, study: Study) -> "Code":
        """The code of a study as it is now."""
        library = hashlib.sha256()
        for path in sorted(Path(causalrep.__file__).parent.rglob("*.py")):
            library.update(path.name.encode())
            library.update(path.read_bytes())
        return cls(library.hexdigest()[:8], code_of(study.replicate))

    @property
    def own(self) -> str:
        """Eight hexadecimal digits of the user's part of it."""
        return hashlib.sha256(canonical_json(self.functions).encode()).hexdigest()[:8]

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of all of it; what other code has computed is never mixed into a run."""
        return hashlib.sha256(f"{self.library} {self.own}".encode()).hexdigest()[:8]

    def record(self) -> dict[str, Any]:
        """The entries of ``environment.json`` about the code."""
        return {"code": self.digest, "compiler": COMPILER, "functions": self.functions}

    def changed(self, environment: Mapping[str, Any]) -> list[str]:
        """Names of the user's functions and constants that differ from those in a run's ``environment.json``.

        None are known to differ if another version of Python has compiled them.
        """
        functions = environment.get("functions")
        if functions is None or environment.get("compiler") != COMPILER:
            return []
        names = sorted({*functions, *self.functions})
        return [name for name in names if functions.get(name) != self.functions.get(name)]


def explain(changed: Sequence[str], environment: Mapping[str, Any]) -> str:
    """What has changed since a run's ``environment.json`` was written, and how to go on, as sentences."""
    more = ", ..." if len(changed) > 5 else ""
    what = f"{', '.join(changed[:5])}{more}" if changed else "the library, or the version of Python,"
    version, commit = environment.get("causalrep", "unknown"), environment.get("commit") or "unknown"
    return (
        f"{what} changed since (then causalrep {version}, commit {commit}). Compute them again with "
        "other_code='recompute', or choose another results folder."
    )


def machine_and_code(study: Study, code: Code) -> dict[str, Any]:
    """The entries of ``environment.json`` that are known before anything is computed.

    Args:
        study: The study.
        code: Its code.
    """
    return {
        "causalrep": causalrep.__version__,
        "commit": _commit(study),
        **code.record(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "backend": jax.default_backend(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "command": " ".join(sys.argv),
    }


def _source_folder(study: Study) -> Path:
    """The folder of the file that defines ``replicate``; the library's if there is none."""
    function = study.replicate
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    try:
        path = Path(inspect.getsourcefile(inspect.unwrap(function)) or "")
    except TypeError:
        path = Path()
    return (path.resolve() if path.is_file() else Path(causalrep.__file__)).parent


def _commit(study: Study) -> str | None:
    """The commit of the repository that holds ``replicate``, if it is in one."""
    folder = _source_folder(study)
    try:
        head = _git(folder, "rev-parse", "HEAD")
        if head.returncode:
            return None
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + (" with changes" if changed.stdout.strip() else "")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
