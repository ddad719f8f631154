"""Training objectives: pairs of pure functions, like optax's optimizers."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
from numpyro import handlers
from numpyro.distributions import biject_to, constraints
from numpyro.infer import Trace_ELBO

from causalrep.keys import root

Params = Any
Batch = Any


class Objective(NamedTuple):
    """A training objective.

    Attributes:
        init: ``(key, batch) -> params``.
        loss: ``(params, key, batch) -> (scalar, metrics)``, with ``metrics`` a mapping of names to scalars.
            Rows that only pad a batch to a fixed shape carry weight zero in a leaf of the batch, and the loss
            uses it.
    """

    init: Callable[[jax.Array, Batch], Params]
    loss: Callable[[Params, jax.Array, Batch], tuple[jax.Array, Mapping[str, jax.Array]]]


class SVIObjective(NamedTuple):
    """An :class:`Objective` made of a NumPyro model and guide; its parameters live in unconstrained space.

    Attributes:
        init: As in :class:`Objective`.
        loss: The negative evidence lower bound, as in :class:`Objective`.
        constrain: ``(params, batch) -> params``, which maps parameters to the guide's own spaces (positive scales,
            simplexes that sum to one).
    """

    init: Callable[[jax.Array, Batch], Params]
    loss: Callable[[Params, jax.Array, Batch], tuple[jax.Array, Mapping[str, jax.Array]]]
    constrain: Callable[[Params, Batch], Params]


def svi_objective(
    model: Callable, guide: Callable, *, example: Batch | None = None, num_particles: int = 1
) -> SVIObjective:
    """Stochastic variational inference as an objective: minimize the negative ELBO.

    Args:
        model: A NumPyro model, called with the batch: by keyword if the batch is a mapping, else as one argument.
        guide: Its guide, called the same way.
        example: A batch, for NumPyro's automatic guides only: they trace the model once beforehand.
        num_particles: Monte Carlo samples per step.
    """
    elbo = Trace_ELBO(num_particles=num_particles)
    if example is not None:
        with handlers.seed(rng_seed=root(0)):
            _call(guide, example)

    def sites(key: jax.Array, batch: Batch) -> dict[str, dict]:
        """The parameter sites of the guide and of the model, whose latent values the guide draws."""
        guide_key, model_key = jax.random.split(key)
        guide_trace = handlers.trace(handlers.seed(guide, guide_key)).get_trace(*_arguments(batch), **_keywords(batch))
        replayed = handlers.replay(handlers.seed(model, model_key), trace=guide_trace)
        model_trace = handlers.trace(replayed).get_trace(*_arguments(batch), **_keywords(batch))
        both = [*model_trace.items(), *guide_trace.items()]
        return {name: site for name, site in both if site["type"] == "param"}

    def transforms(batch: Batch) -> dict[str, Any]:
        # Only the constraints are read; the values traced beside them are dead code to the compiler.
        traced = sites(root(0), batch)
        return {name: biject_to(site["kwargs"].get("constraint", constraints.real)) for name, site in traced.items()}

    def init(key: jax.Array, batch: Batch) -> Params:
        traced, to_constrained = sites(key, batch), transforms(batch)
        return {name: to_constrained[name].inv(jnp.asarray(site["value"])) for name, site in traced.items()}

    def constrain(params: Params, batch: Batch) -> Params:
        to_constrained = transforms(batch)
        return {name: to_constrained[name](value) for name, value in params.items()}

    def loss(params: Params, key: jax.Array, batch: Batch) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        value = elbo.loss(key, constrain(params, batch), model, guide, *_arguments(batch), **_keywords(batch))
        return value, {}

    return SVIObjective(init, loss, constrain)


def _call(function: Callable, batch: Batch) -> Any:
    with numpyro.handlers.block():
        return function(*_arguments(batch), **_keywords(batch))


def _arguments(batch: Batch) -> tuple:
    return () if isinstance(batch, Mapping) else (batch,)


def _keywords(batch: Batch) -> Mapping:
    return batch if isinstance(batch, Mapping) else {}
