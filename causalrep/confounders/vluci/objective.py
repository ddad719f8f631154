"""The evidence lower bounds (ELBOs) of doubly variational inference, and the objective that trains them.

    L_T = E_q1[log p(t|x,u)] - KL(q1 || p(u))                         <= log p(t|x)
    L_Y = E_q2[log p(y|x,t,u)] - KL(q2 || q1)                          a bound on log p(y|x,t) if q1 is exact
    L_J = E_q2[log p(t|x,u) + log p(y|x,t,u)] - KL(q2 || p(u))         <= log p(t,y|x), always

Expectations are exact sums for a two-point u (:class:`FiniteELBO`), and reparametrized draws for a Gaussian one.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree
from numpyro import handlers
from numpyro.infer import TraceMeanField_ELBO

from causalrep.confounders.vluci.laws import Posterior, prior
from causalrep.confounders.vluci.model import Batch, LatentModel, Networks, apply, guide
from causalrep.training import Objective, clocked

# Samples of u in the bound that selects the parameters.
SELECTION_SAMPLES = 16
# The presence of this leaf marks the batch that selects the parameters.
SELECTION = "selection"


class Bounds(NamedTuple):
    """The three bounds, means over rows in nats.

    Attributes:
        treatment: ``L_T``.
        outcome: ``L_Y``.
        joint: ``L_J``.
    """

    treatment: Float[Array, ""]
    outcome: Float[Array, ""]
    joint: Float[Array, ""]


class Settings(NamedTuple):
    """The choices that, together with the model, define the loss.

    Attributes:
        objective: ``"double"``: ``L_T + L_Y``. ``"joint"``: ``L_J``; q1 follows by ``L_T`` without moving the model.
        independence: Weight of the squared covariances of ``E_q2[u]`` with the columns of x.
        warm_start: Number of updates with u = 0: a logistic and a two-head regression.
        warm_up: Number of updates over which the weight of the divergences then rises from 0 to 1.
    """

    objective: Literal["double", "joint"] = "double"
    independence: float = 1.0
    warm_start: int = 0
    warm_up: int = 0


class FiniteELBO:
    """The exact ELBO of a NumPyro model whose latent site ``"u"`` is, for every row, the index of a point.

    ``sum_s q(s) [log p(s, data) - log q(s)]``. It has the ``loss`` of NumPyro's own ELBO classes and needs no random
    numbers. NumPyro enumerates discrete sites only with its extra dependency ``funsor``, and a single site does not
    need that. Scales (``numpyro.handlers.scale``) are respected.
    """

    def loss(
        self, key: Any, params: dict, model: Callable, guide: Callable, *args: Any, **kwargs: Any
    ) -> Float[Array, ""]:
        """The negative bound, summed over rows.

        Args:
            key: Unused.
            params: Values of NumPyro parameter sites, if there are any.
            model: A program with the site ``"u"`` and observed sites, each with one value per row.
            guide: A program with the site ``"u"`` alone.
            *args: Arguments of both programs.
            **kwargs: Keyword arguments of both programs.
        """
        del key

        def sites(function: Callable, index: Any) -> dict[str, dict]:
            known = handlers.substitute(function, {**params, "u": index})
            trace = handlers.trace(known).get_trace(*args, **kwargs)
            return {name: site for name, site in trace.items() if site["type"] == "sample"}

        # The distribution of the guide's site does not depend on its value, so any value will do.
        site = sites(guide, 0)["u"]
        rows, points = site["fn"].logits.shape

        def at(point: Array) -> tuple[Array, Array]:
            index = jnp.full(rows, point)
            joint = sum(_log_prob(each) for each in sites(model, index).values())
            return joint, _log_prob({**site, "value": index})

        joint, log_q = jax.vmap(at)(jnp.arange(points))
        weights = jnp.exp(jax.nn.log_softmax(site["fn"].logits)).T
        return -jnp.sum(weights * (joint - log_q))


def bounds(
    model: LatentModel,
    params: PyTree,
    key: Key[Array, ""],
    batch: Batch,
    *,
    kl_weight: float | Float[Array, ""] = 1.0,
    samples: int = 1,
) -> Bounds:
    """All three bounds.

    Args:
        model: The assumed law of u.
        params: Parameters of the networks.
        key: Random key of the draws of a Gaussian u.
        batch: ``x`` (n, d), ``t`` and ``y`` (n,), standardized.
        kl_weight: Weight of the divergences.
        samples: Draws of a Gaussian u per row.
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
    """The negative log likelihood with u = 0, in nats per row, which the warm start minimizes."""

    def log_prob(networks: Networks) -> Array:
        x, t, y = batch["x"], batch["t"], batch["y"]
        u = jnp.zeros((x.shape[0], model.dim), x.dtype)
        return networks.treatment_site(x, u).log_prob(t) + networks.outcome_site(x, t, u).log_prob(y)

    return -jnp.mean(Networks(model).apply(params, method=log_prob))


@lru_cache
def vluci_objective(model: LatentModel, settings: Settings) -> Objective:
    """VLUCI as a training objective.

    Batches hold ``x``, ``t`` and ``y``. A batch with a leaf ``"selection"`` selects the best parameters: it is scored
    by ``-L_J`` with full weight of the divergence.
    """

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return Networks(model).init(key, batch)

    def loss(params: PyTree, key: jax.Array, batch: Batch, updates: Float[Array, ""]):
        if SELECTION in batch:
            return -bounds(model, params, key, batch, samples=SELECTION_SAMPLES).joint, {}
        past = updates - settings.warm_start
        kl_weight = jnp.clip(past / settings.warm_up, 0.0, 1.0) if settings.warm_up else 1.0

        def full() -> tuple[Array, Mapping[str, Array]]:
            elbos = bounds(model, params, key, batch, kl_weight=kl_weight)
            if settings.objective == "double":
                gain = elbos.treatment + elbos.outcome
            else:
                # L_J does not contain q1. L_T trains it, with a stop on the gradient of all other parameters.
                gain = elbos.joint + bounds(model, _only_q1(params), key, batch, kl_weight=kl_weight).treatment
            penalty = settings.independence * covariance_with(batch["x"], apply(model, params, "q2", batch))
            return penalty - gain, elbos._asdict()

        def plain() -> tuple[Array, Mapping[str, Array]]:
            # Both branches of a cond return the same structure; without u there are no bounds to show.
            nothing = jnp.full((), jnp.nan, batch["x"].dtype)
            return plain_loss(model, params, batch), dict.fromkeys(Bounds._fields, nothing)

        # A scalar predicate: only one branch runs, unless several fits are vmapped.
        return jax.lax.cond(past < 0, plain, full) if settings.warm_start else full()

    return clocked(init, loss)


def covariance_with(x: Float[Array, "n d"], posterior: Posterior) -> Float[Array, ""]:
    """Sum over coordinates of u and columns of x of the squared covariance of ``E_q2[u]`` and x."""
    mean = posterior.mean()
    return jnp.sum(jnp.square((mean - mean.mean(0)).T @ (x - x.mean(0)) / x.shape[0]))


def _only_q1(params: PyTree) -> PyTree:
    """The same parameters, with gradients for q1's network alone."""
    networks = {
        name: values if name == "q1_net" else jax.lax.stop_gradient(values) for name, values in params["params"].items()
    }
    return {"params": networks}


def _log_prob(site: dict) -> Array:
    value = site["fn"].log_prob(site["value"])
    return value if site["scale"] is None else site["scale"] * value
