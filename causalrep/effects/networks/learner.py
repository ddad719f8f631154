"""What the networks of this room share: their training from rows, and their predictions."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax
from jaxtyping import Array, Float, Key, PyTree

from causalrep.effects.networks.units import Scalings, Units
from causalrep.training import FitResult, Objective, fit
from causalrep.training.rows import Schedule, ceil_div, stratified_split
from causalrep.training.trained import Trained, trained


class Heads(NamedTuple):
    """A network's output.

    Attributes:
        arms: Standardized outcomes under control and treatment (n, 2).
        phi: The representation that both outcomes share (n, k).
        logit: Log odds of treatment (n,); None if the network has no propensity head.
    """

    arms: Float[Array, "n 2"]
    phi: Float[Array, "n k"]
    logit: Float[Array, " n"] | None = None


class NetworkLearner:
    """Base of the learners of ``tau(x)`` with one network; a subclass has ``network`` and ``fit(data, key)``.

    It meets the protocol :class:`~causalrep.effects.meta.MetaLearner`: without a key, ``fit`` uses ``seed``.
    """

    network: nn.Module

    @property
    def learners(self) -> tuple[Any, ...]:
        """The regressions it uses besides its own network: none."""
        return ()

    def outcomes(self, params: Trained, x: Float[Array, "m d"]) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """Expected outcomes without and with treatment, in the units of the data."""
        arms = self._apply(params, x).arms
        return params.scaling.outcomes(arms[:, 0]), params.scaling.outcomes(arms[:, 1])

    def predict(self, params: Trained, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Estimated effects."""
        mu0, mu1 = self.outcomes(params, x)
        return mu1 - mu0

    def _apply(self, params: Trained, x: Float[Array, "m d"]) -> Heads:
        return self.network.apply(params.params, params.scaling.inputs(x))


def split_within_arms(key: Key[Array, ""], units: Units, share: float) -> tuple[Units, Units]:
    """Rows for training and for validation, at random within the arms of the rows with weight and of those without."""
    return stratified_split(key, units, (units.t, units.w > 0), share)


def train(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    units: Units,
    scalings: Scalings,
    key: Key[Array, ""],
    schedule: Schedule,
    *,
    eval_every: int,
    eval_after: int = 0,
) -> Trained:
    """A network trained for ``schedule.steps`` updates on rows of which a share is kept for validation.

    Args:
        objective: What to minimize, on batches of :class:`Units`.
        optimizer: The optimizer.
        units: All rows.
        scalings: Their scalings.
        key: Random key of the split and the fit.
        schedule: Steps, batch size and share of validation rows.
        eval_every: Updates between evaluations.
        eval_after: Updates before the first evaluation that counts.
    """
    split_key, fit_key = jax.random.split(key)
    training, validation = split_within_arms(split_key, units, schedule.validation_share)
    result = run(
        objective,
        optimizer,
        training,
        validation,
        fit_key,
        steps=schedule.steps,
        batch_size=schedule.batch_size,
        eval_every=eval_every,
        eval_after=eval_after,
    )
    return trained(result, scalings)


def run(
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
    steps = eval_every * ceil_div(steps, eval_every)
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
