"""Random designs that several tests of the room share."""

import numpy as np

SEED = np.random.SeedSequence().entropy % 2**32  # fresh at every run, shown in the failure


def simulate(seed, n=400, k=4, p=2, q=2):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) @ rng.normal(size=(k, k)) + 1
    c = np.column_stack([np.ones(n), rng.normal(size=(n, q - 1))])
    u = rng.normal(size=n)
    x = z @ rng.normal(size=(k, p)) * 0.3 + c @ rng.normal(size=(q, p)) + u[:, None] + rng.normal(size=(n, p))
    y = x @ rng.normal(size=p) + u * (1 + np.abs(z[:, 0])) + c[:, -1]
    return y, x, z, c, rng.integers(0, 40, n)
