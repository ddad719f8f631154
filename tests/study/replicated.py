"""Studies that several processes compute and the test's own process computes too, to compare the records.

As a program, ``python -m tests.study.replicated FOLDER --coordinator ... --process-count ... --process-index ...`` runs
all of them inside the guard, as a user's own script would.
"""

import argparse
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.parallel import distributed
from causalrep.study import Study, grid, run
from experiments import configs
from experiments.scaling.mlp_fits import MLPFits


def regression(key, setting):
    """Least squares and two-stage least squares: factorizations and products in float64."""
    z_key, u_key = jax.random.split(key)
    z = jax.random.normal(z_key, (setting["n"], 3))
    u = jax.random.normal(u_key, (setting["n"],))
    t = z @ jnp.array([1.0, 0.5, 0.25]) * setting["strength"] + u
    y = t + u
    x = jnp.stack([t, jnp.ones_like(t)], axis=1)
    fitted = z @ jnp.linalg.lstsq(z, x)[0]
    return {
        "OLS": {"effect": jnp.linalg.lstsq(x, y)[0][0]},
        "2SLS": {"effect": jnp.linalg.lstsq(fitted, y)[0][0]},
    }


def host(key, setting):
    """Ordinary Python, with a NaN and a number that float32 cannot hold."""
    value = float(np.random.default_rng(np.asarray(jax.random.key_data(key))).normal())
    return {"m": {"x": value + setting["shift"], "tiny": value * 1e-200, "bad": float("nan")}}


def studies() -> dict[str, tuple[Study, dict]]:
    """Each study with its options."""
    settings = grid(n=[50], strength=[0.5, 1.0])
    closed = Study("demo/regression", regression, settings, replications=21, traced=("strength",))
    plain = Study("demo/host", host, [{"shift": 0.0}, {"shift": 1.0}], replications=7, compiled=False)
    small = MLPFits(fits=16, samples=(64,), width=8, batch=16).study()
    return {
        "closed": (closed, {"chunk": 8}),
        "loop": (dataclasses.replace(closed, name="demo/loop"), {"mode": "loop"}),
        "host": (plain, {}),
        "trained": (dataclasses.replace(small, claims=()), {}),
    }


def ivl() -> dict[str, tuple[Study, dict]]:
    """One cell of the IVL paper's Figure 4."""
    whole = configs.study_of(configs.load("ivl/linear_simulation")["smoke"])
    report = {"claims": (), "tables": (), "figures": ()}  # they speak of all cells
    return {"ivl": (dataclasses.replace(whole, settings=whole.settings[:1], replications=8, **report), {})}


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--ivl", action="store_true")
    parser.add_argument("--coordinator")
    parser.add_argument("--process-count", type=int)
    parser.add_argument("--process-index", type=int)
    options = parser.parse_args()
    distributed.initialize(options.coordinator, options.process_count, options.process_index)
    with distributed.guard():
        for name, (study, settings) in (ivl() if options.ivl else studies()).items():
            first = run(study, f"{options.folder}/{name}", **settings)
            again = run(study, f"{options.folder}/{name}", **settings)  # found finished, by all alike
            in_memory = run(study, **settings, progress=False)
            assert first.computed
            assert not again.computed
            assert first.frame.equals(again.frame), name
            assert first.frame.equals(in_memory.frame), name
            assert first.environment["processes"] == jax.process_count()


if __name__ == "__main__":
    main()
