"""What networks here are trained on, and how: rows with the code of their environment, restarts, the best kept."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from causalrep.training import FitResult, Objective, fit


class CodedRows(NamedTuple):
    """Rows and where they come from.

    Attributes:
        x: Observations (n, p), float32, of mean 0 and standard deviation 1 over all rows.
        code: Environment or segment of each row (n,), from 0; 0 is the observational one where there is one.
        weight: Weight of each row (n,): equal for every environment in sum, with mean 1.
    """

    x: Float[Array, "n p"]
    code: Int[Array, " n"]
    weight: Float[Array, " n"]


def coded_rows(x: Array, code: Array, environments: int) -> CodedRows:
    """Rows weighted so that every environment counts the same."""
    code = jnp.asarray(code, jnp.int32)
    counts = jnp.zeros(environments).at[code].add(1.0)
    weight = len(code) / (environments * counts[code])
    return CodedRows(jnp.asarray(x, jnp.float32), code, weight.astype(jnp.float32))


def split(key: Array, rows: CodedRows, share: float = 0.2) -> tuple[CodedRows, CodedRows]:
    """Rows in random order: those to train on, and a share of them to validate."""
    order = jax.random.permutation(key, len(rows.code))
    held_out = max(1, round(share * len(rows.code)))
    shuffled = jax.tree.map(lambda leaf: leaf[order], rows)
    return jax.tree.map(lambda a: a[held_out:], shuffled), jax.tree.map(lambda a: a[:held_out], shuffled)


class Schedule(NamedTuple):
    """How a network is trained; hashable, so that it may choose a program.

    Attributes:
        steps: Updates of Adam.
        batch_size: Rows a step.
        learning_rate: At first; it falls to zero along a cosine.
        restarts: Fits from other starts; the least validation loss is kept.
    """

    steps: int = 5000
    batch_size: int = 512
    learning_rate: float = 2e-3
    restarts: int = 1


def fit_best(
    objective: Objective, schedule: Schedule, key: Array, train: CodedRows, validation: CodedRows
) -> FitResult:
    """The fit with the least validation loss of several starts, one after the other.

    Args:
        objective: What to minimise; the same object for the same model, so that programs are kept.
        schedule: How.
        key: Random key.
        train: Rows to train on.
        validation: Rows that choose the update and the start.
    """
    return _fit_best(objective, schedule, key, train, validation)


@partial(jax.jit, static_argnums=(0, 1))
def _fit_best(
    objective: Objective, schedule: Schedule, key: Array, train: CodedRows, validation: CodedRows
) -> FitResult:
    eval_every = max(1, schedule.steps // 20)
    steps = eval_every * (schedule.steps // eval_every)
    optimizer = optax.chain(
        optax.clip_by_global_norm(10.0), optax.adam(optax.cosine_decay_schedule(schedule.learning_rate, steps))
    )

    def one(key: Array) -> FitResult:
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

    fits = jax.lax.map(one, jax.random.split(key, schedule.restarts))
    best = jnp.argmin(jnp.where(jnp.isfinite(fits.final_loss), fits.final_loss, jnp.inf))
    return jax.tree.map(lambda leaf: leaf[best], fits)
