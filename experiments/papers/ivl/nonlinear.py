"""The nonlinear simulation from the history of the IVL paper's repository: three functions, three symmetries."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from causalrep.base.validation import check_range
from causalrep.data import nonlinear_ivl
from causalrep.invariance import empirical_risk
from causalrep.invariance.objectives import predict
from causalrep.iv import ivl_objective
from causalrep.iv.ivl import kernel_ivl, select_kernel_ivl
from causalrep.iv.nonlinear import kernel_predict
from causalrep.nn import MLP
from causalrep.study import Ordering, Study, Table, grid
from causalrep.training import fit

FUNCTIONS = ("abs", "sin", "sign")
KERNEL_ALPHAS, KERNEL_PENALTIES = (1e-3, 1e2), (1e-6, 1e-1)
HELD_OUT = 0.2


@dataclasses.dataclass(frozen=True)
class NonlinearSimulation:
    """Confounded one-dimensional regression, E[Y|X] = f(X) + 2X, under an augmentation that does not change f.

    Attributes:
        replications: Samples per function.
        samples: Number of rows; the history of the repository does not say how many.
        epochs: Passes of the networks over the rows.
        batch: Rows per step.
        learning_rate: Adam's learning rate.
        hidden: Width of the hidden layer (repository: 20).
        alpha: IVL penalty of the network.
        candidates: Number of candidates for each of the two penalties of kernel IVL.
        seed: Random seed.
    """

    replications: int = 20
    samples: int = 500
    epochs: int = 200
    batch: int = 256
    learning_rate: float = 0.01
    hidden: int = 20
    alpha: float = 0.1
    candidates: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        for field in ("replications", "epochs", "batch", "hidden", "candidates"):
            check_range(field, getattr(self, field), at_least=1)
        check_range("samples", self.samples, at_least=20)
        check_range("learning_rate", self.learning_rate, above=0)
        check_range("alpha", self.alpha, above=0)

    def study(self) -> Study:
        """The study: one cell per function, samples as replications."""
        families = ("neural", "kernel")
        return Study(
            name="ivl/nonlinear",
            replicate=functools.partial(replicate, config=self),
            settings=grid(function=list(FUNCTIONS)),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            claims=tuple(
                Ordering(metric="ncer", methods=(f"{family} {method}", f"{family} ERM"), where={"function": name})
                for name in FUNCTIONS
                for family in families
                for method in ("DA+ERM", "DA+IVL")
            ),
            tables=(
                Table(
                    title="Nonlinear simulation: nCER",
                    metric="ncer",
                    columns="function",
                    note="0 is the true function, .5 a constant; the paper publishes no numbers.",
                ),
            ),
        )


def replicate(key, setting, *, config: NonlinearSimulation):
    """One sample of one function: the errors of the networks and of the kernel methods."""
    data_key, test_key, *keys = jax.random.split(key, 7)
    sample = nonlinear_ivl(data_key, setting["function"], n=config.samples)
    test = nonlinear_ivl(test_key, setting["function"], n=2000)
    # An error in the level of the function is no error in the effect, so both sides are centered.
    truth = test.structural - jnp.mean(test.structural)

    def ncer(prediction):
        error = jnp.mean(jnp.square(prediction - jnp.mean(prediction) - truth))
        return {"ncer": error / (error + jnp.mean(jnp.square(truth)))}

    x, gx, g, y = (a.reshape(config.samples, -1) for a in (sample.x, sample.gx, sample.g, sample.y))
    y, z = y[:, 0] - jnp.mean(y), g
    metrics = {}
    for name, inputs, alpha, fit_key in (
        ("ERM", x, None, keys[0]),
        ("DA+ERM", gx, None, keys[1]),
        ("DA+IVL", gx, config.alpha, keys[2]),
        ("DA+IV", gx, 0.0, keys[3]),
    ):
        model = MLP((config.hidden, 1), activation=functools.partial(nn.leaky_relu, negative_slope=0.2))
        scale = jnp.std(inputs)  # the augmentation of sign spans two orders of magnitude
        params = _train(fit_key, model, inputs / scale, y, z, alpha, config)
        metrics[f"neural {name}"] = ncer(predict(model, params, test.x[:, None] / scale))
    order = jax.random.permutation(keys[4], config.samples)
    y, x, gx, z = (a[order] for a in (y, x, gx, z))
    held_out = round(HELD_OUT * config.samples)
    penalties = jnp.logspace(*jnp.log10(jnp.array(KERNEL_PENALTIES)), config.candidates)
    far = jnp.array([1e6])  # kernel ridge regression
    alphas = jnp.logspace(*jnp.log10(jnp.array(KERNEL_ALPHAS)), config.candidates)
    for name, inputs, candidates in (("ERM", x, far), ("DA+ERM", gx, far), ("DA+IVL", gx, alphas)):
        alpha, penalty, _ = select_kernel_ivl(y, inputs, z, candidates, penalties, held_out=held_out, x_score=x)
        fitted = kernel_ivl(y, inputs, z, alpha=alpha, penalty=penalty)
        metrics[f"kernel {name}"] = ncer(kernel_predict(fitted, test.x[:, None]))
    return metrics


def _train(key, model, x, y, z, alpha, config):
    batch = min(config.batch, config.samples)
    objective = empirical_risk(model) if alpha is None else ivl_objective(model, alpha=alpha)
    steps = config.epochs * (config.samples // batch)
    data = {"x": x, "y": y, "z": z}
    return fit(objective, optax.adam(config.learning_rate), data, key, steps=steps, batch_size=batch).params
