"""From rows to a trained network: what every method here does around its objective."""

from typing import NamedTuple

import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from causalrep.effects.networks.units import Scaling, Units
from causalrep.training import FitResult, Objective, fit


class NetworkFit(NamedTuple):
    """A trained network; a pytree.

    Attributes:
        params: The network's parameters.
        scaling: Of covariates and outcome.
        loss: The validation objective that chose ``params``, in units of the standardised outcome.
        best_step: Updates behind them.
        diverged: Whether some loss or gradient was not finite; ``params`` are then those before it.
        first_bad_step: The update at which that happened, or -1.
    """

    params: PyTree
    scaling: Scaling
    loss: Float[Array, ""]
    best_step: Int[Array, ""]
    diverged: Bool[Array, ""]
    first_bad_step: Int[Array, ""]


def train(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    training: Units,
    validation: Units,
    key: Key[Array, ""],
    *,
    steps: int,
    batch_size: int,
    eval_every: int,
    eval_after: int = 0,
    patience: int | None = None,
    start: PyTree | None = None,
) -> FitResult:
    """:func:`causalrep.training.fit` with sizes that always fit together.

    A batch has at most all rows, steps are rounded up to whole evaluations, and there is at least one evaluation.
    """
    eval_every = min(eval_every, steps)
    steps = eval_every * -(-steps // eval_every)
    return fit(
        objective,
        optimizer,
        training,
        key,
        steps=steps,
        batch_size=min(batch_size, len(training.y)),
        validation=validation,
        eval_every=eval_every,
        eval_after=min(eval_after, steps - eval_every),
        patience=patience,
        start=start,
    )


def summarize(result: FitResult, scaling: Scaling) -> NetworkFit:
    """What is kept of a fit."""
    return NetworkFit(
        result.params, scaling, result.final_loss, result.best_step, result.diverged, result.first_bad_step
    )


def epoch(rows: int, batch_size: int) -> int:
    """Updates in one pass over the rows."""
    return max(rows // batch_size, 1)
