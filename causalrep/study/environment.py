"""What a run's numbers were computed with: a digest of the code, the commit, versions and the machine."""

import datetime
import hashlib
import importlib.metadata
import inspect
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

import causalrep
from causalrep.study.plan import Study

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "pandas", "pyarrow", "optax", "flax", "numpyro")


def code_digest(study: Study) -> str:
    """Eight hexadecimal digits of the library's source and of the file, or package, that defines ``replicate``.

    Parts computed by other code are never mixed into a run; finished records computed by other code are kept, with a
    warning.
    """
    sources = sorted(Path(causalrep.__file__).parent.rglob("*.py"))
    own = [path for path in _source_files(study) if path not in sources]
    digest = hashlib.sha256()
    for path in [*sources, *own]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def machine_and_code(study: Study, code: str) -> dict[str, Any]:
    """The entries of ``environment.json`` that are known before anything is computed.

    Args:
        study: The study.
        code: Its :func:`code_digest`.
    """
    return {
        "causalrep": causalrep.__version__,
        "commit": _commit(study),
        "code": code,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "backend": jax.default_backend(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "command": " ".join(sys.argv),
    }


def _source_files(study: Study) -> list[Path]:
    """The file of ``replicate``, or all files of its folder if that is a package, since it may call any of them."""
    function = study.replicate
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    try:
        path = Path(inspect.getsourcefile(inspect.unwrap(function)) or "")
    except TypeError:
        return []
    if not path.is_file():
        return []
    path = path.resolve()
    return sorted(path.parent.glob("*.py")) if (path.parent / "__init__.py").exists() else [path]


def _commit(study: Study) -> str | None:
    """The commit of the repository that holds ``replicate``, if it is in one."""
    folder = next(iter(_source_files(study)), Path(causalrep.__file__)).parent
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
