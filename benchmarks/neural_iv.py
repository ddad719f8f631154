"""Compares training steps of DFIV and DeepGMM with their released PyTorch code.

The released code is not a package and is not copied here. Clone it, and name the clones and a Python that has torch::

    export CAUSALREP_TORCH_PYTHON=/path/to/python
    export CAUSALREP_DFIV=/path/to/DeepFeatureIV CAUSALREP_DEEPGMM=/path/to/DeepGMM

Without these variables the two rows are left out.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from benchmarks.harness import Row, Timing, measure
from causalrep.data import demand, zoo
from causalrep.iv.nonlinear import deep_gmm, dfiv
from causalrep.iv.nonlinear.dfiv import FeatureWidths
from causalrep.training.rows import Schedule
from causalrep.training.trained import Trained

PYTHON = "CAUSALREP_TORCH_PYTHON"
INNER = 20


def run_dfiv() -> Row | None:
    """Times outer iterations on 5,000 rows of the demand design, with the widths of the released code."""
    peer = released("dfiv", "CAUSALREP_DFIV")
    if peer is None:
        return None
    s = demand(jax.random.key(0), n=5000)
    data = s.y, jnp.column_stack([s.t, s.x]), jnp.column_stack([s.z, s.x])
    widths = FeatureWidths((16, 1), (128, 64, 32), (128, 32, 16))
    updates = 20

    def fit(key: jax.Array, y: jax.Array, x: jax.Array, z: jax.Array) -> Trained:
        return dfiv(key, y, x, z, widths=widths, inner_steps=INNER, schedule=Schedule(steps=updates))

    ours, compile_seconds = _ours(fit, data, units=updates)
    return Row(
        task="DFIV, demand design, n = 5,000",
        ours=ours,
        peer="released PyTorch code",
        theirs=peer,
        unit="outer iteration",
        units=100,
        compile_seconds=compile_seconds,
        claim=1,
        note=(
            "an outer iteration updates the networks of the instrument and the covariates 20 times and that of the "
            "treatment once; both sides use float32 and the same widths. The released networks have batch "
            "normalization, while ours standardize the features of the instrument; ours also evaluate the gradient of "
            "the treatment's network 20 times and use it once."
        ),
    )


def run_deep_gmm() -> Row | None:
    """Times steps of the game on 1,024 rows, with the networks of the released code."""
    peer = released("deep_gmm", "CAUSALREP_DEEPGMM")
    if peer is None:
        return None
    s = zoo(jax.random.key(0), n=2048, function="linear")
    steps = 2000

    def fit(key: jax.Array, y: jax.Array, x: jax.Array, z: jax.Array) -> Trained:
        return deep_gmm(key, y, x, z, schedule=Schedule(epochs=steps))

    ours, compile_seconds = _ours(fit, (s.y, s.t, s.z), units=steps)
    return Row(
        task="DeepGMM, zoo, batches of 1,024",
        ours=ours,
        peer="released PyTorch code",
        theirs=peer,
        unit="step of both players",
        units=6000,
        compile_seconds=compile_seconds,
        claim=5,
        note=(
            "both sides use the same networks, optimistic Adam and float32 (the released code runs in float64). Ours "
            "includes an evaluation on held-out rows every 20 steps, theirs none."
        ),
    )


def _ours(fit: Callable[..., Trained], data: tuple[jax.Array, ...], *, units: int) -> tuple[Timing, float]:
    key = jax.random.key(0)
    start = time.perf_counter()
    program = jax.jit(fit).lower(key, *data).compile()
    compile_seconds = time.perf_counter() - start
    result = program(key, *data)
    assert not bool(result.diverged)
    assert bool(jnp.isfinite(result.loss))
    return measure(lambda: program(key, *data), units=units, repeats=5), compile_seconds


def released(method: str, variable: str) -> Timing | None:
    """Times of a method in torch_peers.py; if it is not set up, prints so and returns None."""
    python, clone = os.environ.get(PYTHON), os.environ.get(variable)
    if not python or not clone:
        print(f"{method}: left out, because {PYTHON} or {variable} is not set")
        return None
    script = Path(__file__).with_name("torch_peers.py")
    done = subprocess.run([python, script, method, clone], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{script.name} {method} failed:\n{done.stderr}")
    seconds = json.loads(done.stdout.strip().splitlines()[-1])
    return Timing(statistics.median(seconds), min(seconds), max(seconds), len(seconds))
