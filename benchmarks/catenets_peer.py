"""Times CATENets' TARNet; run by another Python: ``python catenets_peer.py IHDP.npz EPOCHS``.

Prints, as JSON, for each replication the CPU seconds of a fit with its prediction, those of the same with one epoch
(nearly all of it compilation, which CATENets repeats in every fit), and the out-of-sample PEHE.
"""

import json
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")

from catenets.models.jax import TARNet  # noqa: E402


def main(path: str, epochs: int) -> dict[str, list[float]]:
    """All replications of the file."""
    data = np.load(path)
    results: dict[str, list[float]] = {"fit": [], "compile": [], "pehe": []}
    _fit(data, 0, 1)  # The first fit of a process also loads and compiles what later ones share.
    for index in range(len(data["y"])):
        results["compile"].append(_fit(data, index, 1)[0])
        seconds, effect = _fit(data, index, epochs)
        results["fit"].append(seconds)
        test = data["tests"][index]
        results["pehe"].append(float(np.sqrt(np.mean((effect - data["tau"][index])[test] ** 2))))
    return results


def _fit(data, index: int, epochs: int) -> tuple[float, np.ndarray]:
    train = ~data["tests"][index]
    model = TARNet(n_iter=epochs, early_stopping=False, batch_size=100, seed=index)
    start = time.process_time()
    model.fit(data["x"][train], data["y"][index][train], data["t"][train])
    effect = np.asarray(model.predict(data["x"])).ravel()
    return time.process_time() - start, effect


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
