"""Compares epochs of CEVAE and VLUCI with Pyro's CEVAE, on 1,000 rows of 25 covariates in batches of 100.

Pyro is not part of this environment. Name a Python that has torch, and a folder in which that Python should look for
pyro (any folder, if pyro is installed there)::

    export CAUSALREP_TORCH_PYTHON=/path/to/python CAUSALREP_PYRO=/path/to/site-packages

Without these variables the two rows are left out.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks.harness import Row, Timing, measure
from benchmarks.neural_iv import released
from causalrep.confounders import CEVAEModel, LatentModel, cevae, vluci
from causalrep.training.rows import Schedule

EPOCHS, ROWS = 30, 1000
SCHEDULE = Schedule(epochs=EPOCHS, batch_size=100, validation_share=0.1)
PYRO = "CAUSALREP_PYRO"


def run_cevae() -> Row | None:
    """Our CEVAE with the layers of its authors' code, and Pyro's, which has a few layers less."""
    model = CEVAEModel(latents=20, width=200)
    note = (
        "both sides have the same widths and batch size. Ours has one more hidden layer in the treatment network and "
        "in the arms of the posterior and of the outcome guess; it trains on 900 rows and evaluates 100 every epoch."
    )
    return _row("CEVAE", lambda key, *data: cevae(key, *data, model=model, schedule=SCHEDULE).params, note)


def run_vluci() -> Row | None:
    """VLUCI with networks as large as those of CEVAE."""
    model = LatentModel("gaussian", 20, hidden=(200, 200, 200))
    note = (
        "another method with networks of the same size (five networks with three layers of 200, 20 latents) and both "
        "bounds; it trains on 900 rows and evaluates 100, with 16 samples each, every epoch."
    )
    return _row(
        "VLUCI", lambda key, *data: vluci(key, *data, model=model, schedule=SCHEDULE, warm_start=0).params, note
    )


def _row(name: str, fit: Callable, note: str) -> Row | None:
    peer = released("cevae", PYRO)
    if peer is None:
        return None
    ours, compile_seconds = _ours(fit)
    return Row(
        task=f"{name}, 1,000 rows, batches of 100",
        ours=ours,
        peer="Pyro's CEVAE",
        theirs=peer,
        unit="epoch",
        units=100,
        compile_seconds=compile_seconds,
        claim=1,
        note=note,
    )


def _ours(fit: Callable) -> tuple[Timing, float]:
    x_key, t_key, y_key, key = jax.random.split(jax.random.key(0), 4)
    x = jax.random.normal(x_key, (ROWS, 25))
    t = jax.random.bernoulli(t_key, 0.5, (ROWS,)).astype(x.dtype)
    y = x[:, 0] + t + jax.random.normal(y_key, (ROWS,))
    start = time.perf_counter()
    program = jax.jit(fit).lower(key, x, t, y).compile()
    compile_seconds = time.perf_counter() - start
    params = program(key, x, t, y)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params))
    return measure(lambda: program(key, x, t, y), units=EPOCHS, repeats=5), compile_seconds
