"""Many small network fits in one replicated program, with the same numbers on any number of devices and hosts."""

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from causalrep.study import Curves, Monotone, Ordering, Study, Table, Within, grid
from causalrep.training import Objective, fit

FEATURES = 4
NOISE = 0.5  # standard deviation of the outcome around the truth
TEST_ROWS = 2000
LEARNING_RATE = 1e-2
# No fit can beat the truth on the test rows by this many standard errors by chance, not even the luckiest of a few
# hundred fits: only one standard normal variable in 30,000 is that large.
CHANCE = 4.0


class Network(nn.Module):
    """Two hidden layers and one output."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(rows, features) to (rows,)."""
        for _ in range(2):
            x = nn.tanh(nn.Dense(self.width)(x))
        return nn.Dense(1)(x)[:, 0]


@functools.cache
def network(width: int) -> tuple[Callable, Objective, optax.GradientTransformation]:
    """Apply function, squared-error objective and optimizer; cached, so that compiled programs are reused."""
    module = Network(width)

    def loss(params, key, batch):
        x, y = batch
        return jnp.mean((module.apply(params, x) - y) ** 2), {}

    return module.apply, Objective(lambda key, batch: module.init(key, batch[0]), loss), optax.adam(LEARNING_RATE)


def truth(x: jax.Array) -> jax.Array:
    """E[y | x]: a wave, a bowl and a product, which no line can follow, plus two slopes, which a line can."""
    return jnp.sin(2 * x[:, 0]) + 0.5 * x[:, 1] ** 2 + x[:, 0] * x[:, 2] + 0.5 * x[:, 2] - 0.5 * x[:, 3]


def replicate(key: jax.Array, setting: dict) -> dict:
    """Draws training and test rows, fits a network and a line, and scores both and the truth on the test rows."""
    train_key, test_key, fit_key = jax.random.split(key, 3)
    x, y = _draw(train_key, setting["samples"])
    x_test, y_test = _draw(test_key, TEST_ROWS)
    apply, objective, optimizer = network(setting["width"])
    fitted = fit(objective, optimizer, (x, y), fit_key, steps=setting["steps"], batch_size=setting["batch"])
    ones = jnp.ones((len(x), 1), x.dtype)
    line = jnp.linalg.lstsq(jnp.concatenate([ones, x], axis=1), y)[0]
    errors = {
        "truth": (y_test - truth(x_test)) ** 2,
        "network": (y_test - apply(fitted.params, x_test)) ** 2,
        "line": (y_test - line[0] - x_test @ line[1:]) ** 2,
    }
    scores = {method: {"error": jnp.mean(squared)} for method, squared in errors.items()}
    # The lead over the truth in its standard errors, over the pairs of squared errors at the same test rows.
    lead = errors["truth"] - errors["network"]
    scores["network"] |= {
        "lead": jnp.mean(lead) / (jnp.std(lead) / jnp.sqrt(TEST_ROWS)),
        "training_loss": fitted.final_loss,
        "diverged": fitted.diverged,
    }
    return scores


def _draw(key: jax.Array, rows: int) -> tuple[jax.Array, jax.Array]:
    x_key, noise_key = jax.random.split(key)
    x = jax.random.normal(x_key, (rows, FEATURES))
    return x, truth(x) + NOISE * jax.random.normal(noise_key, (rows,))


@dataclasses.dataclass(frozen=True)
class MLPFits:
    """Test error of a small network against a line and the noise floor, by the number of training rows.

    Attributes:
        fits: Fits per cell.
        samples: Numbers of training rows, one per cell.
        steps: Updates per fit.
        batch: Rows per update.
        width: Width of each of the two hidden layers.
        seed: Random seed.
    """

    fits: int = 64
    samples: tuple[int, ...] = (128, 512, 2048)
    steps: int = 200
    batch: int = 64
    width: int = 32
    seed: int = 0

    def study(self) -> Study:
        """The study: cells are numbers of training rows, replications are fits."""
        fixed = {"steps": self.steps, "batch": self.batch, "width": self.width}
        return Study(
            "scaling/mlp_fits",
            replicate,
            [{**row, **fixed} for row in grid(samples=self.samples)],
            self.fits,
            seed=self.seed,
            precision="float32",
            claims=(
                *(
                    Ordering(metric="error", methods=("truth", "network", "line"), where={"samples": samples})
                    for samples in self.samples
                ),
                Monotone(metric="error", method="network", along="samples", direction="decreasing"),
                Within(
                    aggregate="every",
                    metric="lead",
                    method="network",
                    high=CHANCE,
                    name="no network beats the truth by more than chance",
                ),
            ),
            tables=(Table(title="Mean squared error on test rows", metric="error", columns="samples"),),
            figures=(
                Curves(
                    x="samples",
                    metric="error",
                    title="Test error of small networks",
                    xlabel="training rows",
                    xscale="log",
                    hline=NOISE**2,
                ),
            ),
        )
