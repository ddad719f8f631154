"""IV-like regression with a network, trained on the IVL risk."""

from functools import lru_cache

import optax
from jaxtyping import Array, Float, Key

from causalrep.iv.ivl.objective import Form, ivl_objective
from causalrep.iv.nonlinear.training import (
    NeuralFit,
    scaled_inputs,
    standardize,
    summarize,
    unscaled_outcome,
)
from causalrep.nn import trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.rows import plan_epochs

Widths = tuple[int, ...]


@lru_cache
def neural_ivl_objective(hidden: Widths, alpha: float, form: Form) -> Objective:
    """The IVL risk of a perceptron; kept, so that the training loop compiles it once."""
    return ivl_objective(trained_mlp((*hidden, 1)), alpha=alpha, form=form)


_adam = lru_cache(optax.adam)


def neural_ivl(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    alpha: float = 1.0,
    form: Form = "paper",
    hidden: Widths = (64, 64),
    epochs: int = 100,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
) -> NeuralFit:
    """Train a perceptron on ``r^T P r / n + alpha mean r^2`` over standardised data.

    Args:
        key: Of initialisation and batches.
        y: Outcome.
        x: Treatments and controls.
        z: Instruments and controls; P projects a mini-batch's residuals on their columns.
        alpha: The penalty on the ordinary risk.
        form: See :func:`~causalrep.iv.ivl.objective.ivl_objective`.
        hidden: Hidden widths.
        epochs: Passes over the rows.
        batch_size: Rows a step.
        learning_rate: Of Adam.
    """
    data, scaling = standardize(y, x, z)
    plan = plan_epochs(len(y), validation_share=0.0, epochs=epochs, batch_size=batch_size)
    result = fit(
        neural_ivl_objective(hidden, alpha, form),
        _adam(learning_rate),
        data._asdict(),
        key,
        steps=plan.steps,
        batch_size=plan.batch_size,
    )
    return summarize(result, result.params, scaling)


def neural_ivl_predict(found: NeuralFit, x: Float[Array, "n d"], *, hidden: Widths = (64, 64)) -> Float[Array, " n"]:
    """The function at rows of treatments and controls."""
    outcome = trained_mlp((*hidden, 1)).apply(found.params, scaled_inputs(found.scaling, x))[:, 0]
    return unscaled_outcome(found.scaling, outcome)
