"""A multilayer perceptron as a nuisance regression, for any meta-learner."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from causalrep.base.domains import Domain, Flag, Real, Whole, Widths, check_fields
from causalrep.effects.networks.layers import head, squared_weights
from causalrep.effects.networks.learner import train
from causalrep.effects.networks.units import Units, standardize
from causalrep.keys import root
from causalrep.nn import MLP
from causalrep.training import Objective
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Schedule, check_schedule
from causalrep.training.trained import Trained

SCHEDULE = Schedule(steps=1000, batch_size=100, learning_rate=1e-3, validation_share=0.2)
_LECUN = nn.initializers.lecun_normal()


@dataclass(frozen=True)
class MLPRegression:
    """A multilayer perceptron with the interface of :class:`~causalrep.effects.regressions.linear.Ridge`.

    Covariates and outcome are standardized; ELU layers; Adam on the weighted squared error (or log loss) plus
    ``penalty / 2 |weights|^2``; the parameters with the lowest validation loss are kept. ``fit`` is pure, so it runs
    inside cross-fitting, the bootstrap and many replications as one program.

    Attributes:
        hidden: Hidden widths.
        binary: Whether the target is 0 or 1 and predictions are probabilities, as a propensity must be.
        penalty: Penalty on squared weights, biases excluded.
        schedule: Steps, batch size (rows of weight 0 included), learning rate and share of validation rows.
        seed: Random seed.

    >>> import jax, jax.numpy as jnp
    >>> x = jax.random.uniform(jax.random.key(0), (400, 1), minval=-2.0, maxval=2.0)
    >>> model = MLPRegression(hidden=(32,), schedule=Schedule(steps=600, learning_rate=1e-2))
    >>> params = jax.jit(model.fit)(x, jnp.sin(2 * x[:, 0]), jnp.ones(400))
    >>> model.predict(params, jnp.array([[0.8], [-0.8]])).round(0).tolist()
    [1.0, -1.0]
    """

    hidden: tuple[int, ...] = (100, 100)
    binary: bool = False
    penalty: float = 1e-4
    schedule: Schedule = SCHEDULE
    seed: int = 0
    _domains: ClassVar[dict[str, Domain]] = {
        "hidden": Widths(),
        "binary": Flag(),
        "penalty": Real(at_least=0),
        "schedule": InSchedule(SCHEDULE),
        "seed": Whole(None),
    }

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def probability(self) -> bool:
        """Whether predictions are probabilities."""
        return self.binary

    @property
    def network(self) -> MLP:
        """The perceptron, with one output."""
        return head(self.hidden, _LECUN, "regression")

    def fit(self, x: Float[Array, "n d"], y: Float[Array, " n"], w: Float[Array, " n"]) -> Trained:
        """A network trained on the rows with weight."""
        schedule = check_schedule(self.schedule, SCHEDULE)
        # One treatment arm: the split for validation is then at random over all rows.
        units, scalings = standardize(x, jnp.zeros_like(y), y, w, covariates=True)
        if self.binary:
            units = units._replace(y=jnp.where(w > 0, y, 0.0).astype(jnp.float32))
        optimizer = adam(schedule.learning_rate)
        return train(mlp_objective(self), optimizer, units, scalings, root(self.seed), schedule, eval_every=50)

    def predict(self, params: Trained, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """The regression function; the probability of 1 if ``binary``."""
        out = self.network.apply(params.params, params.scaling.inputs(x))[:, 0]
        return jax.nn.sigmoid(out).astype(x.dtype) if self.binary else params.scaling.outcomes(out)


@lru_cache(maxsize=64)
def mlp_objective(method: MLPRegression) -> Objective:
    """The objective of :class:`MLPRegression` on batches of ``Units``, whose treatment it ignores."""
    network = method.network

    def loss(params, key, batch: Units) -> tuple[Array, Mapping[str, Array]]:
        del key
        out = network.apply(params, batch.x)[:, 0]
        each = optax.sigmoid_binary_cross_entropy(out, batch.y) if method.binary else (batch.y - out) ** 2
        return jnp.mean(batch.w * each) + 0.5 * method.penalty * squared_weights(params), {}

    return Objective(lambda key, batch: network.init(key, batch.x), loss)
