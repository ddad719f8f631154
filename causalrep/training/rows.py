"""Rows of a fit: how many passes over them (schedules), their scaling, and the split for validation."""

import dataclasses
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from causalrep.arithmetic import ceil_div
from causalrep.base.validation import check_counts, check_range
from causalrep.errors import InputError

# A column whose standard deviation is below this many roundings of its size is constant.
_ROUNDINGS = 10


@dataclasses.dataclass(frozen=True, repr=False)
class Schedule:
    """How a network is trained. Hashable, so that it can choose a compiled program.

    ``None`` means the estimator's own value: ``TARNet(schedule=Schedule(steps=500))`` keeps the other defaults of
    TARNet. A value for something that the estimator does not have is refused.

    Attributes:
        steps: Number of updates, for estimators that count updates.
        epochs: Number of passes over the training rows, for estimators that count passes.
        batch_size: Rows per step; at most all training rows.
        learning_rate: The optimizer's learning rate, at its start where it decays.
        weight_decay: Decoupled weight decay of AdamW, per step and unit of learning rate.
        validation_share: Share of the rows that select the parameters.
        patience: Evaluations without improvement before the fit stops.
        restarts: Number of fits from different starts; the one with the lowest validation loss is kept.

    >>> Schedule(steps=500).over(Schedule(steps=3000, batch_size=100))
    Schedule(steps=500, batch_size=100)
    """

    # Typed as filled in: functional cores see schedules without None in what they use.
    steps: int = None  # type: ignore[assignment]
    epochs: int = None  # type: ignore[assignment]
    batch_size: int = None  # type: ignore[assignment]
    learning_rate: float = None  # type: ignore[assignment]
    weight_decay: float = None  # type: ignore[assignment]
    validation_share: float = None  # type: ignore[assignment]
    patience: int = None  # type: ignore[assignment]
    restarts: int = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        given = (f"{name}={value!r}" for name, value in dataclasses.asdict(self).items() if value is not None)
        return f"Schedule({', '.join(given)})"

    def over(self, default: "Schedule") -> "Schedule":
        """This schedule with an estimator's defaults where it says nothing, checked.

        Args:
            default: The estimator's schedule; a field that is None there does not exist for the estimator.

        Raises:
            InputError: If a value is out of its domain, or given for a field the estimator does not have.
        """
        if not isinstance(self, Schedule):
            raise InputError("schedule", found=repr(self), expected="a Schedule, such as Schedule(learning_rate=1e-3)")
        given = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        known = {name for name, value in dataclasses.asdict(default).items() if value is not None}
        for name in given:
            if name not in known:
                raise InputError(
                    f"schedule.{name}", found=repr(given[name]), expected=f"None; this method has {sorted(known)}"
                )
        merged = dataclasses.replace(default, **given)
        counts = ("steps", "epochs", "batch_size", "patience", "restarts")
        check_counts(**{f"schedule.{name}": getattr(merged, name) for name in counts})
        if merged.learning_rate is not None:
            check_range("schedule.learning_rate", merged.learning_rate, above=0)
        if merged.weight_decay is not None:
            check_range("schedule.weight_decay", merged.weight_decay, at_least=0)
        if merged.validation_share is not None:
            check_range("schedule.validation_share", merged.validation_share, above=0, at_most=0.9)
        return _plain(merged)

    def without(self, *names: str) -> "Schedule":
        """The schedule without some fields, for a functional core that does not take them."""
        changes: dict[str, Any] = dict.fromkeys(names)
        return dataclasses.replace(self, **changes)


def _plain(schedule: Schedule) -> Schedule:
    """Python numbers, since NumPy's are other static arguments to ``jit``."""
    values = {
        field.name: value.item() if isinstance(value := getattr(schedule, field.name), np.generic) else value
        for field in dataclasses.fields(schedule)
    }
    return dataclasses.replace(schedule, **values)


@dataclasses.dataclass(frozen=True)
class InSchedule:
    """The domain of schedules: a :class:`Schedule` of fields that ``default`` has, or None for the default itself."""

    default: Schedule

    def check(self, argument: str, value: Any) -> None:
        """Refuse what is no schedule, and by its name a field that is wrong or does not exist for the estimator."""
        if value is not None:
            Schedule.over(value, self.default)

    def wrong(self) -> list[Any]:
        """The class, numbers, words, and schedules with a wrong field or one that the estimator does not have."""
        given = dataclasses.asdict(self.default)
        foreign = [Schedule(**{name: 1}) for name, value in given.items() if value is None]
        wrong = [Schedule(learning_rate=-1.0), Schedule(learning_rate="fast"), Schedule(batch_size=0)]  # type: ignore
        return [Schedule, 100, "long", *wrong, *foreign]


class Plan(NamedTuple):
    """A schedule of passes, converted to updates; all values are static.

    Attributes:
        rows: Number of training rows.
        batch_size: Rows per step.
        steps: Number of updates.
        eval_every: Updates between evaluations; it divides ``steps``.
    """

    rows: int
    batch_size: int
    steps: int
    eval_every: int


def plan_epochs(n: int, *, epochs: int, batch_size: int, validation_share: float = 0.0, evaluations: int = 100) -> Plan:
    """The updates for a number of passes over the training rows, with about ``evaluations`` evaluations.

    Args:
        n: Number of rows, including those for validation.
        epochs: Passes over the training rows, rounded up to whole evaluations.
        batch_size: Rows per step; at most all training rows.
        validation_share: Share of the rows for validation.
        evaluations: Number of evaluations aimed at.
    """
    rows = n - round(validation_share * n)
    batch_size = min(batch_size, rows)
    per_epoch = rows // batch_size
    eval_every = per_epoch * max(1, epochs // evaluations)
    return Plan(rows, batch_size, eval_every * ceil_div(epochs * per_epoch, eval_every), eval_every)


class Scaling(NamedTuple):
    """Mean and standard deviation of each column of a block of data, and the standardization that they define.

    Attributes:
        mean: Column means (d,), or () for a vector.
        std: Column standard deviations; 1 for a constant column, which then becomes 0.
    """

    mean: Float[Array, "*d"]
    std: Float[Array, "*d"]

    def apply(self, values: Float[Array, "n *d"]) -> Float[Array, "n *d"]:
        """Standardize: values in standard deviations from the mean."""
        return (values - self.mean) / self.std

    def undo(self, values: Float[Array, "n *d"]) -> Float[Array, "n *d"]:
        """Undo the standardization: values in the units of the data."""
        return self.mean + self.std * values


def scaling_of(values: Float[Array, "n *d"], weights: Float[Array, " n"] | None = None) -> Scaling:
    """The scaling of a block, computed in the block's precision.

    Compute it before the data are cast to float32: data with a large mean and a small spread would lose their digits.

    Args:
        values: The block.
        weights: Weights of the rows. Rows with weight 0 may hold anything, NaN included.
    """
    if weights is None:
        mean, std = jnp.mean(values, axis=0), jnp.std(values, axis=0)
        return Scaling(mean, jnp.where(std > 0, std, 1.0))
    shares = weights / jnp.sum(weights)
    values = jnp.where((weights > 0).reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)
    mean = shares @ values
    std, size = jnp.sqrt(shares @ (values - mean) ** 2), jnp.sqrt(shares @ values**2)
    # A constant minus its mean leaves rounding errors, which must not be scaled up to variance 1.
    return Scaling(mean, jnp.where(std > _ROUNDINGS * jnp.finfo(values.dtype).eps * size, std, 1.0))


def no_scaling(values: Float[Array, "n *d"]) -> Scaling:
    """The scaling of the block's shape that changes nothing."""
    return Scaling(jnp.zeros_like(values[0]), jnp.ones_like(values[0]))


def split_rows(data: PyTree, rows: int) -> tuple[PyTree, PyTree]:
    """The first rows for training and the others for validation; the rows must be in random order."""
    return take_rows(data, slice(None, rows)), take_rows(data, slice(rows, None))


def stratified_split(
    key: Key[Array, ""], data: PyTree, strata: tuple[Array, ...], share: float
) -> tuple[PyTree, PyTree]:
    """Training rows in random order, and validation rows drawn at random within strata.

    Args:
        key: Random key.
        data: A pytree of arrays with n rows.
        strata: Columns (n,) that define the strata; the last one is compared first.
        share: Share of the rows for validation; at least one row and at most all but one.
    """
    chex.assert_equal_shape(strata)
    n = len(strata[0])
    count = min(max(round(share * n), 1), n - 1)
    order_key, shuffle_key = jax.random.split(key)
    # Sort by stratum, in random order within each, and take every (n / count)-th row. The positions depend on n and
    # count alone, so shapes are static: position i is taken where floor((i + 1) count / n) exceeds floor(i count / n).
    order = jnp.lexsort((jax.random.uniform(order_key, (n,)), *strata))
    position = np.arange(n)
    chosen = (position + 1) * count // n > position * count // n
    training = jax.random.permutation(shuffle_key, order[np.flatnonzero(~chosen)])
    return take_rows(data, training), take_rows(data, order[np.flatnonzero(chosen)])


def take_rows(data: PyTree, rows: Int[Array, " m"] | slice) -> PyTree:
    """The given rows of every leaf of a pytree."""
    return jax.tree.map(lambda leaf: leaf[rows], data)


def check_schedule(schedule: Any, default: Schedule) -> Schedule:
    """The schedule that an estimator trains with: the user's values, and its defaults for the rest.

    Raises:
        InputError: If it is not a :class:`Schedule`, or one of its values is wrong or does not apply to the estimator.
    """
    if schedule is None:
        return default
    return Schedule.over(schedule, default)
