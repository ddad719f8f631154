"""The one training loop: a single ``lax.scan`` over steps, pure, so that many fits vmap and shard."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from causalrep.errors import InputError
from causalrep.training.objective import Batch, Objective, Params, SVIObjective


class FitResult(NamedTuple):
    """What a fit leaves behind.

    Attributes:
        params: The parameters with the least validation loss; without validation, the last finite ones.
        history: Per step, ``"loss"`` and the objective's metrics, before the step's update, shape (steps,);
            NaN after the fit has stopped.
        validation: Validation losses, shape (evaluations,), NaN after the fit has stopped; empty without
            validation.
        best_step: Updates behind ``params``.
        steps_run: Updates made before the fit stopped, by patience or divergence.
        final_loss: The validation loss of ``params``; without validation, the last finite training loss.
        stopped: Whether patience ran out.
        diverged: Whether a loss or gradient was not finite; the parameters then stay as they were before it.
        first_bad_step: The step at which that happened, or -1.
    """

    params: PyTree
    history: Mapping[str, Float[Array, " steps"]]
    validation: Float[Array, " evaluations"]
    best_step: Int[Array, ""]
    steps_run: Int[Array, ""]
    final_loss: Float[Array, ""]
    stopped: Bool[Array, ""]
    diverged: Bool[Array, ""]
    first_bad_step: Int[Array, ""]


class _State(NamedTuple):
    params: Params
    optimizer: optax.OptState
    best: Params
    best_loss: jax.Array
    best_step: jax.Array
    updates: jax.Array
    since_best: jax.Array
    bad_step: jax.Array
    order: jax.Array


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
) -> FitResult:
    """Minimise an objective on data.

    Pure: it works under ``jit``, and under ``vmap`` over keys and data, where a fit that has stopped keeps
    its parameters while others go on. Outside of any transformation the compiled program is kept for the identical
    objective and optimizer and the same static arguments: build those once, not in every call.

    Mini-batches run through a fresh random permutation of the rows each epoch, without replacement. If
    ``batch_size`` does not divide the rows, the rest of an epoch's permutation is left out, other rows each
    time.

    Args:
        objective: What to minimise.
        optimizer: Any optax optimizer.
        data: A pytree of arrays whose first axis, of n rows, is the sample.
        key: Random key of initialisation, batches and the loss.
        steps: Number of updates.
        batch_size: Rows a step; default all of them.
        validation: A batch; its loss, with one fixed key, picks the best parameters.
        eval_every: Steps between evaluations; default one epoch. It must divide ``steps``.
        patience: Evaluations without improvement after which the fit stops; default never.

    Raises:
        InputError: If a size is impossible, or ``patience`` or ``eval_every`` comes without ``validation``.
    """
    leaves = jax.tree.leaves(data)
    rows = {jnp.shape(leaf)[0] if jnp.ndim(leaf) else 0 for leaf in leaves}
    if len(rows) != 1 or rows == {0}:
        raise InputError(
            "data", found=f"leaves of {sorted(rows)} rows", expected="arrays with equally many rows"
        )
    n = rows.pop()
    for argument, value in (("steps", steps), ("eval_every", eval_every), ("patience", patience)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise InputError(argument, found=repr(value), expected="a whole number of at least 1")
    if batch_size is not None and not 1 <= batch_size <= n:
        raise InputError("batch_size", found=batch_size, expected=f"between 1 and the number of rows, {n}")
    if validation is None and (patience is not None or eval_every is not None):
        raise InputError(
            "validation", found="None", expected="a batch, since patience or eval_every is given"
        )
    batch_size = n if batch_size is None else batch_size
    if validation is not None:
        eval_every = eval_every or min(n // batch_size, steps)
        if steps % eval_every:
            raise InputError("eval_every", found=eval_every, expected=f"a divisor of steps = {steps}")
    return _fit(objective, optimizer, data, key, validation, steps, batch_size, eval_every, patience)


@partial(jax.jit, static_argnums=(0, 1, 5, 6, 7, 8))
def _fit(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    data: Batch,
    key: jax.Array,
    validation: Batch | None,
    steps: int,
    batch_size: int,
    eval_every: int | None,
    patience: int | None,
) -> FitResult:
    init_key, order_key, loss_key, validation_key = jax.random.split(key, 4)
    n = jnp.shape(jax.tree.leaves(data)[0])[0]
    epoch = n // batch_size
    gradient = jax.value_and_grad(objective.loss, has_aux=True)
    params = objective.init(init_key, jax.tree.map(lambda leaf: leaf[:batch_size], data))
    dtype = jnp.result_type(float, *(leaf.dtype for leaf in jax.tree.leaves(params)))

    def batch(state: _State, step: jax.Array) -> tuple[Batch, jax.Array]:
        if batch_size == n:
            return data, state.order
        # The predicate follows the scan's counter, which no vmap batches: one branch runs.
        order = jax.lax.cond(
            step % epoch == 0,
            lambda: jax.random.permutation(jax.random.fold_in(order_key, step // epoch), n),
            lambda: state.order,
        )
        rows = jax.lax.dynamic_slice(order, (step % epoch * batch_size,), (batch_size,))
        return jax.tree.map(lambda leaf: leaf[rows], data), order

    def going(state: _State) -> jax.Array:
        patient = True if patience is None else state.since_best < patience
        return (state.bad_step < 0) & patient

    def update(state: _State, step: jax.Array) -> tuple[_State, dict[str, jax.Array]]:
        rows, order = batch(state, step)
        (loss, metrics), grads = gradient(state.params, jax.random.fold_in(loss_key, step), rows)
        finite = jnp.isfinite(loss) & jnp.all(
            jnp.stack([jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(grads)])
        )
        active = going(state)
        keep = active & finite
        updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
        state = state._replace(
            params=_where(keep, optax.apply_updates(state.params, updates), state.params),
            optimizer=_where(keep, optimizer_state, state.optimizer),
            updates=state.updates + keep,
            bad_step=jnp.where(active & ~finite, step, state.bad_step),
            order=order,
        )
        shown = {**metrics, "loss": loss}
        return state, {name: jnp.where(active, value, jnp.nan).astype(dtype) for name, value in shown.items()}

    def evaluate(state: _State) -> tuple[_State, jax.Array]:
        active = going(state)
        loss = objective.loss(state.params, validation_key, validation)[0].astype(dtype)
        better = active & (loss < state.best_loss)
        state = state._replace(
            best=_where(better, state.params, state.best),
            best_loss=jnp.where(better, loss, state.best_loss),
            best_step=jnp.where(better, state.updates, state.best_step),
            since_best=jnp.where(better, 0, state.since_best + active),
        )
        return state, jnp.where(active, loss, jnp.nan)

    zero = jnp.zeros((), jnp.int32)
    start = _State(
        params=params,
        optimizer=optimizer.init(params),
        best=params,
        best_loss=jnp.asarray(jnp.inf, dtype),
        best_step=zero,
        updates=zero,
        since_best=zero,
        bad_step=zero - 1,
        order=jnp.arange(n),
    )
    counter = jnp.arange(steps, dtype=jnp.int32)
    if validation is None:
        state, history = jax.lax.scan(update, start, counter)
        losses = jnp.zeros((0,), dtype)
        last = history["loss"][jnp.maximum(state.updates - 1, 0)]
        best, best_step, final_loss = state.params, state.updates, last
    else:

        def block(state: _State, block_steps: jax.Array) -> tuple[_State, tuple]:
            state, history = jax.lax.scan(update, state, block_steps)
            state, loss = evaluate(state)
            return state, (history, loss)

        state, (history, losses) = jax.lax.scan(block, start, counter.reshape(-1, eval_every))
        history = {name: values.reshape(steps) for name, values in history.items()}
        best, best_step, final_loss = state.best, state.best_step, state.best_loss
    stopped = jnp.asarray(False) if patience is None else state.since_best >= patience
    return FitResult(
        params=best,
        history=history,
        validation=losses,
        best_step=best_step,
        steps_run=state.updates,
        final_loss=final_loss,
        stopped=stopped,
        diverged=state.bad_step >= 0,
        first_bad_step=state.bad_step,
    )


def _where(condition: jax.Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
