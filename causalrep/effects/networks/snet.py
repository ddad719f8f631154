"""SNet: separate representations of the covariates for the outcomes, the treatment, and both.

Five representations: shared by both outcomes, specific to each outcome, specific to the treatment, and shared by all
three.

Source: Curth and van der Schaar (2021), "Nonparametric estimation of heterogeneous treatment effects: from theory to
learning algorithms", AISTATS; widths and rates as in its software CATENets.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from causalrep.base.domains import Real, Widths
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
from causalrep.effects.networks.learner import Heads, NetworkLearner, train
from causalrep.effects.networks.units import Units, standardize
from causalrep.effects.regressions.linear import LOGISTIC
from causalrep.effects.scores import CLIP
from causalrep.keys import root
from causalrep.training import Objective
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Schedule, check_schedule
from causalrep.training.trained import Trained

SCHEDULE = Schedule(steps=5000, batch_size=100, learning_rate=1e-4, validation_share=0.3)
# What each representation feeds: c all heads, o both outcomes, m0 and m1 one outcome, w the propensity.
REPRESENTATIONS = ("c", "o", "m0", "m1", "w")
_HEADS = ("head_0", "head_1", "propensity")
_GLOROT = nn.initializers.glorot_normal()


class SNetwork(nn.Module):
    """Five representations, two outcome heads and a propensity head.

    Attributes:
        large: Widths of the layers of ``c`` and ``w``.
        small: Widths of those of ``o``, ``m0`` and ``m1``.
        heads: Hidden widths of a head.
    """

    large: tuple[int, ...]
    small: tuple[int, ...]
    heads: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> Heads:
        """Outcomes under control and treatment, the shared representation, and the log odds of treatment."""
        c, o, m0, m1, w = (
            features(self.large if name in "cw" else self.small, _GLOROT, name)(x) for name in REPRESENTATIONS
        )
        inputs = (jnp.concatenate(parts, axis=1) for parts in ((c, o, m0), (c, o, m1), (c, w)))
        y0, y1, logit = (head(self.heads, _GLOROT, name)(part) for name, part in zip(_HEADS, inputs, strict=True))
        return Heads(jnp.concatenate([y0, y1], axis=1), c, logit[:, 0])


@dataclass(frozen=True)
class SNetLearner(NetworkLearner):
    """SNet, a learner of ``tau(x)`` as those of :mod:`causalrep.effects.meta` are.

    Minimizes ``mean[(y - mu_t)^2] + mean[BCE(t, g)] + penalty / 2 |weights|^2 + orthogonal sum_{r<s} <a_r, a_s>``,
    where ``a_r`` holds for each covariate the sum of the absolute first-layer weights of representation r: the last
    term penalizes covariates that two representations use.

    Where the software differs from ours: here the outcome is standardized, the validation rows are drawn within the
    arms, and the best evaluation of a training of fixed length is kept, instead of up to 10,000 epochs with early
    stopping.

    Attributes:
        large: Widths of the representations ``c`` (shared by all) and ``w`` (treatment alone).
        small: Widths of those of the outcomes, ``o``, ``m0`` and ``m1``.
        heads: Hidden widths of a head.
        penalty: Penalty on squared weights, biases excluded.
        orthogonal: Weight of the orthogonality penalty.
        schedule: Steps, batch size, learning rate and share of the validation rows, which select the parameters.
        eval_every: Updates between evaluations.
        eval_after: Updates before the first one counts.
        standardize: Standardize the covariates.
        seed: Random seed, used if ``fit`` is not given a key.
    """

    large: tuple[int, ...] = (100, 100, 100)
    small: tuple[int, ...] = (50, 50, 50)
    heads: tuple[int, ...] = (100, 100)
    penalty: float = 1e-4
    orthogonal: float = 0.01
    schedule: Schedule = SCHEDULE
    eval_every: int = 50
    eval_after: int = 200
    standardize: bool = True
    seed: int = 0

    @property
    def network(self) -> SNetwork:
        """Representations and heads."""
        return SNetwork(self.large, self.small, self.heads)

    def fit(self, data: EffectRows, key: Key[Array, ""] | None = None) -> Trained:
        """A network trained on the rows with weight; ``data.x`` must hold all covariates."""
        schedule, key = check_schedule(self.schedule, SCHEDULE), root(self.seed) if key is None else key
        units, scalings = standardize(data.x, data.t, data.y, data.w, covariates=self.standardize)
        optimizer, after = adam(schedule.learning_rate), self.eval_after
        return train(
            snet_objective(self),
            optimizer,
            units,
            scalings,
            key,
            schedule,
            eval_every=self.eval_every,
            eval_after=after,
        )

    def propensity(self, params: Trained, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Probability of treatment."""
        return jax.nn.sigmoid(self._apply(params, x).logit)


@lru_cache(maxsize=64)
def snet_objective(method: SNetLearner) -> Objective:
    """The objective of :class:`SNetLearner` on batches of :class:`~causalrep.effects.networks.units.Units`."""
    network = method.network

    def loss(params, key, batch: Units):
        del key
        arms, _, logit = network.apply(params, batch.x)
        predicted = jnp.where(batch.t > 0, arms[:, 1], arms[:, 0])
        risk = jnp.mean(batch.w * (batch.y - predicted) ** 2)
        entropy = jnp.mean(batch.w * optax.sigmoid_binary_cross_entropy(logit, batch.t))
        overlap = orthogonality(params)
        total = risk + entropy + 0.5 * method.penalty * squared_weights(params, (*REPRESENTATIONS, *_HEADS))
        return total + method.orthogonal * overlap, {"risk": risk, "orthogonality": overlap}

    return Objective(lambda key, batch: network.init(key, batch.x), loss)


def orthogonality(params: PyTree) -> Float[Array, ""]:
    """``sum_{r<s} <a_r, a_s>`` over the representations: how much they use the same covariates."""
    used = [jnp.sum(jnp.abs(params["params"][name]["Dense_0"]["kernel"]), axis=1) for name in REPRESENTATIONS]
    return sum(jnp.dot(one, other) for one, other in combinations(used, 2))


class SNet(EffectEstimator):
    """SNet: five representations of the covariates, for the outcomes, the treatment and both.

    One is shared by both outcomes, one specific to each outcome, one specific to the treatment, and one shared by all
    three. ``effect(X)`` is the network's; ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW).

    Args:
        large: Widths of the representation shared by all and of that of the treatment.
        small: Widths of the representations of the outcomes.
        heads: Hidden widths of a head.
        penalty: Penalty on squared weights.
        orthogonal: Weight of the penalty on covariates that several representations use.
        schedule: Steps, batch size, learning rate and share of the validation rows, which select the parameters.
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

    Source: Curth and van der Schaar (2021), AISTATS. See :class:`~causalrep.effects.networks.SNetLearner`.
    """

    _title = "SNet"
    _domains = CROSS_FITTING | {
        "large": Widths(empty=False),
        "small": Widths(empty=False),
        "heads": Widths(),
        "penalty": Real(at_least=0),
        "orthogonal": Real(at_least=0),
        "schedule": InSchedule(SCHEDULE),
    }
    _regressions = ("propensity",)

    def __init__(
        self,
        *,
        large=(100, 100, 100),
        small=(50, 50, 50),
        heads=(100, 100),
        penalty=1e-4,
        orthogonal=0.01,
        schedule=SCHEDULE,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        self.large, self.small, self.heads = large, small, heads
        self.penalty, self.orthogonal, self.schedule = penalty, orthogonal, schedule
        self.propensity, self.cv, self.clip, self.seed = propensity, cv, clip, seed

    def _core(self) -> SNetLearner:
        return SNetLearner(
            large=tuple(self.large),
            small=tuple(self.small),
            heads=tuple(self.heads),
            penalty=float(self.penalty),
            orthogonal=float(self.orthogonal),
            schedule=check_schedule(self.schedule, SCHEDULE),
        )

    fit, effect, effect_interval = fit_learner, predict_effects, network_interval
    ate_, att_, nuisances_, scores_ = WhenRead(), WhenRead(), WhenRead(), WhenRead()
    _estimate = estimate_network
    _summary_facts, _summary_notes = network_facts, learner_notes
