"""A small regression that the tests of training share, so that its programs compile once."""

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax

from causalrep.training import GrainLoader, Objective


def _init(key, batch):
    first, second = jax.random.split(key)
    width = batch["x"].shape[1]
    return {"in": 0.3 * jax.random.normal(first, (width, 16)), "out": 0.3 * jax.random.normal(second, (16, 1))}


def _loss(params, key, batch):
    # A draw a row, so that the tests notice a key that depends on devices.
    noisy = batch["x"] + 0.01 * jax.random.normal(key, batch["x"].shape)
    error = jnp.tanh(noisy @ params["in"]) @ params["out"] - batch["y"]
    return jnp.mean(error**2), {"bias": jnp.mean(error)}


OBJECTIVE = Objective(_init, _loss)
ADAM = optax.adam(1e-2)


def rows(n, seed=0):
    """Rows of a nonlinear regression."""
    x = np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)
    return {"x": x, "y": np.sin(2 * x[:, :1]) + x[:, 1:2] ** 2}


class _Rows:
    def __init__(self, data):
        self._data = data

    def __len__(self):
        return len(self._data["x"])

    def __getitem__(self, index):
        return {name: values[index] for name, values in self._data.items()}


def grain_rows(data, batch_size):
    """The same rows, shuffled anew each epoch, through grain."""
    dataset = grain.MapDataset.source(_Rows(data)).seed(3).shuffle().repeat()
    return GrainLoader(dataset, batch_size, threads=2)
