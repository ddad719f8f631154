"""The settings made at import, each in a process of its own: they are read once, when JAX's backend starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLAG = "--xla_cpu_enable_concurrency_optimized_scheduler"

# Several different factorizations vmapped in one program: without the settings it never ends on two cores.
HANGS = """
import causalrep, jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
from causalrep.data import draw_linear, sample_linear_sem
from causalrep.linalg import min_norm_solve, orthonormal_basis

@jax.jit
@jax.vmap
def fit(key):
    sem_key, data_key = jax.random.split(key)
    sem = sample_linear_sem(sem_key)
    sample = draw_linear(data_key, sem, n=2048)
    basis = orthonormal_basis(sample.g)
    two_stage = min_norm_solve(basis.T @ sample.gx, basis.T @ sample.y)
    return sem.f, min_norm_solve(sample.x, sample.y), min_norm_solve(sample.gx, sample.y), two_stage

for repetition in range(3):
    found = jax.block_until_ready(fit(jax.random.split(jax.random.key(repetition), 32)))
assert all(bool(jnp.isfinite(part).all()) and part.dtype == jnp.float64 for part in found)
print("finished", found[1].shape)
"""
SHOW = """
import os
import causalrep
print(repr(os.environ.get("XLA_FLAGS")), repr(os.environ.get("NPROC")))
"""


def python(code, *, limit=120, **variables):
    settings = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "NPROC", "CAUSALREP_KEEP_RUNTIME")}
    settings |= {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **variables}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=limit, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_the_program_that_hangs_without_the_settings_ends():
    assert "finished (32, 32)" in python(HANGS).stdout


def test_flag_and_pool_are_set():
    flags, pool = python(SHOW).stdout.split()
    assert flags == f"'{FLAG}=false'"
    assert int(pool.strip("'")) >= 16


def test_opt_out_leaves_everything_alone():
    assert python(SHOW, CAUSALREP_KEEP_RUNTIME="1").stdout.split() == ["None", "None"]
    assert python(SHOW, CAUSALREP_KEEP_RUNTIME="0").stdout.split()[0] != "None"


def test_the_user_s_own_flags_are_kept():
    own = "--xla_force_host_platform_device_count=3"
    shown = python(SHOW + "import jax; print(jax.device_count())", XLA_FLAGS=own, NPROC="20").stdout
    assert f"'{own} {FLAG}=false' '20'" in shown
    assert shown.split()[-1] == "3"


@pytest.mark.parametrize("value", ["true", "false"])
def test_the_user_s_own_scheduler_wins(value):
    shown = python(SHOW, XLA_FLAGS=f"{FLAG}={value}").stdout
    assert shown.startswith(f"'{FLAG}={value}' ")


def test_an_import_after_the_backend_started_warns():
    late = """
import warnings
import jax
jax.devices()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import causalrep
print([f"{w.category.__name__}: {w.message}" for w in caught if w.category.__name__ == "CausalrepWarning"])
"""
    assert "CausalrepWarning: JAX was already running" in python(late).stdout
    assert python(late, CAUSALREP_KEEP_RUNTIME="1").stdout.strip() == "[]"
    assert python(late, XLA_FLAGS=f"{FLAG}=false", NPROC="16").stdout.strip() == "[]"


def test_the_import_starts_no_backend_and_leaves_float64_alone():
    code = """
import jax
before = jax.config.jax_enable_x64
import causalrep, causalrep.data, causalrep.iv, causalrep.study, causalrep.plots
from jax._src import xla_bridge
print(before, jax.config.jax_enable_x64, xla_bridge.backends_are_initialized())
"""
    assert python(code, JAX_ENABLE_X64="0").stdout.split() == ["False", "False", "False"]
    assert python(code, JAX_ENABLE_X64="1").stdout.split() == ["True", "True", "False"]
