"""Rows with the code of their environment, and a fit to them that keeps the best of several starts."""

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from causalrep.training import FitResult, Objective, Schedule, fit
from causalrep.training.optimizers import adam

DEFAULT = Schedule(steps=5000, batch_size=512, learning_rate=2e-3, restarts=1)
EVALUATIONS = 20
LARGEST_GRADIENT = 10.0


class CodedRows(NamedTuple):
    """Rows and the environments they come from.

    Attributes:
        x: Observations (n, p), float32, with mean 0 and standard deviation 1 over all rows; or windows of them.
        code: Environment or segment of each row (n,), from 0; 0 is the observational one where there is one.
        weight: Weight of each row (n,); weights have the same sum in every environment, and mean 1.
    """

    x: Float[Array, "n *p"]
    code: Int[Array, " n"]
    weight: Float[Array, " n"]


def coded_rows(x: Float[Array, "n *p"], code: Int[Array, " n"], environments: int) -> CodedRows:
    """Rows weighted so that every environment counts the same.

    Args:
        x: Observations, or windows of them.
        code: Environment of each row, from 0.
        environments: Number of environments.
    """
    code = jnp.asarray(code, jnp.int32)
    chex.assert_shape(code, (len(x),))
    counts = jnp.zeros(environments).at[code].add(1.0)
    weight = len(code) / (environments * counts[code])
    return CodedRows(jnp.asarray(x, jnp.float32), code, weight.astype(jnp.float32))


def hold_out(key: Key[Array, ""], rows: PyTree, share: float = 0.2) -> tuple[PyTree, PyTree]:
    """Rows in random order, cut in two: those to train on, and a share of at least one row for validation.

    Args:
        key: Random key of the order.
        rows: A pytree of arrays with the same number of rows.
        share: Share of the rows for validation.
    """
    n = len(jax.tree.leaves(rows)[0])
    order, count = jax.random.permutation(key, n), max(1, round(share * n))
    return jax.tree.map(lambda leaf: leaf[order[count:]], rows), jax.tree.map(lambda leaf: leaf[order[:count]], rows)


def fit_best(
    objective: Objective, schedule: Schedule, key: Key[Array, ""], train: CodedRows, validation: CodedRows
) -> FitResult:
    """Fit from several starts, one after the other, and keep the one with the lowest validation loss.

    The optimizer is Adam with gradients clipped to norm 10 and a learning rate that falls to zero along a cosine.

    Args:
        objective: What to minimize. Pass the same object for the same model, so that compiled programs are reused.
        schedule: Steps, batch size, learning rate and restarts; ``None`` fields take the values of :data:`DEFAULT`.
        key: Random key.
        train: Rows to train on.
        validation: Rows that choose the update and the start.

    Returns:
        The best fit. A start that diverged is kept only if all of them did.
    """
    return _fit_best(objective, schedule.over(DEFAULT), key, train, validation)


@partial(jax.jit, static_argnums=(0, 1))
def _fit_best(
    objective: Objective, schedule: Schedule, key: Key[Array, ""], train: CodedRows, validation: CodedRows
) -> FitResult:
    # Whole evaluations: the number of steps is rounded down to a multiple of eval_every.
    eval_every = max(1, schedule.steps // EVALUATIONS)
    steps = eval_every * (schedule.steps // eval_every)
    optimizer = adam(schedule.learning_rate, clip=LARGEST_GRADIENT, cosine_steps=steps)

    def one(key: Key[Array, ""]) -> FitResult:
        return fit(
            objective,
            optimizer,
            train,
            key,
            steps=steps,
            batch_size=min(schedule.batch_size, len(train.code)),
            validation=validation,
            eval_every=eval_every,
        )

    # lax.map and not vmap: one program of one fit's size, and no start waits for another.
    fits = jax.lax.map(one, jax.random.split(key, schedule.restarts))
    sound = jnp.isfinite(fits.final_loss) & ~fits.diverged
    best = jnp.argmin(jnp.where(sound, fits.final_loss, jnp.inf))
    return jax.tree.map(lambda leaf: leaf[best], fits)
