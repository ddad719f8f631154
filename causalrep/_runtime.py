"""Process-wide runtime settings, applied when the package is imported.

On a CPU, jax 0.10.2 can deadlock in one jitted program that vmaps several dense factorisations: the
concurrency-optimised scheduler of XLA's CPU backend starves its own thread pool on few cores. The package
switches that scheduler off through ``XLA_FLAGS``, which the backend reads when it starts. The flag concerns the CPU
backend only; accelerators ignore it.
"""

import os
import warnings

from causalrep.errors import CausalrepWarning

CPU_SCHEDULER_FLAG = "--xla_cpu_enable_concurrency_optimized_scheduler"
OPT_OUT = "CAUSALREP_KEEP_XLA_FLAGS"


def configure() -> None:
    """Append the CPU scheduler flag to ``XLA_FLAGS`` unless the user has set it or opted out.

    Set the environment variable ``CAUSALREP_KEEP_XLA_FLAGS=1`` to leave ``XLA_FLAGS`` alone. If a JAX backend
    already runs without the flag, it is too late to set it: a warning says so.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if os.environ.get(OPT_OUT, "") not in ("", "0") or CPU_SCHEDULER_FLAG in flags:
        return
    if _backend_has_started():
        warnings.warn(
            "JAX was already running when causalrep was imported, so the CPU scheduler that can deadlock in "
            "batched factorisations could not be switched off. Import causalrep before the first JAX computation, "
            f"or start Python with XLA_FLAGS={CPU_SCHEDULER_FLAG}=false.",
            CausalrepWarning,
            stacklevel=3,
        )
        return
    os.environ["XLA_FLAGS"] = f"{flags} {CPU_SCHEDULER_FLAG}=false".strip()


def _backend_has_started() -> bool:
    # JAX has no public question for this; without an answer, assume the common case of an early import.
    try:
        from jax._src import xla_bridge

        return bool(xla_bridge.backends_are_initialized())
    except (ImportError, AttributeError):
        return False
