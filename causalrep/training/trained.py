"""What a method keeps after training, and the error if training diverged."""

from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int, PyTree

from causalrep.errors import DivergenceError
from causalrep.training.loop import FitResult


class Trained(NamedTuple):
    """A trained network, with everything needed to use it; a pytree.

    Attributes:
        params: The network's parameters, and closed-form coefficients where the method has them.
        scaling: The scaling of each block of the data (:class:`~causalrep.training.rows.Scaling`).
        loss: The loss that selected ``params``, on the validation rows if there are any, in training units.
        best_step: Number of updates that led to ``params``.
        diverged: Whether some loss or gradient was not finite; ``params`` are then those before it.
        first_bad_step: The update at which that happened, or -1.
        extra: Other results of the method, for example scores of the validation rows.
    """

    params: PyTree
    scaling: PyTree
    loss: Float[Array, ""]
    best_step: Int[Array, ""]
    diverged: Bool[Array, ""]
    first_bad_step: Int[Array, ""]
    extra: PyTree = ()


def trained(result: FitResult, scaling: PyTree = (), *, params: PyTree | None = None, extra: PyTree = ()) -> Trained:
    """The :class:`Trained` of a fit.

    Args:
        result: The fit.
        scaling: The scaling of the data.
        params: Parameters to keep instead of those of ``result``.
        extra: Other results of the method.
    """
    params = result.params if params is None else params
    return Trained(params, scaling, result.final_loss, result.best_step, result.diverged, result.first_bad_step, extra)


def refuse_divergence(result: Any, estimator: Any) -> None:
    """Raise an error if training met a loss or gradient that is not finite.

    Args:
        result: A :class:`Trained` or :class:`~causalrep.training.FitResult`.
        estimator: The estimator, shown in the message.

    Raises:
        DivergenceError: If ``result.diverged``; it holds the last finite parameters.
    """
    if bool(result.diverged):
        raise DivergenceError(
            f"{estimator!r}: the loss or its gradient was not finite at update {int(result.first_bad_step)}. Lower "
            "schedule.learning_rate, or look for extreme values in the data.",
            step=int(result.first_bad_step),
            params=result.params,
        )
