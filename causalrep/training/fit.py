"""One fit as one pure program: a single ``lax.scan`` over its steps, so that many fits can be vmapped and sharded."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from causalrep.training.loop import FitResult, Loop, count_rows, make_loop
from causalrep.training.objective import Batch, Objective, Params, SVIObjective


def fit(
    objective: Objective | SVIObjective,
    optimizer: optax.GradientTransformation,
    data: Batch,
    key: jax.Array,
    *,
    steps: int,
    batch_size: int | None = None,
    validation: Batch | None = None,
    eval_every: int | None = None,
    patience: int | None = None,
    accumulate: int = 1,
    eval_after: int = 0,
    start: Params | None = None,
) -> FitResult:
    """Minimize an objective on data.

    The function is pure. It works under ``jit``, and under ``vmap`` over keys and data, where a fit that has stopped
    keeps its parameters while others continue. Outside of any transformation the compiled program is kept for the
    identical objective and optimizer and the same static arguments: build those once, not in every call. For a fit
    that takes hours, with checkpoints and on many devices, see :func:`causalrep.training.train`, which takes the same
    steps and gives the same result.

    Mini-batches run through a new random permutation of the rows in each epoch, without replacement. If ``batch_size``
    does not divide the number of rows, the rows at the end of the permutation are left out; they differ by epoch.

    Args:
        objective: The objective.
        optimizer: Any optax optimizer.
        data: A pytree of arrays whose first axis, of n rows, is the sample.
        key: Random key for the initial parameters, the batches and the loss.
        steps: Number of updates.
        batch_size: Rows per step; default all rows.
        validation: A batch whose loss, with one fixed key, selects the best parameters.
        eval_every: Steps between evaluations; default one epoch. It must divide ``steps``.
        patience: Evaluations without improvement after which the fit stops; default never.
        accumulate: Number of parts of each batch, computed one after the other to save memory. Losses, metrics and
            gradients are averaged over parts, so the loss must be a mean over rows; each part draws its own random
            numbers.
        eval_after: Number of updates before evaluations begin, for a criterion that misleads at first.
        start: Parameters to start from, such as those of an earlier phase; default those of ``objective.init``.

    Raises:
        InputError: If a size is impossible, ``patience`` or ``eval_every`` comes without ``validation``, or the loss or
            one of its metrics is no scalar.
    """
    rows = count_rows("data", data)
    loop = make_loop(
        objective,
        optimizer,
        steps=steps,
        rows=rows,
        batch_size=rows if batch_size is None else batch_size,
        validation=validation,
        eval_every=eval_every,
        patience=patience,
        accumulate=accumulate,
        eval_after=eval_after,
    )
    return _fit(loop, int(steps), data, key, validation, start)


@partial(jax.jit, static_argnums=(0, 1))
def _fit(
    loop: Loop, steps: int, data: Batch, key: jax.Array, validation: Batch | None, start: Params | None
) -> FitResult:
    state = loop.start(key, jax.tree.map(lambda leaf: leaf[: loop.batch_size], data), start)
    state, history, losses = loop.advance(state, jnp.arange(steps, dtype=jnp.int32), data, validation)
    return loop.result(state, history, losses)
