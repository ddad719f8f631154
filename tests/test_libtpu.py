"""All tests that need the TPU compiler, in one child process; see ``tests/libtpu.py``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.libtpu import CHILD, CPU_ONLY, INSTALLED, MISSING

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "tests").rglob("test_*.py")
    if path.name != Path(__file__).name and "needs_libtpu" in path.read_text(encoding="utf-8")
)


@pytest.mark.skipif(bool(os.environ.get(CHILD)), reason="this is the child")
@pytest.mark.skipif(not INSTALLED, reason=MISSING)
def test_everything_that_loads_the_tpu_compiler():
    # libtpu ends a process whose XLA_FLAGS hold a flag that it does not know.
    flags = " ".join(flag for flag in os.environ["XLA_FLAGS"].split() if flag.partition("=")[0] not in CPU_ONLY)
    environment = {**os.environ, CHILD: "1", "XLA_FLAGS": flags, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *FILES]
    child = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert child.returncode == 0, child.stdout[-6000:] + child.stderr[-2000:]
    passed = re.search(r"(\d+) passed", child.stdout)
    assert passed, child.stdout[-2000:]
    assert "skipped" not in child.stdout, child.stdout[-2000:]
