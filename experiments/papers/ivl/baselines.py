"""The baselines of the IVL paper's comparison on one augmented sample, with the paper's selectors and settings.

The parameters of the augmentation take the place of the environments that these methods need: each column of G is split
into two bins, and each distinct row is an environment. If G has many columns, nearly every row is its own environment.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Key

from causalrep.data import Augmented
from causalrep.invariance import (
    LinearModel,
    confounder_corrected,
    fit_selected,
    group_dro,
    held_out_environments,
    held_out_rows,
    invariant_causal_prediction,
    irm,
    kania_wit,
    mm_rex,
    rice,
    v_rex,
)
from causalrep.iv import discretize, level_ids
from causalrep.training import fit
from causalrep.training.rows import ceil_div

CANDIDATES = 10
BATCH, EPOCHS, LEARNING_RATE = 256, 16, 0.01
RICE_COPIES = 3
BASELINES = (
    "IRM",
    "ICP",
    "DRO",
    "RICE",
    "V-REx",
    "MM-REx",
    "l1 Janzing",
    "l2 Janzing",
    "Kania & Wit",
)
TRAINED = ("IRM", "DRO", "RICE", "V-REx", "MM-REx")
_OPTIMIZER = optax.adam(LEARNING_RATE)


def fit_baselines(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    augmented: Augmented,
    augment: Callable[[Key[Array, ""]], Float[Array, "n m"]],
    *,
    columns: Bool[Array, " m"] | None = None,
    trained: bool = True,
) -> dict[str, Float[Array, " m"]]:
    """Estimates of the effect by every baseline.

    Args:
        key: Random key.
        y: Outcome (n,).
        x: Un-augmented treatment (n, m).
        augmented: GX (n, m) and G (n, k).
        augment: Function from a key to another augmentation of all rows (n, m), for RICE.
        columns: Columns of x in use (m,); the others are zero.
        trained: Fit the trained baselines too, which take nearly all of the time.
    """
    solved_key, trained_key = jax.random.split(key)
    estimates = fit_solved(solved_key, y, x, augmented, columns=columns)
    if trained:
        estimates |= fit_trained(trained_key, y, x, augmented, augment, columns=columns)
    return {name: estimates[name] for name in BASELINES if name in estimates}


def fit_solved(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    augmented: Augmented,
    *,
    columns: Bool[Array, " m"] | None = None,
    penalties: Float[Array, " a"] | None = None,
) -> dict[str, Float[Array, " m"]]:
    """The baselines with closed forms: ICP, l1 and l2 Janzing, Kania and Wit.

    See :func:`fit_baselines` for the arguments; ``penalties`` replaces the random candidates of every method.
    """
    drawn = _penalties if penalties is None else lambda key: penalties
    gx, n = augmented.gx, y.shape[0]
    icp_key, l1_key, l2_key, fold_key, plain_key, shifted_key, penalty_key = jax.random.split(key, 7)
    environment = level_ids(discretize(augmented.g))
    icp = invariant_causal_prediction(icp_key, y, gx, environment, environments=n, columns=columns)
    half = n // 2  # half of the plain and half of the augmented rows, so that all methods see equally many
    plain, shifted = (jax.random.permutation(k, n)[:half] for k in (plain_key, shifted_key))
    mixture = kania_wit(
        fold_key,
        jnp.concatenate([y[plain], y[shifted]]),
        jnp.concatenate([x[plain], gx[shifted]]),
        jnp.arange(2 * half) >= half,
        drawn(penalty_key),
    )
    return {
        "ICP": icp.coef,
        "l1 Janzing": confounder_corrected(y, x, drawn(l1_key), norm="l1").coef,
        "l2 Janzing": confounder_corrected(y, x, drawn(l2_key), norm="l2").coef,
        "Kania & Wit": mixture.coef,
    }


def fit_trained(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    augmented: Augmented,
    augment: Callable[[Key[Array, ""]], Float[Array, "n m"]],
    *,
    columns: Bool[Array, " m"] | None = None,
) -> dict[str, Float[Array, " m"]]:
    """The trained baselines: IRM, DRO, RICE, V-REx, MM-REx. See :func:`fit_baselines` for the arguments.

    They train in float32, as in the released code. There the last mini-batch of an epoch is smaller, while ours are all
    full; the number of updates is the same.
    """
    n, dtype = y.shape[0], y.dtype
    keys = dict(zip(TRAINED, jax.random.split(key, len(TRAINED))))
    environment = level_ids(discretize(augmented.g))
    model = LinearModel(columns)
    data = {"x": augmented.gx.astype(jnp.float32), "y": y.astype(jnp.float32), "environment": environment}
    levels = {"environments": n}
    estimates = {
        "DRO": fit(
            group_dro(model, **levels), _OPTIMIZER, data, keys["DRO"], steps=_steps(n), batch_size=min(BATCH, n)
        ).params
    }
    for name, objective in (("IRM", irm), ("V-REx", v_rex), ("MM-REx", mm_rex)):
        estimates[name] = _selected(
            keys[name],
            lambda penalty, objective=objective: objective(model, penalty=penalty, **levels),
            data,
            lambda key: held_out_environments(key, environment),
        )
    subset_key, copies_key, fit_key = jax.random.split(keys["RICE"], 3)
    # A third of the rows with three copies each, so that RICE sees as many inputs as the other methods.
    rows = jax.random.permutation(subset_key, n)[: n // RICE_COPIES]
    copies = jax.vmap(augment)(jax.random.split(copies_key, RICE_COPIES))
    subset = {"x": x[rows], "y": y[rows], "transformed": jnp.moveaxis(copies, 0, 1)[rows]}
    estimates["RICE"] = _selected(
        fit_key,
        lambda penalty: rice(model, penalty=penalty),
        {name: values.astype(jnp.float32) for name, values in subset.items()},
        lambda key: held_out_rows(key, rows.shape[0]),
    )
    return {name: estimate.astype(dtype) for name, estimate in estimates.items()}


def _selected(key, objective, data, held_out) -> Float[Array, " m"]:
    fit_key, penalty_key, split_key = jax.random.split(key, 3)
    n = data["y"].shape[0]

    def risk(weights, rows):
        return jnp.sum(jnp.square(data["y"] - data["x"] @ weights) * rows) / jnp.sum(rows)

    return fit_selected(
        fit_key,
        objective,
        _OPTIMIZER,
        data,
        _penalties(penalty_key).astype(jnp.float32),
        held_out(split_key),
        risk,
        steps=_steps(n),
        batch_size=min(BATCH, n),
    ).params


def _steps(n: int) -> int:
    return EPOCHS * ceil_div(n, BATCH)


def _penalties(key: Key[Array, ""]) -> Float[Array, " a"]:
    return jax.random.exponential(key, (CANDIDATES,))
