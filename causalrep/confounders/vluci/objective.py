"""The two bounds of doubly variational inference, and the objective that trains them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree
from numpyro.infer import TraceMeanField_ELBO

from causalrep.confounders.vluci.elbo import FiniteELBO
from causalrep.confounders.vluci.laws import Posterior, prior
from causalrep.confounders.vluci.model import Batch, LatentModel, Networks, apply, guide
from causalrep.training import Objective, clocked

# Samples of u in the bound that selects the parameters.
SELECTION_SAMPLES = 16
# Presence of this leaf marks the batch that selects the parameters.
SELECTION = "selection"


class Bounds(NamedTuple):
    """Means over rows, in nats.

    Attributes:
        treatment: ``L_T = E_q1[log p(t|x,u)] - KL(q1 || p(u)) <= log p(t|x)``.
        outcome: ``L_Y = E_q2[log p(y|x,t,u)] - KL(q2 || q1)``; a bound on ``log p(y|x,t)`` if q1 is exact.
        joint: ``L_J = E_q2[log p(t|x,u) + log p(y|x,t,u)] - KL(q2 || p(u)) <= log p(t,y|x)``, always.
    """

    treatment: Float[Array, ""]
    outcome: Float[Array, ""]
    joint: Float[Array, ""]


class Settings(NamedTuple):
    """What is trained, besides the model.

    Attributes:
        objective: ``"double"``: ``L_T + L_Y``. ``"joint"``: ``L_J``; q1 follows it by ``L_T`` without moving the model.
        independence: Weight of the squared covariances of ``E_q2[u]`` with the columns of x.
        warm_start: Updates with u = 0, a logistic and a two-head regression.
        warm_up: Updates over which the weight of the divergences then rises from 0 to 1.
    """

    objective: Literal["double", "joint"] = "double"
    independence: float = 1.0
    warm_start: int = 0
    warm_up: int = 0


def bounds(
    model: LatentModel,
    params: PyTree,
    key: Key[Array, ""],
    batch: Batch,
    *,
    kl_weight: float | Float[Array, ""] = 1.0,
    samples: int = 1,
) -> Bounds:
    """All three bounds; exact sums for a two-point u, ``samples`` reparametrised draws a row for a Gaussian one.

    Args:
        model: What is assumed of u.
        params: Of the networks.
        key: Of the draws.
        batch: ``x`` (n, d), ``t`` and ``y`` (n,), standardised.
        kl_weight: Weight of the divergences.
        samples: Draws a row.
    """
    rows = batch["x"].shape[0]
    start = prior(model.latent, model.dim, rows)
    q1, q2 = apply(model, params, "q1", batch), apply(model, params, "q2", batch)

    def bound(latent: Posterior, posterior: Posterior, *observed: str) -> Float[Array, ""]:
        elbo = FiniteELBO() if model.latent == "two_point" else TraceMeanField_ELBO(num_particles=samples)

        def program() -> None:
            Networks(model).apply(params, batch, latent, observed, kl_weight, method="program")

        return -elbo.loss(key, {}, program, lambda: guide(posterior, kl_weight)) / rows

    return Bounds(bound(start, q1, "t"), bound(q1, q2, "y"), bound(start, q2, "t", "y"))


def plain_loss(model: LatentModel, params: PyTree, batch: Batch) -> Float[Array, ""]:
    """The negative log likelihood without U (u = 0), a row: what the warm start minimises."""

    def log_prob(networks: Networks) -> Array:
        x, t, y = batch["x"], batch["t"], batch["y"]
        u = jnp.zeros((x.shape[0], model.dim), x.dtype)
        return networks.treatment_site(x, u).log_prob(t) + networks.outcome_site(x, t, u).log_prob(y)

    return -jnp.mean(Networks(model).apply(params, method=log_prob))


@lru_cache
def vluci_objective(model: LatentModel, settings: Settings) -> Objective:
    """VLUCI as a training objective.

    Batches hold ``x``, ``t`` and ``y``. A batch with a leaf ``"selection"`` is scored by ``-L_J`` at full weight: it
    picks the best parameters.
    """

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return Networks(model).init(key, batch)

    def loss(params: PyTree, key: jax.Array, batch: Batch, updates: Float[Array, ""]):
        if SELECTION in batch:
            return -bounds(model, params, key, batch, samples=SELECTION_SAMPLES).joint, {}
        past = updates - settings.warm_start
        kl_weight = jnp.clip(past / settings.warm_up, 0.0, 1.0) if settings.warm_up else 1.0

        def full() -> tuple[Array, Mapping[str, Array]]:
            found = bounds(model, params, key, batch, kl_weight=kl_weight)
            if settings.objective == "double":
                gain = found.treatment + found.outcome
            else:
                follow = bounds(model, _held(params), key, batch, kl_weight=kl_weight).treatment
                gain = found.joint + follow
            penalty = settings.independence * covariance_with(batch["x"], apply(model, params, "q2", batch))
            return penalty - gain, found._asdict()

        def plain() -> tuple[Array, Mapping[str, Array]]:
            nothing = jnp.full((), jnp.nan, batch["x"].dtype)
            return plain_loss(model, params, batch), dict.fromkeys(Bounds._fields, nothing)

        # The count of updates is no batch dimension of its own: one branch runs, unless fits are vmapped.
        return jax.lax.cond(past < 0, plain, full) if settings.warm_start else full()

    return clocked(init, loss)


def covariance_with(x: Float[Array, "n d"], posterior: Posterior) -> Float[Array, ""]:
    """Sum over coordinates of u and columns of x of the squared covariance of ``E_q2[u]`` and x."""
    mean = posterior.mean()
    return jnp.sum(jnp.square((mean - mean.mean(0)).T @ (x - x.mean(0)) / x.shape[0]))


def _held(params: PyTree) -> PyTree:
    """Parameters of which only q1's are differentiated."""
    networks = {
        name: values if name == "q1_net" else jax.lax.stop_gradient(values) for name, values in params["params"].items()
    }
    return {"params": networks}
