"""TARNet, CFR and BNN: one representation of the covariates for both arms, balanced between them.

Sources: Shalit, Johansson and Sontag (2017), "Estimating individual treatment effect: generalization bounds and
algorithms", ICML, and its released code's configuration for IHDP; Johansson, Shalit and Sontag (2016), "Learning
representations for counterfactual inference", ICML, for the network with one output.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from causalrep.effects.meta import EffectRows
from causalrep.effects.networks.fitting import NetworkFit, summarize, train
from causalrep.effects.networks.layers import fan_in_normal, features, head, squared_weights, unit_rows
from causalrep.effects.networks.learner import Heads, NetworkLearner
from causalrep.effects.networks.units import Units, split, standardize
from causalrep.keys import root
from causalrep.nn.discrepancies import linear_mmd, rbf_mmd, sinkhorn_wasserstein
from causalrep.training import Objective

Discrepancy = Literal["linear", "rbf", "wasserstein"]
DISCREPANCIES: Mapping[Discrepancy, Callable[..., Array]] = {
    "linear": linear_mmd,
    "rbf": rbf_mmd,
    "wasserstein": sinkhorn_wasserstein,
}
# Standard deviation of the first weights times sqrt(fan_in); updates after which the rate falls.
_INIT, _DECAY_EVERY = 0.1, 100


class CFRNetwork(nn.Module):
    """Representation and outcome heads.

    Attributes:
        representation: Widths of the representation's layers.
        heads: Hidden widths of a head.
        normalize: Divide each row of the representation by its Euclidean norm.
        split_output: One head an arm; otherwise one head that sees the treatment beside the representation.
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

    Minimises ``mean[w_i (y_i - h_{t_i}(Phi(x_i)))^2] + penalty / 2 |head weights|^2 + alpha D(Phi | t=0, t=1)`` with
    ``w_i = t_i / (2p) + (1 - t_i) / (2 (1 - p))``, p the share of treated. ``alpha = 0`` is TARNet.

    Ours, where the released code differs: the outcome is standardised; mini-batches run through a permutation of the
    rows; the validation rows are drawn within the arms.

    Attributes:
        representation: Widths of Phi.
        heads: Hidden widths of a head.
        alpha: Weight of the discrepancy between the arms.
        discrepancy: ``"linear"`` or ``"rbf"`` (maximum mean discrepancy), or ``"wasserstein"`` (Sinkhorn).
        split_output: One head an arm; False is the network of Johansson et al. (2016).
        normalize: Divide Phi by its norm, row by row.
        penalty: On the squared weights of the heads, biases excluded.
        representation_penalty: The same on those of Phi.
        steps: Updates.
        batch_size: Rows an update.
        learning_rate: Of Adam.
        decay: Factor on it every 100 updates.
        validation_share: Share of the rows that choose the best update, by the objective.
        eval_every: Updates between evaluations.
        eval_after: Updates before the first one counts.
        standardize: Standardise the covariates.
        outcome_units: Weigh ``alpha`` and ``penalty`` against errors in the outcome's own units, as the released code
            does, whose outcome is not standardised: for its values of them. Otherwise against standardised errors,
            whatever the units; the same ``alpha`` then balances more, and may leave nothing to predict with.
        seed: Root of all randomness, unless ``fit`` is given a key.
    """

    representation: tuple[int, ...] = (200, 200, 200)
    heads: tuple[int, ...] = (100, 100, 100)
    alpha: float = 0.0
    discrepancy: Discrepancy = "wasserstein"
    split_output: bool = True
    normalize: bool = True
    penalty: float = 1e-4
    representation_penalty: float = 0.0
    steps: int = 3000
    batch_size: int = 100
    learning_rate: float = 1e-3
    decay: float = 0.97
    validation_share: float = 0.3
    eval_every: int = 50
    eval_after: int = 200
    standardize: bool = True
    outcome_units: bool = False
    seed: int = 0

    @property
    def network(self) -> CFRNetwork:
        """The network."""
        return CFRNetwork(self.representation, self.heads, self.normalize, self.split_output)

    def fit(self, data: EffectRows, key: Key[Array, ""] | None = None) -> NetworkFit:
        """A network trained on the rows with weight; ``data.x`` must hold all covariates."""
        split_key, fit_key = jax.random.split(root(self.seed) if key is None else key)
        units, scaling = standardize(data.x, data.t, data.y, data.w, covariates=self.standardize)
        units = _balanced(units)
        if self.outcome_units:
            units = units._replace(w=units.w * (scaling.y_std**2).astype(units.w.dtype))
        training, validation = split(split_key, units, self.validation_share)
        result = train(
            cfr_objective(self),
            _optimizer(self.learning_rate, self.decay),
            training,
            validation,
            fit_key,
            steps=self.steps,
            batch_size=self.batch_size,
            eval_every=self.eval_every,
            eval_after=self.eval_after,
        )
        return summarize(result, scaling)


def _balanced(units: Units) -> Units:
    """Weights by which each arm counts half."""
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
            present = (batch.w > 0).astype(phi.dtype)
            metrics["discrepancy"] = discrepancy(phi, phi, present * batch.t, present * (1 - batch.t))
            total += method.alpha * metrics["discrepancy"]
        return total, metrics

    return Objective(lambda key, batch: network.init(key, batch.x), loss)


@lru_cache(maxsize=64)
def _optimizer(learning_rate: float, decay: float) -> optax.GradientTransformation:
    return optax.adam(optax.exponential_decay(learning_rate, _DECAY_EVERY, decay, staircase=True))
