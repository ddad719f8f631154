"""Process-wide settings for JAX's CPU backend, applied when the package is imported.

Batched factorizations on a CPU have two faults in jax 0.10.2, both measured on two cores (see
``tests/test_runtime.py``):

- *They can hang forever.* A batched LAPACK call occupies a thread of XLA's pool while its parts wait for another one.
  With as many threads as cores, a program that vmaps several factorizations blocks every thread. Two settings keep
  threads free: a pool of at least 16 threads (XLA reads its size from the environment variable ``NPROC``), and the
  plain scheduler, which starts fewer calls at once than the concurrency-optimized one.
- *They can be very slow.* JAX takes LAPACK from SciPy's OpenBLAS, whose own threads contend with those of the batch:
  factorizations of 32 matrices of 2,048 x 32 took up to 20 times longer. That copy of OpenBLAS is limited to one
  thread; NumPy's own copy is not changed.

The settings must be in place before the backend starts; set ``CAUSALREP_KEEP_RUNTIME=1`` to change none of them.

The random numbers of a seed must not depend on the environment either, so JAX's ``jax_threefry_partitionable`` is
always set to its default, whatever ``JAX_THREEFRY_PARTITIONABLE`` says.
"""

import os
import warnings

import jax
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that JAX calls)
from threadpoolctl import ThreadpoolController

from causalrep.errors import CausalrepWarning

CPU_SCHEDULER_FLAG = "--xla_cpu_enable_concurrency_optimized_scheduler"
POOL_SIZE_VARIABLE = "NPROC"
MINIMUM_POOL_SIZE = 16
OPT_OUT = "CAUSALREP_KEEP_RUNTIME"


def configure() -> None:
    """Set the generator of random numbers and the CPU backend's scheduler, thread pool and LAPACK threads.

    It warns if the backend already runs. What the user has set in ``XLA_FLAGS`` or ``NPROC`` is kept.
    """
    jax.config.update("jax_threefry_partitionable", True)
    if os.environ.get(OPT_OUT, "") not in ("", "0"):
        return
    _single_threaded_lapack()
    flags = os.environ.get("XLA_FLAGS", "")
    if CPU_SCHEDULER_FLAG in flags and POOL_SIZE_VARIABLE in os.environ:
        return
    if _backend_has_started():
        warnings.warn(
            "JAX was already running when causalrep was imported, so its CPU thread pool could not be made safe "
            "against a deadlock in batched factorizations. Import causalrep before the first JAX computation, or start "
            f"Python with {POOL_SIZE_VARIABLE}={MINIMUM_POOL_SIZE} XLA_FLAGS={CPU_SCHEDULER_FLAG}=false.",
            CausalrepWarning,
            stacklevel=3,
        )
        return
    if CPU_SCHEDULER_FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {CPU_SCHEDULER_FLAG}=false".strip()
    os.environ.setdefault(POOL_SIZE_VARIABLE, str(max(MINIMUM_POOL_SIZE, os.cpu_count() or 1)))


def _single_threaded_lapack() -> None:
    controller = ThreadpoolController()
    for library in controller.select(internal_api="openblas").lib_controllers:
        if "scipy" in os.path.basename(os.path.dirname(library.filepath)):
            library.set_num_threads(1)


def _backend_has_started() -> bool:
    # JAX has no public function for this. If this one disappears, assume the common case of an early import.
    try:
        from jax._src import xla_bridge

        return bool(xla_bridge.backends_are_initialized())
    except (ImportError, AttributeError):
        return False
