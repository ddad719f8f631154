"""A folder of configs for the command line: a fast compiled study and a slow study of ordinary Python."""

import textwrap

import pytest

LOCATION = '''
"""Absolute error of the mean and the median of a normal sample.

Expected time: 2 s at any scale.
"""

import dataclasses

import jax
import jax.numpy as jnp

from causalrep.study import Curves, Ordering, Study, Table, grid

REPRODUCE = "small"


def replicate(key, setting):
    x = jax.random.normal(key, (setting["n"],)) + setting["mu"]
    methods = {"mean": jnp.mean, "median": jnp.median}
    return {name: {"error": jnp.abs(method(x) - setting["mu"])} for name, method in methods.items()}


@dataclasses.dataclass(frozen=True)
class Location:
    """The study's fields.

    Attributes:
        replications: Replications per cell.
        samples: Sample sizes.
    """

    replications: int = 40
    samples: tuple[int, ...] = (10, 20)

    def study(self) -> Study:
        return Study(
            "demo/location",
            replicate,
            grid(n=self.samples, mu=(0.0, 1.0)),
            self.replications,
            traced=("mu",),
            claims=(Ordering(metric="error", methods=("mean", "median")),),
            tables=(Table(title="Absolute error", metric="error", rows=("method", "n")),),
            figures=(Curves(x="n", metric="error"),),
        )


SCALES = {"smoke": Location(4), "small": Location(), "paper": Location(400)}
'''

SLOW = '''
"""A slow study of ordinary Python.

Expected time: 4 s.
"""

import dataclasses
import time

import jax

from causalrep.study import Study

REPRODUCE = "smoke"


def replicate(key, setting):
    time.sleep(setting["seconds"])
    return {"m": {"x": jax.random.normal(key)}}


@dataclasses.dataclass(frozen=True)
class Slow:
    """Attributes:
    seconds: Seconds of sleep per replication.
    """

    seconds: float = 0.05

    def study(self) -> Study:
        settings = [{"seconds": self.seconds, "cell": cell} for cell in range(4)]
        return Study("demo/slow", replicate, settings, 16, compiled=False)


SCALES = {"smoke": Slow(), "small": Slow(), "paper": Slow()}
'''

NUMBERS = """
[[number]]
experiment = "demo/location"
where = { method = "mean", n = 10 }
metric = "error"
value = 0.2523
source = "sqrt(2 / (10 pi))"
provenance = "card"
"""


@pytest.fixture
def roots(tmp_path):
    """Folders of configs and papers, as keyword arguments of the command lines."""
    folder = tmp_path / "configs" / "demo"
    folder.mkdir(parents=True)
    (folder / "location.py").write_text(textwrap.dedent(LOCATION).lstrip())
    (folder / "slow.py").write_text(textwrap.dedent(SLOW).lstrip())
    reported = tmp_path / "reported"
    reported.mkdir()
    (reported / "demo").mkdir()
    (reported / "demo" / "reported.toml").write_text(NUMBERS)
    return {"config_root": tmp_path / "configs", "papers_root": reported}
