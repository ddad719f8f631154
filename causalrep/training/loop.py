"""The step that every fit takes: draw a batch, differentiate, update, evaluate, stop.

A :class:`Loop` is the static part of a fit, hashable so that ``jit`` keeps its programs; a :class:`LoopState` is the
part that changes, a pytree with everything that the next step needs. :func:`causalrep.training.fit` runs the loop in
one scan, :func:`causalrep.training.train` in several scans with checkpoints between them; both take the same steps.

Stopping is a mask. Under ``vmap`` some fits stop before others, so a fit that has stopped computes its steps like all
others and discards their results.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array, Bool, Float, Int, PyTree

from causalrep.base.validation import check_counts
from causalrep.errors import InputError
from causalrep.training.objective import Batch, Objective, Params, SVIObjective


class FitResult(NamedTuple):
    """The result of a fit.

    Attributes:
        params: The parameters with the least validation loss; without validation, the last finite ones.
        history: ``"loss"`` and the objective's metrics at each step before its update, shape (steps,); NaN after the
            fit has stopped.
        validation: Validation losses, shape (evaluations,), NaN before ``eval_after`` and after the fit has stopped;
            empty without validation.
        best_step: Number of updates that led to ``params``.
        steps_run: Number of updates made before the fit stopped, by patience or divergence.
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


class LoopState(NamedTuple):
    """Everything that the next step of a fit depends on, besides its number and the data.

    Attributes:
        params: Current parameters.
        optimizer: The optimizer's state.
        best: The parameters with the least validation loss; None without validation.
        best_loss: Validation loss of ``best``.
        best_step: Number of updates that led to ``best``.
        updates: Number of updates made.
        since_best: Number of evaluations since the best one.
        bad_step: The first step whose loss or gradient was not finite, or -1.
        last_loss: The last finite training loss.
        order: The epoch's permutation of the rows; None if batches come from a loader or hold all rows.
        key: The fit's random key.
    """

    params: Params
    optimizer: optax.OptState
    best: Params | None
    best_loss: jax.Array
    best_step: jax.Array
    updates: jax.Array
    since_best: jax.Array
    bad_step: jax.Array
    last_loss: jax.Array
    order: jax.Array | None
    key: jax.Array


@dataclasses.dataclass(frozen=True)
class Loop:
    """The static settings of a fit, and its steps.

    Attributes:
        objective: The objective.
        optimizer: The optax optimizer.
        batch_size: Rows per step.
        rows: Number of rows of in-memory data; None if batches come from a loader.
        eval_every: Steps between evaluations; None without validation.
        patience: Evaluations without improvement after which the fit stops.
        accumulate: Number of parts of a batch, computed one after the other to save memory; gradients are averaged.
        batch_sharding: Layout of a batch's rows on a mesh; None leaves it to the compiler.
        eval_after: Number of updates before evaluations begin.
    """

    objective: Objective | SVIObjective
    optimizer: optax.GradientTransformation
    batch_size: int
    rows: int | None
    eval_every: int | None = None
    patience: int | None = None
    accumulate: int = 1
    batch_sharding: NamedSharding | None = None
    eval_after: int = 0

    def start(self, key: jax.Array, example: Batch, params: Params | None = None) -> LoopState:
        """The state before the first step.

        Args:
            key: The fit's random key.
            example: A batch that shows shapes to ``objective.init``.
            params: Parameters to start from instead of those of ``objective.init``.
        """
        params = self.objective.init(self._key(key, _INIT), example) if params is None else params
        dtype, zero = _loss_dtype(params), jnp.zeros((), jnp.int32)
        in_memory = self.rows is not None and self.batch_size < self.rows
        return LoopState(
            params=params,
            optimizer=self.optimizer.init(params),
            best=None if self.eval_every is None else params,
            best_loss=jnp.asarray(jnp.inf, dtype),
            best_step=zero,
            updates=zero,
            since_best=zero,
            bad_step=zero - 1,
            last_loss=jnp.asarray(jnp.nan, dtype),
            order=jnp.arange(self.rows) if in_memory else None,
            key=key,
        )

    def advance(
        self, state: LoopState, steps: Int[Array, " k"], data: Batch, validation: Batch | None
    ) -> tuple[LoopState, Mapping[str, jax.Array], jax.Array]:
        """Take the steps numbered ``steps``.

        Args:
            state: The state before ``steps[0]``.
            steps: Consecutive step numbers.
            data: All rows; for a loop without ``rows``, one batch per step, stacked along a first axis (k, ...).
            validation: The validation batch.

        Returns:
            The state after the last step; the history, each of shape (k,); the validation losses, shape (k,), NaN at
            steps without evaluation.
        """
        chex.assert_rank(steps, 1)

        def body(state: LoopState, step_and_rows: tuple) -> tuple[LoopState, tuple]:
            step, rows = step_and_rows
            if self.rows is not None:
                state, rows = self._draw(state, step, data)
            state, shown = self._update(state, step, rows)
            if self.eval_every is None:
                return state, (shown, jnp.asarray(jnp.nan, state.best_loss.dtype))
            # vmap batches the state but not the step's number, so the condition stays a branch and is not turned into a
            # select that evaluates at every step.
            state, loss = jax.lax.cond(
                ((step + 1) % self.eval_every == 0) & (step + 1 > self.eval_after),
                lambda: self._evaluate(state, validation),
                lambda: (state, jnp.full_like(state.best_loss, jnp.nan)),
            )
            return state, (shown, loss)

        stacked = None if self.rows is not None else data
        if len(steps) == 1:
            # The compiler keeps even a loop that runs once, and XLA's CPU convolutions are slow inside one.
            state, shown = body(state, jax.tree.map(lambda leaf: leaf[0], (steps, stacked)))
            history, losses = jax.tree.map(lambda leaf: leaf[None], shown)
            return state, history, losses
        state, (history, losses) = jax.lax.scan(body, state, (steps, stacked))
        return state, history, losses

    def result(self, state: LoopState, history: Mapping[str, Any], losses: Any) -> FitResult:
        """The state and what :meth:`advance` returned over all steps, as a :class:`FitResult`."""
        every = self.eval_every
        watched = every is not None
        return FitResult(
            params=state.best if watched else state.params,
            history=history,
            validation=losses[..., :0] if every is None else losses[..., every - 1 :: every],
            best_step=state.best_step if watched else state.updates,
            steps_run=state.updates,
            final_loss=state.best_loss if watched else state.last_loss,
            stopped=state.since_best >= (jnp.inf if self.patience is None else self.patience),
            diverged=state.bad_step >= 0,
            first_bad_step=state.bad_step,
        )

    def going(self, state: LoopState) -> jax.Array:
        """Whether the fit is still running: neither stopped by patience nor diverged."""
        patient = True if self.patience is None else state.since_best < self.patience
        return (state.bad_step < 0) & patient

    def _key(self, key: jax.Array, purpose: int) -> jax.Array:
        # Four independent streams; those of batches and losses then fold in the epoch or the step.
        return jax.random.split(key, 4)[purpose]

    def _draw(self, state: LoopState, step: jax.Array, data: Batch) -> tuple[LoopState, Batch]:
        if self.rows is None or self.batch_size == self.rows:
            return state, self._place(data)
        epoch = self.rows // self.batch_size  # steps per epoch; rows that fill no batch wait for another permutation
        order = jax.lax.cond(
            step % epoch == 0,
            lambda: jax.random.permutation(jax.random.fold_in(self._key(state.key, _ORDER), step // epoch), self.rows),
            lambda: state.order,
        )
        # Batch i of the epoch: entries i * batch_size to (i + 1) * batch_size - 1 of its permutation.
        rows = jax.lax.dynamic_slice(order, (step % epoch * self.batch_size,), (self.batch_size,))
        return state._replace(order=order), self._place(jax.tree.map(lambda leaf: leaf[rows], data))

    def _place(self, batch: Batch) -> Batch:
        return batch if self.batch_sharding is None else jax.lax.with_sharding_constraint(batch, self.batch_sharding)

    def _update(self, state: LoopState, step: jax.Array, rows: Batch) -> tuple[LoopState, dict[str, jax.Array]]:
        key = jax.random.fold_in(self._key(state.key, _LOSS), step)
        loss, metrics, grads = self._gradient(state.params, key, rows)
        finite = jnp.isfinite(loss) & _all_finite(grads)
        active = self.going(state)
        keep = active & finite  # otherwise the step changes nothing but bad_step
        updates, optimizer_state = self.optimizer.update(grads, state.optimizer, state.params)
        dtype = state.last_loss.dtype
        state = state._replace(
            params=_where(keep, optax.apply_updates(state.params, updates), state.params),
            optimizer=_where(keep, optimizer_state, state.optimizer),
            updates=state.updates + keep,
            bad_step=jnp.where(active & ~finite, step, state.bad_step),
            last_loss=jnp.where(keep, loss.astype(dtype), state.last_loss),
        )
        shown = {**metrics, "loss": loss}
        return state, {name: jnp.where(active, value, jnp.nan).astype(dtype) for name, value in shown.items()}

    def _gradient(self, params: Params, key: jax.Array, rows: Batch) -> tuple[jax.Array, Mapping, Params]:
        gradient = jax.value_and_grad(self._loss, has_aux=True)
        if self.accumulate == 1:
            (loss, metrics), grads = gradient(params, key, rows)
            return loss, metrics, grads

        def part(total: Any, number_and_rows: tuple) -> tuple[Any, None]:
            number, some = number_and_rows
            result = gradient(params, jax.random.fold_in(key, number), self._place(some))
            return jax.tree.map(jnp.add, total, result), None

        # Part j holds rows j, j + accumulate, ..., so that each part is spread over the mesh as the batch is; blocks of
        # consecutive rows would lie on one device each.
        parts = jax.tree.map(lambda leaf: jnp.swapaxes(leaf.reshape(-1, self.accumulate, *leaf.shape[1:]), 0, 1), rows)
        shapes = jax.eval_shape(gradient, params, key, jax.tree.map(lambda leaf: leaf[0], parts))
        zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
        total, _ = jax.lax.scan(part, zeros, (jnp.arange(self.accumulate), parts))
        (loss, metrics), grads = jax.tree.map(lambda leaf: leaf / self.accumulate, total)
        return loss, metrics, grads

    def _loss(self, params: Params, key: jax.Array, rows: Batch) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        """The objective's loss and metrics, if all of them are scalars; this runs while the first step is traced."""
        result = self.objective.loss(params, key, rows)
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Mapping):
            raise InputError("objective.loss", found=f"a {type(result).__name__}", expected="(scalar, {name: scalar})")
        for name, value in {**result[1], "the loss": result[0]}.items():
            if jnp.shape(value) != ():
                raise InputError(
                    "objective.loss",
                    found=f"shape {jnp.shape(value)} for {name}",
                    expected="scalars, such as the mean over rows",
                )
        return result

    def _evaluate(self, state: LoopState, validation: Batch) -> tuple[LoopState, jax.Array]:
        active = self.going(state)
        key = self._key(state.key, _VALIDATION)
        loss = self._loss(state.params, key, validation)[0].astype(state.best_loss.dtype)
        better = active & (loss < state.best_loss)
        state = state._replace(
            best=_where(better, state.params, state.best),
            best_loss=jnp.where(better, loss, state.best_loss),
            best_step=jnp.where(better, state.updates, state.best_step),
            since_best=jnp.where(better, 0, state.since_best + active),
        )
        return state, jnp.where(active, loss, jnp.nan)


_INIT, _ORDER, _LOSS, _VALIDATION = range(4)


def count_rows(argument: str, batch: Batch) -> int:
    """The number of rows, which all leaves of a batch share.

    Raises:
        InputError: If the batch is empty, has a scalar leaf, or its leaves disagree.
    """
    rows = {jnp.shape(leaf)[0] if jnp.ndim(leaf) else 0 for leaf in jax.tree.leaves(batch)}
    if len(rows) != 1 or rows == {0}:
        raise InputError(argument, found=f"leaves of {sorted(rows)} rows", expected="arrays with equally many rows")
    return rows.pop()


def make_loop(
    objective: Objective | SVIObjective,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    rows: int | None,
    batch_size: int,
    validation: Batch | None,
    eval_every: int | None,
    patience: int | None,
    accumulate: int,
    batch_sharding: NamedSharding | None = None,
    eval_after: int = 0,
) -> Loop:
    """A :class:`Loop` from the arguments of :func:`causalrep.training.fit`, checked and as Python's integers."""
    check_counts(steps=steps, eval_every=eval_every, patience=patience, accumulate=accumulate)
    check_counts(batch_size=batch_size)
    steps, batch_size, accumulate, eval_after = int(steps), int(batch_size), int(accumulate), int(eval_after)
    eval_every = None if eval_every is None else int(eval_every)
    patience = None if patience is None else int(patience)
    if rows is not None and not 1 <= batch_size <= rows:
        raise InputError("batch_size", found=batch_size, expected=f"between 1 and the number of rows, {rows}")
    if batch_size % accumulate:
        raise InputError("accumulate", found=accumulate, expected=f"a divisor of batch_size = {batch_size}")
    if validation is None and (patience is not None or eval_every is not None):
        raise InputError("validation", found="None", expected="a batch, since patience or eval_every is given")
    if validation is not None:
        epoch = steps if rows is None else rows // batch_size
        eval_every = eval_every or min(epoch, steps)
        if steps % eval_every:
            raise InputError("eval_every", found=eval_every, expected=f"a divisor of steps = {steps}")
        if not 0 <= eval_after < steps:
            raise InputError("eval_after", found=eval_after, expected=f"between 0 and steps - 1 = {steps - 1}")
    return Loop(objective, optimizer, batch_size, rows, eval_every, patience, accumulate, batch_sharding, eval_after)


def _all_finite(tree: Any) -> jax.Array:
    # On a CPU a reduction to one number runs element by element and costs a fifth of a small network's step, while a
    # product with ones is vectorized. The sum counts entries that are not finite, so rounding cannot hide one.
    leaves = [leaf for leaf in jax.tree.leaves(tree) if leaf.size]
    flat = [jnp.reshape(leaf, (leaf.shape[0] if leaf.ndim else 1, -1)) for leaf in leaves]
    wrong = [jnp.sum(jnp.ones(leaf.shape[0], jnp.float32) @ (~jnp.isfinite(leaf)).astype(jnp.float32)) for leaf in flat]
    return jnp.sum(jnp.stack(wrong)) == 0


def _loss_dtype(params: Params) -> Any:
    return jnp.result_type(float, *(leaf.dtype for leaf in jax.tree.leaves(params)))


def _where(condition: jax.Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
