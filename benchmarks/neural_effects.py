"""TARNet on IHDP-100 beside CATENets: the same network, epochs, batches and rates; time per replication, and PEHE.

CATENets 0.2.4 needs torch, so it gets an environment of its own; point to its Python::

    python -m venv peer && peer/bin/pip install torch catenets==0.2.4
    export CAUSALREP_CATENETS_PYTHON=/path/to/peer/bin/python

Without the variable the rows are left out.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Row, Timing, measure
from causalrep.data import load
from causalrep.effects.meta import EffectRows
from causalrep.effects.networks import CFRLearner
from causalrep.metrics import pehe
from causalrep.precision import float64
from causalrep.training.rows import Schedule

PYTHON = "CAUSALREP_CATENETS_PYTHON"
EPOCHS, BATCH, TEST = 200, 100, 75
UNITS = 100


@lru_cache(maxsize=1)
def _both(replications: int) -> dict | None:
    """Times and errors of both sides over the first replications."""
    python = os.environ.get(PYTHON)
    if not python:
        print(f"tarnet: left out, since {PYTHON} is not set")
        return None
    data = load("ihdp", replications=range(1, replications + 1))
    tests = np.stack([data.is_test(i) for i in range(replications)])
    return {"peer": _peer(python, data, tests), "ours": _ours(data, tests)}


def run(replications: int = 10) -> Row | None:
    """A fit as each library is used: CATENets compiles inside every fit, ours once."""
    results = _both(replications)
    if results is None:
        return None
    ours, peer = results["ours"], results["peer"]
    return _row(
        "TARNet on IHDP-100, 200 epochs",
        ours,
        _timing(peer["fit"]),
        4,
        f"both: representation 3 x 200, heads 2 x 100, ELU, Adam 1e-4, penalty 1e-4 on all weights, batches of 100, "
        f"200 epochs without early stopping, validation 30% of 672 units. CATENets compiles its step in every fit "
        f"({_median(peer['compile']):.2g} s of its time). Out-of-sample PEHE over {len(peer['pehe'])} replications: "
        f"ours {_mean(ours['pehe'])}, CATENets {_mean(peer['pehe'])} (ours standardizes the outcome, CATENets does "
        f"not). Ours computes at {ours['flops'] / ours['timing'].median / 1e9:.0f} GFLOP/s, "
        f"{ours['flops'] / ours['timing'].median / ours['rate']:.0%} of the {ours['rate'] / 1e9:.0f} GFLOP/s that a "
        f"product of two 2,048 x 2,048 matrices reaches on one processor.",
    )


def run_steps(replications: int = 10) -> Row | None:
    """The same fits without CATENets' compilation: what remains when its fits become long."""
    results = _both(replications)
    if results is None:
        return None
    steps = [
        whole - compiling for whole, compiling in zip(results["peer"]["fit"], results["peer"]["compile"], strict=True)
    ]
    note = "as above, less the time of a fit of one epoch on CATENets' side: its compilation."
    return _row("TARNet on IHDP-100, compiled on both sides", results["ours"], _timing(steps), 1, note)


def _row(task: str, ours: dict, theirs: Timing, claim: float, note: str) -> Row:
    return Row(
        task=task,
        ours=ours["timing"],
        peer="CATENets 0.2.4",
        theirs=theirs,
        unit="replication",
        units=UNITS,
        compile_seconds=ours["compile"],
        claim=claim,
        note=note,
    )


def _ours(data, tests: np.ndarray) -> dict:
    rows = len(data.x) - TEST
    training = rows - round(0.3 * rows)
    steps = EPOCHS * round(training / BATCH)
    learner = CFRLearner(
        heads=(100, 100),
        normalize=False,
        representation_penalty=1e-4,
        schedule=Schedule(steps=steps, learning_rate=1e-4),
        decay=1.0,
        eval_every=steps,
        standardize=False,
        outcome_units=True,
    )

    def fit(key, x, t, y, tau, test):
        units = EffectRows(x, x, t, y, 1.0 - test, jnp.zeros(len(y), int))
        units = jax.tree.map(lambda leaf: leaf[jnp.argsort(test)[:rows]], units)
        return pehe(learner.predict(learner.fit(units, key), x), tau, test)

    with float64():
        arguments = [
            (jax.random.key(i), data.x, data.t, data.y[i], data.mu1[i] - data.mu0[i], tests[i].astype(float))
            for i in range(len(tests))
        ]
        start = time.process_time()
        program = jax.jit(fit).lower(*arguments[0]).compile()
        compiling = time.process_time() - start
        seconds, errors = [], []
        for argument in arguments:
            errors.append(float(program(*argument)))
            seconds.append(measure(lambda a=argument: program(*a), units=1, repeats=1, warmup=0).median)
    return {
        "timing": _timing(seconds),
        "compile": compiling,
        "pehe": errors,
        "flops": _flops(learner, steps),
        "rate": _product_rate(),
    }


def _flops(learner: CFRLearner, steps: int) -> float:
    """Operations of all matrix products: one forward and two backward each, without the gradient of the input."""
    widths = (25, *learner.representation)
    shared = [a * b for a, b in pairwise(widths)]
    inner = (widths[-1], *learner.heads, 1)
    heads = 2 * sum(a * b for a, b in pairwise(inner))
    return 2.0 * BATCH * steps * (3 * (sum(shared) + heads) - shared[0])


def _product_rate(size: int = 2048) -> float:
    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    return 2.0 * size**3 / measure(lambda: product(a), units=1, repeats=5).low


def _peer(python: str, data, tests: np.ndarray) -> dict:
    script = Path(__file__).with_name("catenets_peer.py")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ihdp.npz"
        np.savez(path, x=data.x, t=data.t, y=data.y, tau=data.mu1 - data.mu0, tests=tests)
        done = subprocess.run([python, script, path, str(EPOCHS)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{script.name} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _timing(seconds: list[float]) -> Timing:
    return Timing(_median(seconds), min(seconds), max(seconds), len(seconds))


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"
