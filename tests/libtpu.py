"""Tests that load the TPU compiler run in a process of their own.

With libtpu loaded, JAX 0.10.2's profiler crashes the process (a segmentation fault in ``start_trace``), and so would a
later test that profiles. Tests marked ``needs_libtpu`` are skipped in the main process; ``tests/test_libtpu.py`` starts
one child that runs them all.
"""

import importlib.util
import os

import pytest

CHILD = "CAUSALREP_TEST_LIBTPU"
CPU_ONLY = ("--xla_llvm_disable_expensive_passes", "--xla_cpu_use_fusion_emitters")
INSTALLED = importlib.util.find_spec("libtpu") is not None
MISSING = "the TPU compiler is not installed: pip install 'causalrep[aot]'"

needs_libtpu = pytest.mark.skipif(
    not (INSTALLED and os.environ.get(CHILD)),
    reason="runs in the child process of tests/test_libtpu.py" if INSTALLED else MISSING,
)
