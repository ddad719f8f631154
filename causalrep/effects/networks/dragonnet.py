"""DragonNet: a representation that must also predict the treatment, with targeted regularisation.

Source: Shi, Blei and Veitch (2019), "Adapting neural networks for the estimation of treatment effects", NeurIPS, and
its released code.
"""

from dataclasses import dataclass
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from causalrep.effects.meta import EffectRows
from causalrep.effects.networks.fitting import NetworkFit, epoch, summarize, train
from causalrep.effects.networks.layers import features, head, squared_weights
from causalrep.effects.networks.learner import Heads, PropensityLearner
from causalrep.effects.networks.units import Units, split, standardize
from causalrep.keys import root
from causalrep.training import Objective

_NORMAL = nn.initializers.normal(0.05)
_GLOROT = nn.initializers.glorot_uniform()
# Propensities move away from 0 and 1: (g + a) / (1 + 2a), in the cross entropy and in the targeted regularisation.
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
        """Outcomes under control and treatment, and the log odds of treatment."""
        phi = features(self.representation, _NORMAL, "representation")(x)
        arms = [head(self.heads, _GLOROT, f"head_{arm}")(phi) for arm in (0, 1)]
        logit = nn.Dense(1, kernel_init=_GLOROT, name="propensity")(phi)[:, 0]
        self.param("epsilon", _NORMAL, ())
        return Heads(jnp.concatenate(arms, axis=1), phi, logit)


@dataclass(frozen=True)
class DragonLearner(PropensityLearner):
    """DragonNet, a learner of ``tau(x)`` as those of :mod:`causalrep.effects.meta` are.

    Minimises over batches, in *sums*, ``(y - Q_t)^2 + BCE(t, g) + targeted (y - Q_t - epsilon h)^2`` with
    ``h = t/g - (1-t)/(1-g)``, plus ``penalty |outcome heads' weights|^2``: first by Adam, then by slow gradient descent
    with Nesterov's momentum.

    Ours, where the released code differs: parameters are those of the best validation loss, not the last ones; the
    learning rates do not halve on plateaus; the validation rows are drawn within the arms.

    Attributes:
        representation: Widths of the representation.
        heads: Hidden widths of an outcome head.
        targeted: Weight of the targeted regularisation; 0 is DragonNet without it.
        penalty: On the squared weights of the outcome heads, biases excluded.
        batch_size: Rows an update.
        adam_epochs: Passes of the first phase at most; 2 without improvement end it.
        sgd_epochs: Passes of the second phase at most; 40 without improvement end it.
        adam_rate: Learning rate of the first phase.
        sgd_rate: That of the second, next to sums over a batch.
        validation_share: Share of the rows that choose the best pass, by the objective.
        standardize: Standardise the covariates.
        seed: Root of all randomness, unless ``fit`` is given a key.
    """

    representation: tuple[int, ...] = (200, 200, 200)
    heads: tuple[int, ...] = (100, 100)
    targeted: float = 1.0
    penalty: float = 0.01
    batch_size: int = 64
    adam_epochs: int = 100
    sgd_epochs: int = 300
    adam_rate: float = 1e-3
    sgd_rate: float = 1e-5
    validation_share: float = 0.2
    standardize: bool = True
    seed: int = 0

    @property
    def network(self) -> DragonNetwork:
        """The network."""
        return DragonNetwork(self.representation, self.heads)

    def fit(self, data: EffectRows, key: Key[Array, ""] | None = None) -> NetworkFit:
        """A network trained on the rows with weight; ``data.x`` must hold all covariates."""
        split_key, *phase_keys = jax.random.split(root(self.seed) if key is None else key, 3)
        units, scaling = standardize(data.x, data.t, data.y, data.w, covariates=self.standardize)
        training, validation = split(split_key, units, self.validation_share)
        phases = (
            (optax.adam, self.adam_rate, self.adam_epochs, 2),
            (_nesterov, self.sgd_rate, self.sgd_epochs, 40),
        )
        steps, result = epoch(len(training.y), self.batch_size), None
        for phase_key, (optimizer, rate, epochs, patience) in zip(phase_keys, phases, strict=True):
            if epochs == 0:
                continue
            result = train(
                dragonnet_objective(self),
                _optimizer(optimizer, rate),
                training,
                validation,
                phase_key,
                steps=epochs * steps,
                batch_size=self.batch_size,
                eval_every=steps,
                patience=patience,
                start=None if result is None else result.params,
            )
        return summarize(result, scaling)

    def average(self, found: NetworkFit, x: Float[Array, "m d"], clip: float = _TARGET_MARGIN) -> Float[Array, ""]:
        """The paper's average effect: the mean of ``Q_1 - Q_0`` over units with propensity in ``[clip, 1 - clip]``."""
        g = self.propensity(found, x)
        used = ((g >= clip) & (g <= 1 - clip)).astype(x.dtype)
        return jnp.sum(used * self.predict(found, x)) / jnp.maximum(jnp.sum(used), 1)


@lru_cache(maxsize=64)
def dragonnet_objective(method: DragonLearner) -> Objective:
    """The objective of :class:`DragonLearner` on batches of :class:`~causalrep.effects.networks.units.Units`.

    A batch larger than ``batch_size``, such as the validation rows, counts as one of that size, so that penalty and
    fit weigh there what they weigh in training.
    """
    network = method.network

    def loss(params, key, batch: Units):
        del key
        arms, _, logit = network.apply(params, batch.x)
        predicted = jnp.where(batch.t > 0, arms[:, 1], arms[:, 0])
        g = jax.nn.sigmoid(logit)
        size = min(method.batch_size, len(batch.y))
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


def _nesterov(learning_rate: float) -> optax.GradientTransformation:
    return optax.sgd(learning_rate, momentum=0.9, nesterov=True)


@lru_cache(maxsize=64)
def _optimizer(make, learning_rate: float) -> optax.GradientTransformation:
    return make(learning_rate)
