"""DeepGMM's zoo: five IV estimators and two regressions on seven functions with strong confounding."""

import dataclasses
from functools import lru_cache, partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from causalrep.base.validation import check_range
from causalrep.data import agmm_zoo, zoo
from causalrep.data.simulators.iv.nonlinear import ZOO_FUNCTIONS, NonlinearIVSample
from causalrep.iv.nonlinear import (
    deep_gmm,
    deep_gmm_predict,
    deep_iv,
    deep_iv_predict,
    default_penalties,
    dfiv,
    dfiv_predict,
    kernel_predict,
    nystroem_kernel_iv,
    nystroem_kernel_mmr,
)
from causalrep.iv.nonlinear.networks import in_units, standardize
from causalrep.nn import MLP
from causalrep.study import Ordering, Study, Table, Within
from causalrep.training import Objective, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import Schedule, plan_epochs, split_rows
from causalrep.training.trained import trained

DIRECT = "Direct regression"
Method = Literal["DeepGMM", "DeepIV", "DFIV", "KIV (Nystroem)", "Kernel MMR", "Direct regression", "OLS"]
METHODS: tuple[Method, ...] = get_args(Method)
Function = Literal["abs", "sin", "step", "linear", "2dpoly", "3dpoly", "sigmoid"]


@dataclasses.dataclass(frozen=True)
class Zoo:
    """Mean squared error of the estimated structural function at 2,000 new treatments.

    Attributes:
        replications: Data sets per cell (paper: 10 fits of one data set).
        family: The zoo of the paper's code, or the one of adversarial GMM.
        functions: Structural functions.
        methods: Estimators to run.
        samples: Rows; half of them select DeepGMM's parameters (paper: 2,000 and 2,000).
        gmm_epochs: DeepGMM's passes over its training half (released code: up to 6,000).
        deep_iv_epochs: DeepIV's passes at each stage (its paper: 300).
        dfiv_updates: DFIV's updates of the treatment features (its released code: 100).
        landmarks: Number of landmarks of the kernel methods.
        seed: Random seed.
    """

    replications: int = 10
    family: Literal["zoo", "agmm"] = "zoo"
    functions: tuple[Function, ...] = ("linear", "abs", "step", "sin")
    methods: tuple[Method, ...] = METHODS
    samples: int = 4000
    gmm_epochs: int = 3000
    deep_iv_epochs: int = 30
    dfiv_updates: int = 100
    landmarks: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("samples", self.samples, at_least=2 * self.landmarks)
        for field in ("gmm_epochs", "deep_iv_epochs", "dfiv_updates", "landmarks"):
            check_range(field, getattr(self, field), at_least=1)

    def study(self) -> Study:
        """The study: cells are functions, replications are data sets."""
        return Study(
            name="iv/zoo",
            replicate=partial(replicate, config=self),
            settings=[{"function": name, "number": list(ZOO_FUNCTIONS).index(name)} for name in self.functions],
            replications=self.replications,
            # The program sees the number of the function and not its name, so one program serves all functions.
            traced=("number",),
            labels=("function",),
            claims=self._claims(),
            tables=self._tables(),
        )

    def _tables(self) -> tuple[Table, ...]:
        note = (
            f"{self.samples} rows. Direct regression is DeepGMM's network fitted by least squares. Errors are in units "
            "of the outcome, whose noise has variance 25.5 in the zoo and 4 in that of adversarial GMM."
        )
        title = "Mean squared error of the structural function"
        tables = [Table(title=title, metric="mse", columns="function", note=note)]
        if "linear" in self.functions:
            tables.append(
                Table(
                    title="Slope of a straight line through the estimate on linear, where the truth is 1",
                    metric="slope",
                    where={"function": "linear"},
                )
            )
        return tuple(tables)

    def _claims(self) -> tuple[Any, ...]:
        expected = [
            Ordering(
                metric="mse",
                methods=("DeepGMM", DIRECT),
                where={"function": function},
                source="card, section 8, item 4",
            )
            for function in ("linear", "abs", "step")
            if function in self.functions and {"DeepGMM", DIRECT} <= set(self.methods)
        ]
        if "linear" in self.functions and self.family == "zoo" and "OLS" in self.methods:
            expected.append(
                Within(
                    metric="slope",
                    method="OLS",
                    low=2.6,
                    high=2.73,
                    where={"function": "linear"},
                    name="slope: OLS near its limit 2.667 on linear",
                    source="card, section 8, item 4",
                )
            )
        return tuple(expected)


def replicate(key, setting, *, config: Zoo):
    """Errors of every method on one data set."""
    data_key, fit_key = jax.random.split(key)
    draw = {"zoo": zoo, "agmm": agmm_zoo}[config.family]
    # A traced number chooses the function: switch evaluates the branch with that index.
    function = partial(jax.lax.switch, setting["number"], list(ZOO_FUNCTIONS.values()))
    s = draw(data_key, n=config.samples, function=function)
    metrics = {}
    for method in config.methods:
        # Each method has its own key, so that leaving one out does not change the numbers of the others.
        estimate, facts = ESTIMATORS[method](jax.random.fold_in(fit_key, METHODS.index(method)), s, config)
        slope = _slope(s.test_t[:, 0], estimate)
        metrics[method] = {"mse": jnp.mean((estimate - s.test_f) ** 2), "slope": slope, **facts}
    return metrics


def _deep_gmm(key, s: NonlinearIVSample, config: Zoo):
    fitted = deep_gmm(key, s.y, s.t, s.z, schedule=Schedule(epochs=config.gmm_epochs))
    return deep_gmm_predict(fitted, s.test_t), {"diverged": fitted.diverged}


def _deep_iv(key, s: NonlinearIVSample, config: Zoo):
    fitted = deep_iv(key, s.y, s.t, s.z, schedule=Schedule(epochs=config.deep_iv_epochs))
    return deep_iv_predict(fitted, s.test_t), {"diverged": fitted.diverged}


def _dfiv(key, s: NonlinearIVSample, config: Zoo):
    fitted = dfiv(key, s.y, s.t, s.z, schedule=Schedule(steps=config.dfiv_updates))
    return dfiv_predict(fitted, s.test_t), {"diverged": fitted.diverged}


def _kiv(key, s: NonlinearIVSample, config: Zoo):
    penalties, mean = default_penalties(25), jnp.mean(s.y)
    fitted = nystroem_kernel_iv(s.y - mean, s.t, s.z, penalties, penalties, landmarks=config.landmarks)
    return kernel_predict(fitted, s.test_t) + mean, {}


def _kernel_mmr(key, s: NonlinearIVSample, config: Zoo):
    mean = jnp.mean(s.y)
    fitted = nystroem_kernel_mmr(s.y - mean, s.t, s.z, default_penalties(25), landmarks=config.landmarks)
    return kernel_predict(fitted, s.test_t) + mean, {}


def _ols(key, s: NonlinearIVSample, config: Zoo):
    return jnp.mean(s.y) + _slope(s.t[:, 0], s.y) * (s.test_t[:, 0] - jnp.mean(s.t)), {}


def _direct(key, s: NonlinearIVSample, config: Zoo):
    return direct_regression(key, s, epochs=config.gmm_epochs), {}


ESTIMATORS = {
    "DeepGMM": _deep_gmm,
    "DeepIV": _deep_iv,
    "DFIV": _dfiv,
    "KIV (Nystroem)": _kiv,
    "Kernel MMR": _kernel_mmr,
    DIRECT: _direct,
    "OLS": _ols,
}


def direct_regression(key: jax.Array, s: NonlinearIVSample, *, epochs: int) -> jax.Array:
    """Predictions at the test points by least squares with DeepGMM's network, split and number of epochs."""
    data, scaling = standardize(s.y, s.t, s.z)
    plan = plan_epochs(len(s.y), validation_share=0.5, epochs=epochs, batch_size=1024)
    train, held_out = split_rows({"x": data["x"], "y": data["y"]}, plan.rows)
    result = fit(
        _squared_error(),
        adam(1e-3),
        train,
        key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation=held_out,
        eval_every=plan.eval_every,
    )
    return in_units(trained(result, scaling), s.test_t, lambda params, t: _network().apply(params, t)[:, 0])


@lru_cache
def _network() -> MLP:
    return MLP((20, 3, 1), activation=partial(jax.nn.leaky_relu, negative_slope=0.01))


@lru_cache
def _squared_error() -> Objective:
    net = _network()

    def loss(params, key, batch):
        return jnp.mean((batch["y"] - net.apply(params, batch["x"])[:, 0]) ** 2), {}

    return Objective(lambda key, batch: net.init(key, batch["x"]), loss)


def _slope(x: jax.Array, y: jax.Array) -> jax.Array:
    x = x - jnp.mean(x)
    return jnp.sum(x * y) / jnp.sum(x * x)
