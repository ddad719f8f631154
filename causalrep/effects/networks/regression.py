"""A perceptron as a nuisance regression, for any meta-learner."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from causalrep.effects.networks.fitting import NetworkFit, summarize, train
from causalrep.effects.networks.layers import head, squared_weights
from causalrep.effects.networks.units import Units, inputs, outcomes, split, standardize
from causalrep.keys import root
from causalrep.nn import MLP
from causalrep.training import Objective

_LECUN = nn.initializers.lecun_normal()


@dataclass(frozen=True)
class MLPRegression:
    """A multilayer perceptron with the interface of :class:`~causalrep.effects.regressions.linear.Ridge`.

    Covariates and outcome are standardised; ELU layers; Adam on the weighted squared error (or log loss) plus
    ``penalty / 2 |weights|^2``; the update with the least validation loss is taken. Pure, so it runs inside
    cross-fitting, the bootstrap and many replications as one program.

    Attributes:
        hidden: Hidden widths.
        binary: The target is 0 or 1 and predictions are its probability, as a propensity must be.
        penalty: On squared weights, biases excluded.
        steps: Updates.
        batch_size: Rows an update, those of weight 0 among them.
        learning_rate: Of Adam.
        validation_share: Share of the rows that choose the best update.
        seed: Root of all randomness.

    >>> import jax, jax.numpy as jnp
    >>> x = jax.random.uniform(jax.random.key(0), (400, 1), minval=-2.0, maxval=2.0)
    >>> model = MLPRegression(hidden=(32,), steps=600, learning_rate=1e-2)
    >>> found = jax.jit(model.fit)(x, jnp.sin(2 * x[:, 0]), jnp.ones(400))
    >>> model.predict(found, jnp.array([[0.8], [-0.8]])).round(0).tolist()
    [1.0, -1.0]
    """

    hidden: tuple[int, ...] = (100, 100)
    binary: bool = False
    penalty: float = 1e-4
    steps: int = 1000
    batch_size: int = 100
    learning_rate: float = 1e-3
    validation_share: float = 0.2
    seed: int = 0

    @property
    def network(self) -> MLP:
        """The network."""
        return head(self.hidden, _LECUN, "regression")

    def fit(self, x: Float[Array, "n d"], y: Float[Array, " n"], w: Float[Array, " n"]) -> NetworkFit:
        """A network trained on the rows with weight."""
        split_key, fit_key = jax.random.split(root(self.seed))
        units, scaling = standardize(x, jnp.zeros_like(y), y, w, covariates=True)
        if self.binary:
            units = units._replace(y=jnp.where(w > 0, y, 0.0).astype(jnp.float32))
        training, validation = split(split_key, units, self.validation_share)
        result = train(
            mlp_objective(self),
            _optimizer(self.learning_rate),
            training,
            validation,
            fit_key,
            steps=self.steps,
            batch_size=self.batch_size,
            eval_every=min(50, self.steps),
        )
        return summarize(result, scaling)

    def predict(self, params: NetworkFit, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """The regression function; the probability of 1 if ``binary``."""
        out = self.network.apply(params.params, inputs(params.scaling, x))[:, 0]
        return jax.nn.sigmoid(out).astype(x.dtype) if self.binary else outcomes(params.scaling, out)


@lru_cache(maxsize=64)
def mlp_objective(method: MLPRegression) -> Objective:
    """The objective of :class:`MLPRegression`; the treatment in a batch of ``Units`` is not looked at."""
    network = method.network

    def loss(params, key, batch: Units) -> tuple[Array, Mapping[str, Array]]:
        del key
        out = network.apply(params, batch.x)[:, 0]
        each = optax.sigmoid_binary_cross_entropy(out, batch.y) if method.binary else (batch.y - out) ** 2
        return jnp.mean(batch.w * each) + 0.5 * method.penalty * squared_weights(params), {}

    return Objective(lambda key, batch: network.init(key, batch.x), loss)


@lru_cache(maxsize=64)
def _optimizer(learning_rate: float) -> optax.GradientTransformation:
    return optax.adam(learning_rate)
