"""A small study that the tests of this room share: the mean and the median of a normal sample."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from causalrep.study import Study, grid

TRACES = []


def location(key, setting):
    TRACES.append(dict(setting))
    x = setting["mu"] + setting["sd"] * jax.random.normal(key, (setting["n"],))
    # "median" before "mean", though the alphabet says otherwise: the author's order must survive jit.
    return {
        "median": {"estimate": jnp.median(x), "error": jnp.abs(jnp.median(x) - setting["mu"])},
        "mean": {"estimate": jnp.mean(x), "error": jnp.abs(jnp.mean(x) - setting["mu"])},
    }


@pytest.fixture
def traces():
    TRACES.clear()
    return TRACES


@pytest.fixture
def location_study():
    def make(**changes):
        study = Study(
            "demo/location",
            location,
            grid(n=[20, 40], mu=[0.0, 1.0, 2.0], sd=[1.0]),
            replications=21,
            traced=("mu", "sd"),
            shared=("mu",),
        )
        return dataclasses.replace(study, **changes)

    return make
