"""Test-wide settings: the persistent compilation cache, eight virtual CPU devices, the data folder."""

import gc
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Before JAX starts: enough devices for the sharding tests, and all compiled programs kept between runs, the many small
# ones of ordinary calls too: the second run takes half the time.
_FLAG = "--xla_force_host_platform_device_count"
if _FLAG not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}=8".strip()
# Most of the time goes into compiling programs that run once: let LLVM optimize them less, and leave out the fusion
# emitters, which take a third longer to compile. Rounding may differ.
_CHEAP = {"--xla_backend_optimization_level": "1"}
if "CAUSALREP_TEST_LIBTPU" not in os.environ:  # libtpu refuses flags that are the CPU compiler's own
    _CHEAP |= {"--xla_llvm_disable_expensive_passes": "true", "--xla_cpu_use_fusion_emitters": "false"}
for _flag, _value in _CHEAP.items():
    if _flag not in os.environ["XLA_FLAGS"]:
        os.environ["XLA_FLAGS"] += f" {_flag}={_value}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "causalrep-test-jax-cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax  # noqa: E402
import pytest  # noqa: E402

import causalrep  # noqa: E402, F401  (sets the CPU scheduler flag before the backend starts)

# The variables serve child processes. Here a pytest plugin (jaxtyping's) has imported JAX before this file, which
# reads them at import alone.
jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update(
    "jax_persistent_cache_min_compile_time_secs",
    float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]),
)


MAPS = Path("/proc/self/maps")
MOST_MAPS = 30_000  # of the 65,530 that Linux allows a process


@pytest.fixture(scope="module", autouse=True)
def _few_programs():
    """Drop compiled programs before the process runs out of memory maps, of which each program holds several.

    The whole suite compiles so many in one process that mapping fails, and XLA then ends the process.
    """
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def x64():
    """Run one test in float64."""
    with jax.enable_x64(True):
        yield


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run_page(tmp_path):
    """Runs the first or all Python examples of a page of docs/, as a user's script; returns what it printed."""

    def run(page, *, first=False, timeout=200):
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
        (tmp_path / "page.py").write_text("\n".join(blocks[:1] if first else blocks))
        done = subprocess.run(
            [sys.executable, "page.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
