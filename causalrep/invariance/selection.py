"""Choosing the penalty of a training objective: fit all candidates, score them on held-out rows, refit the best.

All candidates train in one vmapped scan. Held-out rows get weight zero, so that every fit has the same shapes; the
effective size of a mini-batch is then somewhat below its nominal size.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from causalrep.iv import held_out_levels
from causalrep.training import Objective, fit

HOLDOUT = 0.2


class SelectedFit(NamedTuple):
    """A trained model and its penalty.

    Attributes:
        params: Parameters, trained on all rows.
        penalty: The candidate chosen.
        risks: Held-out risk of each candidate (a,); infinity replaces values that are not finite.
    """

    params: Any
    penalty: Float[Array, ""]
    risks: Float[Array, " a"]


def fit_selected(
    key: Key[Array, ""],
    objective: Callable[[Float[Array, ""]], Objective],
    optimizer: optax.GradientTransformation,
    data: Mapping[str, Array],
    penalties: Float[Array, " a"],
    held_out: Bool[Array, " n"],
    risk: Callable[[Any, Bool[Array, " n"]], Float[Array, ""]],
    *,
    steps: int,
    batch_size: int | None = None,
) -> SelectedFit:
    """Train with each penalty on the kept rows, then train with the one of least held-out risk on all rows.

    Args:
        key: Random key of initialization and batches.
        objective: Function from a penalty to the objective, for example
            ``lambda a: irm(model, environments=8, penalty=a)``.
        optimizer: Any optax optimizer.
        data: All rows as a batch of the objective; ``weight`` is added.
        penalties: Candidates (a,).
        held_out: Rows to score on (n,); see :func:`held_out_rows` and :func:`held_out_environments`.
        risk: Function of the parameters and the mask of held-out rows to the number that is minimized.
        steps: Updates of each fit.
        batch_size: Rows per step; default all.
    """

    def train(key, penalty, weight):
        batch = {**data, "weight": weight.astype(data["y"].dtype)}
        return fit(objective(penalty), optimizer, batch, key, steps=steps, batch_size=batch_size).params

    keys = jax.random.split(key, penalties.shape[0] + 1)
    candidates = jax.vmap(train, in_axes=(0, 0, None))(keys[1:], penalties, ~held_out)
    risks = jax.vmap(risk, in_axes=(0, None))(candidates, held_out)
    risks = jnp.where(jnp.isfinite(risks), risks, jnp.inf)
    best = jnp.argmin(risks)
    return SelectedFit(train(keys[0], penalties[best], jnp.ones_like(held_out)), penalties[best], risks)


def held_out_rows(key: Key[Array, ""], n: int, fraction: float = HOLDOUT) -> Bool[Array, " n"]:
    """A random share of the rows."""
    return jax.random.permutation(key, jnp.arange(n) < round(fraction * n))


def held_out_environments(
    key: Key[Array, ""], environment: Int[Array, " n"], fraction: float = HOLDOUT
) -> Bool[Array, " n"]:
    """The rows of a random share of the environments (level cross-validation).

    At least one environment, drawn without replacement with probability proportional to one minus its frequency.
    """
    return held_out_levels(key, environment, fraction)
