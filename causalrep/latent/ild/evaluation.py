"""Errors of counterfactuals in a simulation, for the true model (the oracle), a fit, and the identity map."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.data.simulators.latent.ild import SLOPE, ILDSample, ILDTruth
from causalrep.data.simulators.latent.ild_flow import ILDFlowTruth
from causalrep.latent.ild.model import ILDModel, Mixing, noise_of, observe
from causalrep.latent.ild.scm import scm_of_maps


def true_model(truth: ILDTruth) -> ILDModel:
    """The oracle: a simulation's truth as a model."""
    maps = jnp.swapaxes(jnp.asarray(truth.maps), 1, 2)
    mixing = Mixing(jnp.asarray(truth.mixing.T / truth.scale)[None], jnp.zeros((1, len(truth.scale))), SLOPE)
    return ILDModel(scm_of_maps(maps, jnp.asarray(truth.shifts)), mixing)


def true_counterfactuals(truth: ILDTruth | ILDFlowTruth, sample: ILDSample) -> Float[np.ndarray, "domains n m"]:
    """What each row would have been in each domain: its noise, mapped by that domain's true mechanisms."""
    return np.stack([truth.observe(sample.noise, target) for target in range(len(truth.maps))])


def counterfactual_error(
    model: ILDModel | None, sample: ILDSample, answers: Float[np.ndarray, "domains n m"]
) -> Float[Array, ""]:
    """Mean squared error of counterfactuals, over coordinates, rows and ordered pairs of different domains.

    Args:
        model: The fitted model; None for the identity map, which answers that nothing would have changed.
        sample: Rows, equally many in each domain.
        answers: The true counterfactuals, from :func:`true_counterfactuals`.
    """
    x, domain = jnp.asarray(sample.x, answers.dtype), jnp.asarray(sample.domain)
    noise = None if model is None else noise_of(model, x, domain)
    total = 0.0
    for target in range(len(answers)):
        guess = x if model is None else observe(model, noise, jnp.full_like(domain, target))
        errors = jnp.mean((guess - answers[target]) ** 2, axis=1)
        # A row's own domain asks no counterfactual question.
        total += jnp.sum(jnp.where(domain == target, 0.0, errors))
    return total / (len(x) * (len(answers) - 1))
