"""Fits of PersonaX's model by Adam."""

from jaxtyping import Array, Key

from causalrep.latent.personax.model import Measurements, MultimodalSpec
from causalrep.latent.personax.objective import Weights, multimodal_objective
from causalrep.training import FitResult, Schedule, fit
from causalrep.training.optimizers import adam

DEFAULT = Schedule(steps=3000, batch_size=256, learning_rate=1e-3)
EVALUATIONS = 20


def fit_multimodal(
    key: Key[Array, ""],
    spec: MultimodalSpec,
    train: Measurements,
    validation: Measurements,
    *,
    weights: Weights = Weights(),  # noqa: B008 - frozen
    schedule: Schedule = DEFAULT,
    evaluations: int = EVALUATIONS,
) -> FitResult:
    """Fit by Adam with gradients clipped to norm 1; pure, so it works under ``jit``.

    Args:
        key: Random key.
        spec: Sizes of the model.
        train: Standardized measurements.
        validation: Rows whose loss chooses the parameters.
        weights: Weights of the terms of the loss.
        schedule: Steps (a multiple of ``evaluations``), batch size, and the first learning rate, which falls to a tenth
            along a cosine.
        evaluations: Number of times the validation loss is computed.
    """
    schedule = schedule.over(DEFAULT)
    return fit(
        multimodal_objective(spec, weights),
        adam(schedule.learning_rate, clip=1.0, cosine_steps=schedule.steps, floor=0.1),
        train,
        key,
        steps=schedule.steps,
        batch_size=schedule.batch_size,
        validation=validation,
        eval_every=schedule.steps // evaluations,
    )
