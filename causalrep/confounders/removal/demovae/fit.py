"""DemoVAE as pure functions: the fit, and latents, data and samples from it."""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from causalrep.confounders.removal.demovae.model import DemoVAEModel, Networks
from causalrep.confounders.removal.demovae.objective import demovae_objective
from causalrep.training import fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import Schedule, check_schedule, plan_epochs
from causalrep.training.trained import Trained, trained

# A batch needs ten times as many rows as there are latents, since the loss depends on the moments of a batch.
SCHEDULE = Schedule(epochs=3000, batch_size=1000, learning_rate=1e-4, weight_decay=0.0)


def demovae(
    key: Key[Array, ""],
    x: Float[Array, "n e"],
    d: Float[Array, "n c"],
    *,
    model: DemoVAEModel,
    schedule: Schedule = SCHEDULE,
) -> Trained:
    """Fit DemoVAE.

    Args:
        key: Random key.
        x: Data, in units in which an error of 0.1 is small: the default weights of the loss are for correlations.
        d: Coded demographics (:class:`~causalrep.confounders.Demographics`).
        model: The model.
        schedule: Training schedule, in epochs.

    Returns:
        The fit. Its ``extra`` holds the terms of the loss before every update, by name, each (steps,).
    """
    chex.assert_rank([x, d], 2)
    chex.assert_equal_shape_prefix([x, d], 1)
    schedule = check_schedule(schedule, SCHEDULE)
    init_key, fit_key = jax.random.split(key)
    data = {"x": jnp.asarray(x, jnp.float32), "d": jnp.asarray(d, jnp.float32)}
    objective = demovae_objective(model, x.shape[1])
    plan = plan_epochs(len(x), epochs=schedule.epochs, batch_size=schedule.batch_size)
    result = fit(
        objective,
        adam(schedule.learning_rate, weight_decay=schedule.weight_decay, decayed=_networks_only),
        data,
        fit_key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        # Not the fit's own start: the guides need all rows, not those of a batch.
        start=objective.init(init_key, data),
    )
    return trained(result, params=result.params["net"], extra=result.history)


def encode(model: DemoVAEModel, fitted: Trained, x: Float[Array, "n e"], d: Float[Array, "n c"]) -> Float[Array, "n l"]:
    """Latents of rows; ``d`` is used only by a conditional encoder."""
    return Networks(model, x.shape[1]).apply(fitted.params, x, d, method="encode")


def decode(
    model: DemoVAEModel, fitted: Trained, z: Float[Array, "n l"], d: Float[Array, "n c"], *, columns: int
) -> Float[Array, "n e"]:
    """Data (n, ``columns``) given latents and demographics."""
    return Networks(model, columns).apply(fitted.params, z, d, method="decode")


def sample(
    key: Key[Array, ""], model: DemoVAEModel, fitted: Trained, d: Float[Array, "n c"], *, columns: int
) -> Float[Array, "n e"]:
    """Synthetic rows with the given demographics, their latents drawn from the prior."""
    z = model.prior_variance**0.5 * jax.random.normal(key, (len(d), model.latents))
    return decode(model, fitted, z, d, columns=columns)


def _networks_only(params: PyTree) -> PyTree:
    # The guides are constants: their gradient is 0, and weight decay must not change them.
    return {name: name == "net" for name in params}
