"""Compares training steps of ILD's simulated experiments with the released PyTorch code.

Set it up as for :mod:`benchmarks.neural_iv`, with ``CAUSALREP_ILD=/path/to/ild-domain-counterfactuals``.
"""

import time

import jax
import jax.numpy as jnp

from benchmarks.harness import Row, measure
from benchmarks.neural_iv import released
from causalrep.data import ild_simulation
from causalrep.latent import ILDFamily, Schedule, fit_ild
from causalrep.latent.ild.objective import ILDRows

STEPS = 10_000


def run() -> Row | None:
    """Times maximum-likelihood steps on 500 rows of three domains with six latents, Relax-Can with k = 2."""
    peer = released("ild", "CAUSALREP_ILD")
    if peer is None:
        return None
    data = ild_simulation(0)
    rows = [ILDRows(jnp.asarray(s.x, jnp.float32), jnp.asarray(s.domain, jnp.int32)) for s in data[1:3]]
    family, key = ILDFamily("relax-can", 3, 6, 2, monotone=False), jax.random.key(0)

    def fit(key: jax.Array, train: ILDRows, validation: ILDRows) -> jax.Array:
        return fit_ild(key, family, train, validation, schedule=Schedule(steps=STEPS)).final_loss

    start = time.perf_counter()
    program = jax.jit(fit).lower(key, *rows).compile()
    compile_seconds = time.perf_counter() - start
    assert bool(jnp.isfinite(program(key, *rows)))
    return Row(
        task="ILD, Relax-Can, 3 domains, 6 latents, batches of 500",
        ours=measure(lambda: program(key, *rows), units=STEPS, repeats=5),
        peer="released PyTorch code",
        theirs=peer,
        unit="step",
        units=50_000,
        compile_seconds=compile_seconds,
        claim=3,
        note=(
            "both sides use the same model, optimizer and batch size in float32. Ours includes shuffling and an "
            "evaluation every 100 steps; theirs includes neither, nor its data loader."
        ),
    )
