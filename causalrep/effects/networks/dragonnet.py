"""DragonNet: a representation that must also predict the treatment, with targeted regularization.

Source: Shi, Blei and Veitch (2019), "Adapting neural networks for the estimation of treatment effects", NeurIPS, and
its released code.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Real, Whole, Widths
from causalrep.effects.aipw import CROSS_FITTING
from causalrep.effects.base import EffectEstimator
from causalrep.effects.learners import fit_learner, learner_notes, predict_effects
from causalrep.effects.meta import EffectRows
from causalrep.effects.networks.estimation import (
    WhenRead,
    estimate_network,
    network_facts,
    network_interval,
)
from causalrep.effects.networks.layers import features, head, squared_weights
from causalrep.effects.networks.learner import Heads, NetworkLearner, run, split_within_arms
from causalrep.effects.networks.units import Units, standardize
from causalrep.effects.regressions.linear import LOGISTIC
from causalrep.effects.scores import CLIP
from causalrep.keys import root
from causalrep.training import Objective
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Schedule, check_schedule
from causalrep.training.trained import Trained, trained

SCHEDULE = Schedule(epochs=100, batch_size=64, learning_rate=1e-3, validation_share=0.2)
# Passes without improvement that end the phase of Adam, and that of gradient descent.
_PATIENCE = 2, 40
_NORMAL = nn.initializers.normal(0.05)
_GLOROT = nn.initializers.glorot_uniform()
# Propensities are moved away from 0 and 1: (g + a) / (1 + 2a), in the cross entropy and the targeted regularization.
_BCE_MARGIN, _TARGET_MARGIN = 0.001, 0.01


class DragonNetwork(nn.Module):
    """Representation, two outcome heads, and a propensity head of one unit.

    Attributes:
        representation: Widths of the representation's layers.
        heads: Hidden widths of an outcome head.
    """

    representation: tuple[int, ...]
    heads: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> Heads:
        """Outcomes under control and treatment, the representation, and the log odds of treatment."""
        phi = features(self.representation, _NORMAL, "representation")(x)
        arms = [head(self.heads, _GLOROT, f"head_{arm}")(phi) for arm in (0, 1)]
        logit = nn.Dense(1, kernel_init=_GLOROT, name="propensity")(phi)[:, 0]
        # Not used here: the targeted regularization reads it from the parameters.
        self.param("epsilon", _NORMAL, ())
        return Heads(jnp.concatenate(arms, axis=1), phi, logit)


@dataclass(frozen=True)
class DragonLearner(NetworkLearner):
    """DragonNet, a learner of ``tau(x)`` as those of :mod:`causalrep.effects.meta` are.

    Minimizes over batches, in *sums*, ``(y - Q_t)^2 + BCE(t, g) + targeted (y - Q_t - epsilon h)^2`` with
    ``h = t/g - (1-t)/(1-g)``, plus ``penalty |outcome heads' weights|^2``: first by Adam, then by slow gradient descent
    with Nesterov's momentum.

    Where the released code differs from ours: here the parameters with the best validation loss are kept instead of the
    last ones, the learning rates do not halve on plateaus, and the validation rows are drawn within the arms.

    Attributes:
        representation: Widths of the representation.
        heads: Hidden widths of an outcome head.
        targeted: Weight of the targeted regularization; 0 is DragonNet without it.
        penalty: Penalty on the squared weights of the outcome heads, biases excluded.
        schedule: The phase of Adam: its epochs (2 without improvement end it) and learning rate; and for both phases
            the batch size and the share of the validation rows, which select the parameters.
        sgd_epochs: Largest number of epochs of the second phase; 40 without improvement end it.
        sgd_rate: Learning rate of the second phase, for losses that are sums over a batch.
        standardize: Standardize the covariates.
        seed: Random seed, used if ``fit`` is not given a key.
    """

    representation: tuple[int, ...] = (200, 200, 200)
    heads: tuple[int, ...] = (100, 100)
    targeted: float = 1.0
    penalty: float = 0.01
    schedule: Schedule = SCHEDULE
    sgd_epochs: int = 300
    sgd_rate: float = 1e-5
    standardize: bool = True
    seed: int = 0

    @property
    def network(self) -> DragonNetwork:
        """Representation and heads."""
        return DragonNetwork(self.representation, self.heads)

    def fit(self, data: EffectRows, key: Key[Array, ""] | None = None) -> Trained:
        """A network trained on the rows with weight; ``data.x`` must hold all covariates."""
        schedule = check_schedule(self.schedule, SCHEDULE)
        split_key, *phase_keys = jax.random.split(root(self.seed) if key is None else key, 3)
        units, scalings = standardize(data.x, data.t, data.y, data.w, covariates=self.standardize)
        training, validation = split_within_arms(split_key, units, schedule.validation_share)
        optimizers = adam(schedule.learning_rate), _nesterov(self.sgd_rate)
        epochs = schedule.epochs, self.sgd_epochs
        per_epoch = max(len(training.y) // schedule.batch_size, 1)
        result: Any = None
        for optimizer, count, patience, phase_key in zip(optimizers, epochs, _PATIENCE, phase_keys, strict=True):
            if count == 0:
                continue
            result = run(
                dragonnet_objective(self),
                optimizer,
                training,
                validation,
                phase_key,
                steps=count * per_epoch,
                batch_size=schedule.batch_size,
                eval_every=per_epoch,
                patience=patience,
                start=None if result is None else result.params,
            )
        return trained(result, scalings)

    def propensity(self, params: Trained, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Probability of treatment."""
        return jax.nn.sigmoid(self._apply(params, x).logit)

    def average(self, params: Trained, x: Float[Array, "m d"], clip: float = _TARGET_MARGIN) -> Float[Array, ""]:
        """The paper's average effect: the mean of ``Q_1 - Q_0`` over units with propensity in ``[clip, 1 - clip]``."""
        g = self.propensity(params, x)
        used = ((g >= clip) & (g <= 1 - clip)).astype(x.dtype)
        return jnp.sum(used * self.predict(params, x)) / jnp.maximum(jnp.sum(used), 1)


@lru_cache(maxsize=64)
def dragonnet_objective(method: DragonLearner) -> Objective:
    """The objective of :class:`DragonLearner` on batches of :class:`~causalrep.effects.networks.units.Units`.

    A batch larger than ``batch_size``, such as the validation rows, counts as one of that size, so that penalty and
    fit weigh there what they weigh in training.
    """
    network, batch_size = method.network, check_schedule(method.schedule, SCHEDULE).batch_size

    def loss(params, key, batch: Units):
        del key
        arms, _, logit = network.apply(params, batch.x)
        predicted = jnp.where(batch.t > 0, arms[:, 1], arms[:, 0])
        g = jax.nn.sigmoid(logit)
        size = min(batch_size, len(batch.y))
        risk = size * jnp.mean(batch.w * (batch.y - predicted) ** 2)
        inner = (g + _BCE_MARGIN) / (1 + 2 * _BCE_MARGIN)
        entropy = -jnp.where(batch.t > 0, jnp.log(inner), jnp.log1p(-inner))
        total = risk + size * jnp.mean(batch.w * entropy)
        total += method.penalty * squared_weights(params, ("head_0", "head_1"))
        if method.targeted:
            g = (g + _TARGET_MARGIN) / (1 + 2 * _TARGET_MARGIN)
            h = batch.t / g - (1 - batch.t) / (1 - g)
            perturbed = predicted + params["params"]["epsilon"] * h
            total += method.targeted * size * jnp.mean(batch.w * (batch.y - perturbed) ** 2)
        return total, {"risk": risk}

    return Objective(lambda key, batch: network.init(key, batch.x), loss)


@lru_cache(maxsize=64)
def _nesterov(learning_rate: float) -> optax.GradientTransformation:
    return optax.sgd(learning_rate, momentum=0.9, nesterov=True)


class DragonNet(EffectEstimator):
    """DragonNet: the representation also predicts the treatment, with targeted regularization.

    ``effect(X)`` is the network's. ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW), as for every learner
    here; :meth:`~causalrep.effects.networks.DragonLearner.average` is the paper's plug-in.

    Args:
        representation: Widths of the shared layers.
        heads: Hidden widths of an outcome head.
        targeted: Weight of the targeted regularization; 0 leaves it out.
        penalty: Penalty on the squared weights of the outcome heads, relative to losses summed over a batch.
        schedule: The phase of Adam: its largest number of epochs and learning rate; and for both phases the batch size
            and the share of the validation rows, which select the parameters.
        sgd_epochs: Largest number of epochs of slow gradient descent after it.
        propensity: Regression of the treatment, for the averages.
        cv: Number of folds for cross-fitting, for the averages.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Random seed. Effects differ between seeds by a tenth and more: fit several.

    Attributes:
        params_: The trained network (:class:`~causalrep.training.trained.Trained`).
        propensity_: Out-of-fold propensities (n,).
        nuisances_: Out-of-fold propensities and outcomes, of ``cv`` further networks (trained when first read).
        scores_: The doubly robust scores (n,).
        folds_: Fold codes (n,).

    Source: Shi, Blei and Veitch (2019), NeurIPS. See :class:`~causalrep.effects.networks.DragonLearner`.
    """

    _title = "DragonNet"
    _domains = CROSS_FITTING | {
        "representation": Widths(empty=False),
        "heads": Widths(empty=False),
        "targeted": Real(at_least=0),
        "penalty": Real(at_least=0),
        "schedule": InSchedule(SCHEDULE),
        "sgd_epochs": Whole(),
    }
    _regressions = ("propensity",)

    def __init__(
        self,
        *,
        representation=(200, 200, 200),
        heads=(100, 100),
        targeted=1.0,
        penalty=0.01,
        schedule=SCHEDULE,
        sgd_epochs=300,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        self.representation, self.heads = representation, heads
        self.targeted, self.penalty = targeted, penalty
        self.schedule, self.sgd_epochs = schedule, sgd_epochs
        self.propensity, self.cv, self.clip, self.seed = propensity, cv, clip, seed

    def _core(self) -> DragonLearner:
        return DragonLearner(
            representation=tuple(self.representation),
            heads=tuple(self.heads),
            targeted=float(self.targeted),
            penalty=float(self.penalty),
            schedule=check_schedule(self.schedule, SCHEDULE),
            sgd_epochs=self.sgd_epochs,
        )

    fit, effect, effect_interval = fit_learner, predict_effects, network_interval
    ate_, att_, nuisances_, scores_ = WhenRead(), WhenRead(), WhenRead(), WhenRead()
    _estimate = estimate_network
    _summary_facts, _summary_notes = network_facts, learner_notes
