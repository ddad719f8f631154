"""A fitted function in a kernel's space, and the code that the kernel estimators share."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.domains import Choice, Domain, Flag, Range, Whole
from causalrep.iv.nonlinear.base import Fitted
from causalrep.iv.nonlinear.door import NonlinearData, shuffled
from causalrep.iv.nonlinear.kernels import Nystroem, gaussian_kernel

Approximation = Literal["auto", "exact", "nystroem"]
SHRUNK = "the penalties leave a bias of the order of the sampling error, which a bootstrap repeats instead of measuring"
# Up to so many rows "auto" is exact; above them the cubic cost of the exact method is felt.
EXACT_UP_TO = 2000
# Domains of the hyperparameters that the kernel estimators share.
DOMAINS: dict[str, Domain] = {
    "candidates": Whole(),
    "penalty_range": Range(),
    "approximation": Choice(*get_args(Approximation)),
    "landmarks": Whole(),
    "center": Flag(),
    "seed": Whole(None),
}


class KernelFit(NamedTuple):
    """A function in the space of a Gaussian kernel: ``f(x) = sum_i weights_i k(centres_i, x)``.

    Attributes:
        weights: Weights alpha of the kernels (n,).
        centres: Rows of the treatments and controls (n, d).
        lengthscale: One lengthscale per input (d,).
        penalties: The penalties used, stage by stage.
        losses: For each stage the held-out loss of every candidate.
    """

    weights: Float[Array, " n"]
    centres: Float[Array, "n d"]
    lengthscale: Float[Array, " d"]
    penalties: tuple[Float[Array, ""], ...]
    losses: tuple[Float[Array, " l"], ...]


def kernel_predict(fit: KernelFit, x: Float[Array, "t d"]) -> Float[Array, " t"]:
    """The fitted function at rows ``x``."""
    return gaussian_kernel(x, fit.centres, fit.lengthscale) @ fit.weights


def in_kernel_form(map_: Nystroem, coef: Float[Array, " D"], penalties: tuple, losses: tuple) -> KernelFit:
    """Coefficients of Nystroem features, written as weights of the landmarks' kernels."""
    return KernelFit(map_.projection @ coef, map_.landmarks, map_.lengthscale, penalties, losses)


def default_penalties(count: int, low: float = 1e-9, high: float = 1.0) -> Float[Array, " l"]:
    """Candidate penalties, evenly spaced on a logarithmic scale."""
    return jnp.logspace(jnp.log10(low), jnp.log10(high), count)


def candidate_penalties(count: int, ends: tuple[float, float]) -> Float[Array, " l"]:
    """Candidates between two ends; equal ends leave one."""
    low, high = ends
    return default_penalties(count if high > low else 1, low, high)


def fit_kernel(
    estimator: Any,
    data: NonlinearData,
    exact: Callable[..., KernelFit],
    nystroem: Callable[..., KernelFit],
    stages: tuple[str, ...],
) -> Fitted:
    """Fit a kernel estimator, exactly or with Nystroem features, and set its fitted attributes.

    Args:
        estimator: The estimator with its hyperparameters.
        data: The checked data.
        exact: Compiled core ``(y, x, z, *penalties)``.
        nystroem: The same with ``landmarks=``.
        stages: Names of the penalties that the cores take, for the summary.
    """
    y, inputs, exogenous = shuffled(estimator.seed, data.y, data.inputs, data.exogenous)
    offset = float(np.mean(y)) if estimator.center else 0.0
    kind = estimator.approximation
    if kind == "auto":
        kind = "exact" if len(y) <= EXACT_UP_TO else "nystroem"
    penalties = candidate_penalties(estimator.candidates, estimator.penalty_range)
    arrays = [jnp.asarray(a) for a in (y - offset, inputs, exogenous)]
    core = exact if kind == "exact" else partial(nystroem, landmarks=min(estimator.landmarks, len(y) // 2))
    fit = jax.tree.map(np.asarray, core(*arrays, *[penalties] * len(stages)))
    estimator.fit_, estimator.approximation_ = fit, kind
    estimator.penalties_ = tuple(float(penalty) for penalty in fit.penalties)
    size = "exact" if kind == "exact" else f"Nystroem, {len(fit.centres)} landmarks"
    chosen = [(name, f"{value:.3g}") for name, value in zip(stages, estimator.penalties_, strict=True)]
    return partial(evaluate_kernel, fit, offset), [("Kernels", f"Gaussian, median lengthscales, {size}"), *chosen]


def evaluate_kernel(fit: KernelFit, offset: float, inputs: np.ndarray) -> np.ndarray:
    """The fitted function plus the outcome's mean, at rows of inputs."""
    return np.asarray(_predict(fit, jnp.asarray(inputs))) + offset


_predict = jax.jit(kernel_predict)
