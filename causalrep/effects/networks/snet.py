"""SNet: separate representations for what moves both outcomes, one of them, the treatment, or all.

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

from causalrep.effects.meta import EffectRows
from causalrep.effects.networks.fitting import NetworkFit, summarize, train
from causalrep.effects.networks.layers import features, head, squared_weights
from causalrep.effects.networks.learner import Heads, PropensityLearner
from causalrep.effects.networks.units import Units, split, standardize
from causalrep.keys import root
from causalrep.training import Objective

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
        """Outcomes under control and treatment, the shared representation, the log odds of treatment."""
        c, o, m0, m1, w = (
            features(self.large if name in "cw" else self.small, _GLOROT, name)(x) for name in REPRESENTATIONS
        )
        inputs = (jnp.concatenate(parts, axis=1) for parts in ((c, o, m0), (c, o, m1), (c, w)))
        y0, y1, logit = (head(self.heads, _GLOROT, name)(part) for name, part in zip(_HEADS, inputs, strict=True))
        return Heads(jnp.concatenate([y0, y1], axis=1), c, logit[:, 0])


@dataclass(frozen=True)
class SNetLearner(PropensityLearner):
    """SNet, a learner of ``tau(x)`` as those of :mod:`causalrep.effects.meta` are.

    Minimises ``mean[(y - mu_t)^2] + mean[BCE(t, g)] + penalty / 2 |weights|^2 + orthogonal sum_{r<s} <a_r, a_s>``,
    where ``a_r`` holds for each covariate the sum of the absolute first-layer weights of representation r: a covariate
    that two representations use costs.

    Ours: the outcome is standardised, the validation rows are drawn within the arms, and training has a fixed length
    from which the best evaluation is taken, instead of up to 10,000 passes with early stopping.

    Attributes:
        large: Widths of the representations of everything and of the treatment alone.
        small: Widths of those of the outcomes alone.
        heads: Hidden widths of a head.
        penalty: On squared weights, biases excluded.
        orthogonal: Weight of the orthogonality penalty.
        steps: Updates.
        batch_size: Rows an update.
        learning_rate: Of Adam.
        validation_share: Share of the rows that choose the best update, by the objective.
        eval_every: Updates between evaluations.
        eval_after: Updates before the first one counts.
        standardize: Standardise the covariates.
        seed: Root of all randomness, unless ``fit`` is given a key.
    """

    large: tuple[int, ...] = (100, 100, 100)
    small: tuple[int, ...] = (50, 50, 50)
    heads: tuple[int, ...] = (100, 100)
    penalty: float = 1e-4
    orthogonal: float = 0.01
    steps: int = 5000
    batch_size: int = 100
    learning_rate: float = 1e-4
    validation_share: float = 0.3
    eval_every: int = 50
    eval_after: int = 200
    standardize: bool = True
    seed: int = 0

    @property
    def network(self) -> SNetwork:
        """The network."""
        return SNetwork(self.large, self.small, self.heads)

    def fit(self, data: EffectRows, key: Key[Array, ""] | None = None) -> NetworkFit:
        """A network trained on the rows with weight; ``data.x`` must hold all covariates."""
        split_key, fit_key = jax.random.split(root(self.seed) if key is None else key)
        units, scaling = standardize(data.x, data.t, data.y, data.w, covariates=self.standardize)
        training, validation = split(split_key, units, self.validation_share)
        result = train(
            snet_objective(self),
            _optimizer(self.learning_rate),
            training,
            validation,
            fit_key,
            steps=self.steps,
            batch_size=self.batch_size,
            eval_every=self.eval_every,
            eval_after=self.eval_after,
        )
        return summarize(result, scaling)


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


@lru_cache(maxsize=64)
def _optimizer(learning_rate: float) -> optax.GradientTransformation:
    return optax.adam(learning_rate)
