"""Shared code of the neural estimators: standardized data, and several seeds trained as one program."""

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.errors import DivergenceError, DivergenceWarning
from causalrep.iv.nonlinear.base import Fitted, NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData, shuffled
from causalrep.keys import derive, root
from causalrep.training.rows import Scaling, scaling_of
from causalrep.training.trained import Trained

NO_INTERVAL = (
    "the networks' regularization and early stopping leave a bias of unknown size; seeds differ by initialization "
    "alone, so their spread is not sampling error"
)
Static = tuple[tuple[str, Any], ...]


def standardize(
    y: Float[Array, " n"], x: Float[Array, "n d"], z: Float[Array, "n k"]
) -> tuple[dict[str, Float[Array, "n *d"]], dict[str, Scaling]]:
    """Standardize every column in float32, so that one learning rate suits data in any units.

    Returns:
        The data and their scaling, each by block: outcome ``y``, inputs ``x`` (treatments, controls) and instruments
        ``z`` (with controls).
    """
    chex.assert_rank([y, x, z], [1, 2, 2])
    chex.assert_equal_shape_prefix([y, x, z], 1)
    blocks = {name: jnp.asarray(block, jnp.float32) for name, block in {"y": y, "x": x, "z": z}.items()}
    scaling = {name: scaling_of(block) for name, block in blocks.items()}
    return {name: scaling[name].apply(block) for name, block in blocks.items()}, scaling


def in_units(
    fit: Trained, x: Float[Array, "n d"], function: Callable[[Any, Float[Array, "n d"]], Float[Array, " n"]]
) -> Float[Array, " n"]:
    """Evaluate ``function(params, inputs)``, which works on standardized data, in the units of the data."""
    inputs = fit.scaling["x"].apply(jnp.asarray(x, jnp.float32))
    return fit.scaling["y"].undo(function(fit.params, inputs))


def train_seeds(
    estimator: NonlinearIVEstimator, method: Callable[..., Trained], data: NonlinearData, **options: Any
) -> Trained:
    """Train ``estimator.seeds`` networks as one compiled program.

    Args:
        estimator: Supplies ``seed`` and ``seeds``, and its name for messages.
        method: A core ``(key, y, x, z, **options) -> Trained``.
        data: The checked data.
        **options: Hashable options of the core.

    Returns:
        The fits that stayed finite, as NumPy arrays with one row per seed.

    Raises:
        DivergenceError: If no fit stayed finite.
    """
    blocks = [block.astype(np.float32) for block in shuffled(estimator.seed, data.y, data.inputs, data.exogenous)]
    # The order of the rows has used up the root key.
    keys = jax.random.split(derive(root(estimator.seed), "fit"), estimator.seeds)
    return finite_seeds(estimator, jax.device_get(_program(method, tuple(options.items()))(keys, *blocks)))


def finite_seeds(estimator: NonlinearIVEstimator, fit: Trained) -> Trained:
    """The fits that stayed finite; a warning names the others.

    Raises:
        DivergenceError: If no fit stayed finite.
    """
    if not fit.diverged.any():
        return fit
    bad = np.flatnonzero(fit.diverged)
    steps = ", ".join(f"seed {seed} at update {fit.first_bad_step[seed]}" for seed in bad)
    sentence = f"{estimator!r}: the loss or its gradient was not finite ({steps})."
    if len(bad) < len(fit.diverged):
        warnings.warn(f"{sentence} The other seeds are used.", DivergenceWarning, stacklevel=5)
        return jax.tree.map(lambda leaf: leaf[~fit.diverged], fit)
    raise DivergenceError(
        f"{sentence} Lower schedule.learning_rate, or look for extreme values in the data. The last finite parameters "
        "are in the error's attribute params.",
        step=int(fit.first_bad_step[bad[0]]),
        params=fit.params,
    )


class SeedFunctions(NamedTuple):
    """The structural functions of all seeds; a call gives their mean.

    Attributes:
        method: The core's ``(fit, x, **options)``.
        fit: The fits, with one row per seed.
        options: Options of the core that describe the network.
    """

    method: Callable[..., Float[Array, " n"]]
    fit: Trained
    options: Static

    def each(self, inputs: np.ndarray) -> np.ndarray:
        """The function of every seed (seeds, n), at rows of treatments, then controls."""
        predict = _predictor(self.method, self.options)
        return np.asarray(predict(self.fit, np.asarray(inputs, np.float32)), np.float64)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """The mean over seeds (n,)."""
        return self.each(inputs).mean(axis=0)


def seeds_fitted(method: Callable[..., Float[Array, " n"]], fit: Trained, **options: Any) -> Fitted:
    """What ``_fit`` of a neural estimator returns, see :data:`~causalrep.iv.nonlinear.base.Fitted`."""
    losses = ", ".join(f"{loss:.4g}" for loss in np.atleast_1d(fit.loss)[:5])
    facts = [("Seeds", str(len(fit.loss))), ("Selection criterion", losses)]
    return SeedFunctions(method, fit, tuple(options.items())), facts


@lru_cache(maxsize=64)
def _program(method: Callable, static: Static) -> Callable:
    """One compiled program per method and set of hyperparameters, for many seeds on one data set."""
    return jax.jit(jax.vmap(partial(method, **dict(static)), in_axes=(0, None, None, None)))


@lru_cache(maxsize=64)
def _predictor(method: Callable, static: Static) -> Callable:
    return jax.jit(jax.vmap(partial(method, **dict(static)), in_axes=(0, None)))
