"""Compiled programs are kept between processes, in the user's cache folder.

Studies enable this themselves. In a notebook, call :func:`enable_compilation_cache` once: most of the time of a small
network's first fit is compilation.
"""

import os
from pathlib import Path

import jax

FOLDER_VARIABLE = "CAUSALREP_CACHE"


def enable_compilation_cache() -> None:
    """Keep compiled programs in ``$CAUSALREP_CACHE/xla`` (default ``~/.cache/causalrep/xla``).

    The user's own settings have priority: ``JAX_COMPILATION_CACHE_DIR``, or ``jax_compilation_cache_dir`` in JAX's
    configuration; ``JAX_ENABLE_COMPILATION_CACHE=false`` turns the cache off. If the folder cannot be written, or
    there is no home directory, nothing is kept.
    """
    if os.environ.get("JAX_COMPILATION_CACHE_DIR") or jax.config.jax_compilation_cache_dir:
        return
    try:
        # Absolute, since JAX opens it again and again and the working directory may change.
        chosen = os.environ.get(FOLDER_VARIABLE) or Path.home() / ".cache" / "causalrep"
        folder = Path(chosen).absolute() / "xla"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter where the user has no home directory
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # A study or a façade's fit consists of hundreds of small programs, but JAX keeps by default only those that took a
    # second to compile.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
