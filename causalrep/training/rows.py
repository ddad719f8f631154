"""How long a fit trains: passes over the rows turned into updates, and the rows that select the parameters."""

from typing import NamedTuple

import jax
from jaxtyping import PyTree


class Schedule(NamedTuple):
    """How long to train; all static.

    Attributes:
        rows: Rows trained on.
        batch_size: Rows a step.
        steps: Updates.
        eval_every: Updates between evaluations; it divides ``steps``.
    """

    rows: int
    batch_size: int
    steps: int
    eval_every: int


def schedule(n: int, *, validation_share: float, epochs: int, batch_size: int, evaluations: int = 100) -> Schedule:
    """Updates for so many passes over the rows left for training, evaluated about ``evaluations`` times."""
    rows = n - round(validation_share * n)
    batch_size = min(batch_size, rows)
    epoch = rows // batch_size
    eval_every = epoch * max(1, epochs // evaluations)
    return Schedule(rows, batch_size, eval_every * -(-epochs * epoch // eval_every), eval_every)


def split(data: PyTree, rows: int) -> tuple[PyTree, PyTree]:
    """The first rows to train on, the others to validate; rows come in random order."""
    return jax.tree.map(lambda leaf: leaf[:rows], data), jax.tree.map(lambda leaf: leaf[rows:], data)
