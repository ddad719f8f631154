"""What the neural estimators share: scaling, and the outcome of training."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from causalrep.training import FitResult


class Scaling(NamedTuple):
    """Means and standard deviations that standardise outcome, inputs (treatments, controls) and instruments."""

    y_mean: Float[Array, ""]
    y_std: Float[Array, ""]
    x_mean: Float[Array, " d"]
    x_std: Float[Array, " d"]
    z_mean: Float[Array, " k"]
    z_std: Float[Array, " k"]


class Standardized(NamedTuple):
    """Standardised float32 data: outcome (n,), inputs (n, d), instruments and controls (n, k)."""

    y: Float[Array, " n"]
    x: Float[Array, "n d"]
    z: Float[Array, "n k"]


class NeuralFit(NamedTuple):
    """A trained structural function.

    Attributes:
        params: Parameters of the network, and closed-form coefficients where the method has them.
        scaling: Of the data.
        loss: The criterion that selected the parameters, in units of the standardised outcome.
        best_step: Updates behind ``params``.
        diverged: Whether some loss or gradient was not finite; ``params`` are then the last finite ones.
        first_bad_step: The update at which that happened, or -1.
    """

    params: PyTree
    scaling: Scaling
    loss: Float[Array, ""]
    best_step: Int[Array, ""]
    diverged: Bool[Array, ""]
    first_bad_step: Int[Array, ""]


def standardize(y: Float[Array, " n"], x: Float[Array, "n d"], z: Float[Array, "n k"]) -> tuple[Standardized, Scaling]:
    """Standardise every column, in float32: networks, and one learning rate, then meet every data set alike."""
    y, x, z = (jnp.asarray(block, jnp.float32) for block in (y, x, z))
    moments = [(jnp.mean(block, axis=0), jnp.std(block, axis=0)) for block in (y, x, z)]
    moments = [(mean, jnp.where(std > 0, std, 1.0)) for mean, std in moments]
    scaled = [(block - mean) / std for block, (mean, std) in zip((y, x, z), moments, strict=True)]
    return Standardized(*scaled), Scaling(*[part for pair in moments for part in pair])


def scaled_inputs(scaling: Scaling, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Inputs on the scale of training."""
    return (jnp.asarray(x, jnp.float32) - scaling.x_mean) / scaling.x_std


def unscaled_outcome(scaling: Scaling, y: Float[Array, " n"]) -> Float[Array, " n"]:
    """An outcome in the user's units."""
    return scaling.y_mean + scaling.y_std * y


def summarize(result: FitResult, params: PyTree, scaling: Scaling) -> NeuralFit:
    """A fit as the façades want it."""
    return NeuralFit(params, scaling, result.final_loss, result.best_step, result.diverged, result.first_bad_step)
