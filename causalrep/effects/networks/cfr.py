"""TARNet, CFR and BNN: one representation of the covariates for both arms, balanced between them.

The network, its objective and its fit come first (:class:`CFRLearner`), then the classes that an analyst uses.

Sources: Shalit, Johansson and Sontag (2017), "Estimating individual treatment effect: generalization bounds and
algorithms", ICML, and its released code's configuration for IHDP; Johansson, Shalit and Sontag (2016), "Learning
representations for counterfactual inference", ICML, for the network with one output.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Choice, Domain, Real, Widths
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
from causalrep.effects.networks.layers import fan_in_normal, features, head, squared_weights, unit_rows
from causalrep.effects.networks.learner import Heads, NetworkLearner, train
from causalrep.effects.networks.units import Units, standardize
from causalrep.effects.regressions.linear import LOGISTIC
from causalrep.effects.scores import CLIP
from causalrep.keys import root
from causalrep.nn.discrepancies import linear_mmd, rbf_mmd, sinkhorn_wasserstein
from causalrep.training import Objective
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Schedule, check_schedule
from causalrep.training.trained import Trained

Discrepancy = Literal["linear", "rbf", "wasserstein"]
DISCREPANCIES: Mapping[Discrepancy, Callable[..., Array]] = {
    "linear": linear_mmd,
    "rbf": rbf_mmd,
    "wasserstein": sinkhorn_wasserstein,
}
SCHEDULE = Schedule(steps=3000, batch_size=100, learning_rate=1e-3, validation_share=0.3)
# Standard deviation of the first weights times sqrt(fan_in); updates after which the learning rate falls.
_INIT, _DECAY_EVERY = 0.1, 100


class CFRNetwork(nn.Module):
    """Representation and outcome heads.

    Attributes:
        representation: Widths of the representation's layers.
        heads: Hidden widths of a head.
        normalize: Divide each row of the representation by its Euclidean norm.
        split_output: One head per arm; otherwise one head that takes the treatment next to the representation.
    """

    representation: tuple[int, ...]
    heads: tuple[int, ...]
    normalize: bool
    split_output: bool

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> Heads:
        """The representation Phi(x), and the outcomes under control and treatment."""
        init = fan_in_normal(_INIT)
        phi = features(self.representation, init, "representation")(x)
        phi = unit_rows(phi) if self.normalize else phi
        if self.split_output:
            arms = [head(self.heads, init, f"head_{arm}")(phi) for arm in (0, 1)]
        else:
            shared = head(self.heads, init, "head")
            arms = [shared(jnp.pad(phi, ((0, 0), (0, 1)), constant_values=arm)) for arm in (0.0, 1.0)]
        return Heads(jnp.concatenate(arms, axis=1), phi)


@dataclass(frozen=True)
class CFRLearner(NetworkLearner):
    """Counterfactual regression, a learner of ``tau(x)`` as those of :mod:`causalrep.effects.meta` are.

    Minimizes ``mean[w_i (y_i - h_{t_i}(Phi(x_i)))^2] + penalty / 2 |head weights|^2 + alpha D(Phi | t=0, t=1)`` with
    ``w_i = t_i / (2p) + (1 - t_i) / (2 (1 - p))``, where p is the share of treated. ``alpha = 0`` is TARNet.

    Where the released code differs from ours: here the outcome is standardized, mini-batches run through a permutation
    of the rows, and the validation rows are drawn within the arms.

    Attributes:
        representation: Widths of Phi.
        heads: Hidden widths of a head.
        alpha: Weight of the discrepancy between the arms.
        discrepancy: ``"linear"`` or ``"rbf"`` (maximum mean discrepancy), or ``"wasserstein"`` (Sinkhorn).
        split_output: One head per arm; False is the network of Johansson et al. (2016).
        normalize: Divide Phi by its norm, row by row.
        penalty: Penalty on the squared weights of the heads, biases excluded.
        representation_penalty: The same for the weights of Phi.
        schedule: Steps, batch size, learning rate and share of the validation rows, which select the parameters.
        decay: Factor on the learning rate every 100 updates.
        eval_every: Updates between evaluations.
        eval_after: Updates before the first one counts.
        standardize: Standardize the covariates.
        outcome_units: Weigh ``alpha`` and ``penalty`` against errors in the outcome's own units, as the released code
            does, whose outcome is not standardized: use it with its values of both. Otherwise they are weighed against
            standardized errors, whatever the units; the same ``alpha`` then balances more, and may remove all of the
            signal from the representation.
        seed: Random seed, used if ``fit`` is not given a key.
    """

    representation: tuple[int, ...] = (200, 200, 200)
    heads: tuple[int, ...] = (100, 100, 100)
    alpha: float = 0.0
    discrepancy: Discrepancy = "wasserstein"
    split_output: bool = True
    normalize: bool = True
    penalty: float = 1e-4
    representation_penalty: float = 0.0
    schedule: Schedule = SCHEDULE
    decay: float = 0.97
    eval_every: int = 50
    eval_after: int = 200
    standardize: bool = True
    outcome_units: bool = False
    seed: int = 0

    @property
    def network(self) -> CFRNetwork:
        """Representation and heads."""
        return CFRNetwork(self.representation, self.heads, self.normalize, self.split_output)

    def fit(self, data: EffectRows, key: Key[Array, ""] | None = None) -> Trained:
        """A network trained on the rows with weight; ``data.x`` must hold all covariates."""
        schedule, key = check_schedule(self.schedule, SCHEDULE), root(self.seed) if key is None else key
        units, scalings = standardize(data.x, data.t, data.y, data.w, covariates=self.standardize)
        units = _balanced(units)
        if self.outcome_units:
            units = units._replace(w=units.w * (scalings.y.std**2).astype(units.w.dtype))
        return train(
            cfr_objective(self),
            adam(schedule.learning_rate, decay=self.decay, decay_every=_DECAY_EVERY),
            units,
            scalings,
            key,
            schedule,
            eval_every=self.eval_every,
            eval_after=self.eval_after,
        )


def _balanced(units: Units) -> Units:
    """Weights with which each arm counts half."""
    share = jnp.sum(units.w * units.t) / jnp.sum(units.w)
    return units._replace(w=units.w * (units.t / (2 * share) + (1 - units.t) / (2 * (1 - share))))


@lru_cache(maxsize=64)
def cfr_objective(method: CFRLearner) -> Objective:
    """The objective of :class:`CFRLearner` on batches of :class:`Units` whose weights hold the ``w_i``."""
    network = method.network
    heads = ("head_0", "head_1") if method.split_output else ("head",)
    discrepancy = DISCREPANCIES[method.discrepancy]

    def loss(params, key, batch: Units):
        del key
        arms, phi, _ = network.apply(params, batch.x)
        predicted = jnp.where(batch.t > 0, arms[:, 1], arms[:, 0])
        risk = jnp.mean(batch.w * (batch.y - predicted) ** 2)
        total = risk + 0.5 * method.penalty * squared_weights(params, heads)
        metrics = {"risk": risk}
        if method.representation_penalty:
            total += 0.5 * method.representation_penalty * squared_weights(params, ("representation",))
        if method.alpha:
            # Rows that only pad the batch belong to neither arm.
            present = (batch.w > 0).astype(phi.dtype)
            metrics["discrepancy"] = discrepancy(phi, phi, present * batch.t, present * (1 - batch.t))
            total += method.alpha * metrics["discrepancy"]
        return total, metrics

    return Objective(lambda key, batch: network.init(key, batch.x), loss)


_DOMAINS: dict[str, Domain] = CROSS_FITTING | {
    "representation": Widths(empty=False),
    "heads": Widths(empty=False),
    "penalty": Real(at_least=0),
    "schedule": InSchedule(SCHEDULE),
}
_BALANCED = _DOMAINS | {"alpha": Real(at_least=0), "discrepancy": Choice(*DISCREPANCIES)}


def _core(estimator: EffectEstimator, **balancing: Any) -> CFRLearner:
    """The learner of a class below."""
    return CFRLearner(
        representation=tuple(estimator.representation),
        heads=tuple(estimator.heads),
        penalty=float(estimator.penalty),
        schedule=check_schedule(estimator.schedule, SCHEDULE),
        **balancing,
    )


def _balancing(estimator: EffectEstimator) -> dict[str, Any]:
    return {"alpha": float(estimator.alpha), "discrepancy": estimator.discrepancy}


class TARNet(EffectEstimator):
    """Treatment-agnostic representation network: shared layers, then one head per arm.

    ``effect(X)`` is the network's; ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW).

    Args:
        representation: Widths of the shared layers.
        heads: Hidden widths of a head.
        penalty: Penalty on the squared weights of the heads.
        schedule: Steps, batch size, learning rate (it falls by 3% every 100 updates) and share of the validation rows,
            which select the parameters.
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

    Source: Shalit, Johansson and Sontag (2017), ICML. See :class:`~causalrep.effects.networks.CFRLearner`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, noise, t = rng.uniform(-2, 2, 600), rng.normal(size=600), rng.integers(0, 2, 600)
    >>> model = TARNet(representation=(32,), heads=(32,), schedule=Schedule(steps=500))
    >>> model = model.fit(x + t * np.sin(2 * x) + 0.1 * noise, t, X=x)
    >>> np.sign(model.effect(np.array([-0.8, 0.8]))).tolist()
    [-1.0, 1.0]
    """

    _title = "TARNet"
    _domains = _DOMAINS
    _regressions = ("propensity",)

    def __init__(
        self,
        *,
        representation=(200, 200, 200),
        heads=(100, 100, 100),
        penalty=1e-4,
        schedule=SCHEDULE,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        self.representation, self.heads, self.penalty, self.schedule = representation, heads, penalty, schedule
        self.propensity, self.cv, self.clip, self.seed = propensity, cv, clip, seed

    def _core(self) -> CFRLearner:
        return _core(self)

    fit, effect, effect_interval = fit_learner, predict_effects, network_interval
    ate_, att_, nuisances_, scores_ = WhenRead(), WhenRead(), WhenRead(), WhenRead()
    _estimate = estimate_network
    _summary_facts, _summary_notes = network_facts, learner_notes


class CFRNet(EffectEstimator):
    """Counterfactual regression: :class:`TARNet` with a representation that is balanced between the arms.

    ``effect(X)`` is the network's; ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW).

    Args:
        alpha: Weight of the discrepancy between the arms.
        discrepancy: ``"linear"`` or ``"rbf"`` (maximum mean discrepancy), or ``"wasserstein"`` (Sinkhorn), which
            needs a smaller ``alpha``: its smoothing also pulls the units of one arm together, and relative to
            standardized errors 0.3 left the same effect for everyone on some replications of IHDP.
        representation: Widths of the shared layers.
        heads: Hidden widths of a head.
        penalty: Penalty on the squared weights of the heads.
        schedule: Steps, batch size, learning rate (it falls by 3% every 100 updates) and share of the validation rows,
            which select the parameters.
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

    Source: Shalit, Johansson and Sontag (2017), ICML. See :class:`~causalrep.effects.networks.CFRLearner`.
    """

    _title = "Counterfactual regression (CFR)"
    _domains = _BALANCED
    _regressions = ("propensity",)

    def __init__(
        self,
        *,
        alpha=0.3,
        discrepancy="linear",
        representation=(200, 200, 200),
        heads=(100, 100, 100),
        penalty=1e-4,
        schedule=SCHEDULE,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        self.alpha, self.discrepancy = alpha, discrepancy
        self.representation, self.heads, self.penalty, self.schedule = representation, heads, penalty, schedule
        self.propensity, self.cv, self.clip, self.seed = propensity, cv, clip, seed

    def _core(self) -> CFRLearner:
        return _core(self, **_balancing(self))

    fit, effect, effect_interval = fit_learner, predict_effects, network_interval
    ate_, att_, nuisances_, scores_ = WhenRead(), WhenRead(), WhenRead(), WhenRead()
    _estimate = estimate_network
    _summary_facts, _summary_notes = network_facts, learner_notes


class BNN(EffectEstimator):
    """Balancing neural network: one head that takes the treatment next to a balanced representation.

    ``effect(X)`` is the network's; ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW).

    Args:
        alpha: Weight of the discrepancy between the arms.
        discrepancy: ``"linear"`` or ``"rbf"`` (maximum mean discrepancy), or ``"wasserstein"`` (Sinkhorn).
        representation: Widths of the shared layers.
        heads: Hidden widths of the head.
        penalty: Penalty on the squared weights of the head.
        schedule: Steps, batch size, learning rate (it falls by 3% every 100 updates) and share of the validation rows,
            which select the parameters.
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

    Source: Johansson, Shalit and Sontag (2016), ICML. See :class:`~causalrep.effects.networks.CFRLearner`.
    """

    _title = "Balancing neural network (BNN)"
    _domains = _BALANCED
    _regressions = ("propensity",)

    def __init__(
        self,
        *,
        alpha=0.3,
        discrepancy="linear",
        representation=(200, 200, 200),
        heads=(100, 100, 100),
        penalty=1e-4,
        schedule=SCHEDULE,
        propensity=LOGISTIC,
        cv=5,
        clip=CLIP,
        seed=0,
    ):
        self.alpha, self.discrepancy = alpha, discrepancy
        self.representation, self.heads, self.penalty, self.schedule = representation, heads, penalty, schedule
        self.propensity, self.cv, self.clip, self.seed = propensity, cv, clip, seed

    def _core(self) -> CFRLearner:
        return _core(self, split_output=False, **_balancing(self))

    fit, effect, effect_interval = fit_learner, predict_effects, network_interval
    ate_, att_, nuisances_, scores_ = WhenRead(), WhenRead(), WhenRead(), WhenRead()
    _estimate = estimate_network
    _summary_facts, _summary_notes = network_facts, learner_notes
