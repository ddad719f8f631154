"""A fit for the tests that kill processes: ``python train_worker.py OUT FOLDER STEPS [INIT...]``.

INIT is ``COORDINATOR COUNT INDEX`` for one of several processes. Process 0 writes the result to OUT at the end, and an
empty file beside it, ending in ``.started``, after the first chunk.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

import causalrep  # noqa: F401  (settings that must precede JAX's backend)
from causalrep.parallel import distributed
from causalrep.training import Checkpoints, train
from tests.training.problems import ADAM, OBJECTIVE, grain_rows, rows


def main() -> None:
    """Fit, and write every number of the result."""
    out, folder, steps, *joined = sys.argv[1:]
    if joined:
        distributed.initialize(joined[0], int(joined[1]), int(joined[2]), connect_timeout=60, missing_after=5.0)
    with distributed.guard():
        data = rows(256)
        kind = Path(folder).name
        common = {"steps": int(steps), "chunk": 5, "validation": rows(64, seed=1), "eval_every": 5}
        checkpoints = Checkpoints(folder, every_steps=10, every_minutes=None)
        if kind.startswith("loader"):
            common |= {"data": grain_rows(data, 32)}
        else:
            common |= {"data": data, "batch_size": 32}
        started = Path(out).with_suffix(".started")
        first = iter([started.touch])
        observers = [lambda progress: next(first, int)()]
        result = train(OBJECTIVE, ADAM, key=jax.random.key(0), checkpoints=checkpoints, observers=observers, **common)
        if distributed.is_main():
            params = {name: np.asarray(value).tolist() for name, value in result.params.items()}
            history = {name: values.tolist() for name, values in result.history.items()}
            record = {"params": params, "history": history, "validation": result.validation.tolist()}
            Path(out).write_text(json.dumps(record))


if __name__ == "__main__":
    main()
