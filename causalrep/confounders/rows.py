"""How the variational models of this room divide their rows for training."""

from typing import NamedTuple

import jax
from jaxtyping import Array, Key, PyTree

from causalrep.training.rows import Plan, Schedule, plan_epochs, split_rows, take_rows


class Divided(NamedTuple):
    """Rows in random order, divided by a schedule.

    Attributes:
        plan: The updates (:class:`~causalrep.training.rows.Plan`).
        rows: Rows to train on.
        held_out: Rows that select the parameters.
    """

    plan: Plan
    rows: PyTree
    held_out: PyTree


def divide(key: Key[Array, ""], data: PyTree, n: int, schedule: Schedule) -> Divided:
    """Shuffle the n rows of ``data`` and hold out the schedule's share of them."""
    plan = plan_epochs(
        n, validation_share=schedule.validation_share, epochs=schedule.epochs, batch_size=schedule.batch_size
    )
    return Divided(plan, *split_rows(take_rows(data, jax.random.permutation(key, n)), plan.rows))
