"""IV-like regression with a network, trained on the IVL risk."""

from functools import lru_cache
from typing import ClassVar, get_args

import numpy as np
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Choice, Domain, Real, Whole, Widths
from causalrep.iv.ivl.kernel import SYMMETRY
from causalrep.iv.ivl.objective import Form, ivl_objective
from causalrep.iv.nonlinear.base import Fitted, NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData
from causalrep.iv.nonlinear.networks import (
    NO_INTERVAL,
    in_units,
    seeds_fitted,
    standardize,
    train_seeds,
)
from causalrep.nn import trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Schedule, check_schedule, plan_epochs
from causalrep.training.trained import Trained, trained

SCHEDULE = Schedule(epochs=100, batch_size=256, learning_rate=3e-3)


@lru_cache
def neural_ivl_objective(hidden: tuple[int, ...], alpha: float, form: Form) -> Objective:
    """The IVL risk of a perceptron; cached, because the training loop compiles once per objective object."""
    return ivl_objective(trained_mlp((*hidden, 1)), alpha=alpha, form=form)


def neural_ivl(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    alpha: float = 1.0,
    form: Form = "paper",
    hidden: tuple[int, ...] = (64, 64),
    schedule: Schedule | None = SCHEDULE,
) -> Trained:
    """Train a perceptron on ``r^T P r / n + alpha mean r^2`` over standardized data.

    Args:
        key: Random key of initialization and batches.
        y: Outcome.
        x: Treatments and controls.
        z: Instruments and controls; P projects a mini-batch's residuals on their columns.
        alpha: Weight of the ordinary risk.
        form: See :func:`~causalrep.iv.ivl.objective.ivl_objective`.
        hidden: Hidden widths.
        schedule: Training.
    """
    schedule = check_schedule(schedule, SCHEDULE)
    data, scaling = standardize(y, x, z)
    plan = plan_epochs(len(y), epochs=schedule.epochs, batch_size=schedule.batch_size)
    result = fit(
        neural_ivl_objective(hidden, alpha, form),
        adam(schedule.learning_rate),
        data,
        key,
        steps=plan.steps,
        batch_size=plan.batch_size,
    )
    return trained(result, scaling)


def neural_ivl_predict(
    fit: Trained, x: Float[Array, "n d"], *, hidden: tuple[int, ...] = (64, 64)
) -> Float[Array, " n"]:
    """The function at rows of treatments and controls."""
    net = trained_mlp((*hidden, 1))
    return in_units(fit, x, lambda params, inputs: net.apply(params, inputs)[:, 0])


class NeuralIVL(NonlinearIVEstimator):
    """Neural IV-like regression: a perceptron trained on ``r^T P r / n + alpha mean r^2``.

    P projects the residuals r of a mini-batch on the instruments, or on the augmentation's parameters.

    Args:
        alpha: Weight of the ordinary risk, at least 0; 0 is the generalized method of moments.
        form: ``"paper"``, or ``"legacy_gmm"``, ``mean(P r^2) + alpha mean r^2``, as the released code computes.
        hidden: Hidden widths.
        schedule: Training, by default 100 epochs in batches of 256 rows at a learning rate of 3e-3.
        seeds: Number of initializations trained together; the answer is the mean of their functions.
        seed: Random seed.

    Attributes:
        fit_: The :class:`~causalrep.training.trained.Trained` of the seeds that stayed finite, stacked.

    There is no interval: the networks' regularization and early stopping leave a bias of unknown size.

    Source: Akbar et al. (2025), arXiv 2510.25128, section 3 and equation 16.
    """

    _title = "Neural IV-like regression"
    _no_interval = NO_INTERVAL
    _assumptions = SYMMETRY
    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "alpha": Real(at_least=0),
        "form": Choice(*get_args(Form)),
        "hidden": Widths(empty=False),
        "schedule": InSchedule(SCHEDULE),
        "seeds": Whole(),
        "seed": Whole(None),
    }

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        form: Form = "paper",
        hidden: tuple[int, ...] = (64, 64),
        schedule: Schedule | None = SCHEDULE,
        seeds: int = 1,
        seed: int = 0,
    ):
        self.alpha = alpha
        self.form = form
        self.hidden = hidden
        self.schedule = schedule
        self.seeds = seeds
        self.seed = seed

    def _fit(self, data: NonlinearData) -> Fitted:
        network = {"hidden": tuple(self.hidden)}
        options = {"alpha": float(self.alpha), "form": self.form, "schedule": self.schedule}
        self.fit_ = train_seeds(self, neural_ivl, data, **options, **network)
        return seeds_fitted(neural_ivl_predict, self.fit_, **network)

    def predict_each(self, inputs: np.ndarray) -> np.ndarray:
        """The structural function of every seed (seeds, n), at rows of treatments, then controls."""
        with self._computing():
            return self._structural.each(inputs)
