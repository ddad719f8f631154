"""Selection of the IVL penalty alpha: hold-out validation, level validation, confounder correction.

All three are pure functions of a fixed number of candidates with static shapes (held-out rows get weight 0), so that a
selector can be part of the compiled program of a replication.

Source: IVL paper (arXiv 2510.25128), section 5 and appendix E; confounder correction after Janzing (2019),
"Causal regularization", NeurIPS.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from causalrep.base.validation import as_matrix
from causalrep.errors import InputError
from causalrep.iv.ivl.path import IVLPath, ivl, ivl_path
from causalrep.keys import root
from causalrep.linalg import min_norm_solve, rank_tolerance
from causalrep.precision import full_products

HOLDOUT = 0.2


def as_scoring_treatment(T: Any, T_score: Any) -> np.ndarray | None:
    """The treatments that score held-out rows, of the shape of ``T``; None stands for ``T`` itself.

    Raises:
        InputError: If the shapes differ.
    """
    if T_score is None:
        return None
    rows, columns = as_matrix("T", T)[0].shape
    score, _ = as_matrix("T_score", T_score, rows=rows)
    if score.shape[1] != columns:
        raise InputError("T_score", found=f"{score.shape[1]} columns", expected=f"{columns}, as in T")
    return score


def log_uniform_candidates(key: Key[Array, ""], count: int, low: float, high: float) -> Float[Array, " count"]:
    """``count`` penalties, uniform on the logarithmic scale of [low, high]."""
    return jnp.exp(jax.random.uniform(key, (count,), minval=jnp.log(low), maxval=jnp.log(high)))


@full_products
def select_cv(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    z: Float[Array, "n k"],
    candidates: Float[Array, " a"],
    *,
    x_score: Float[Array, "n m"] | None = None,
    fraction: float = HOLDOUT,
) -> Float[Array, ""]:
    """CV: the candidate with the least error on a random held-out share of the rows.

    Args:
        key: Random key of the split.
        y: Outcome (n,).
        x: Treatment of the fit, GX under augmentation (n, m).
        z: Instruments or augmentation parameters (n, k).
        candidates: Penalties to choose from (a,).
        x_score: Treatment of the score, the un-augmented X under augmentation (n, m); default ``x``.
        fraction: Share of rows held out.

    Returns:
        The chosen penalty.
    """
    n = y.shape[0]
    draws = jax.random.uniform(key, (n,), y.dtype)
    held_out = draws < jnp.sort(draws)[round(fraction * n)]
    return _best_on(held_out, y, x, z, candidates, x if x_score is None else x_score)


@full_products
def select_level_cv(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    z: Float[Array, "n k"],
    candidates: Float[Array, " a"],
    *,
    x_score: Float[Array, "n m"] | None = None,
    fraction: float = HOLDOUT,
) -> Float[Array, ""]:
    """LCV: like CV, but whole levels of the instruments are held out, rare levels more likely.

    Every distinct row of ``z`` is a level (pass a discretized z, see :func:`discretize`). A share ``fraction`` of the
    levels, at least one, is drawn without replacement with probability proportional to one minus the frequency.

    See :func:`select_cv` for the arguments.
    """
    held_out = held_out_levels(key, level_ids(z), fraction)
    return _best_on(held_out, y, x, z, candidates, x if x_score is None else x_score)


@full_products
def select_confounder_correction(
    path: IVLPath, candidates: Float[Array, " a"], target_norm: Float[Array, ""]
) -> Float[Array, ""]:
    """CC: the candidate whose estimate has the estimated length of the causal effect.

    Args:
        path: The decomposition of all rows.
        candidates: Penalties to choose from (a,).
        target_norm: From :func:`confounder_corrected_norm`.
    """
    norms = jnp.linalg.norm(ivl(path, candidates), axis=-1)
    return candidates[jnp.argmin(jnp.square(norms - target_norm))]


def discretize(z: Float[Array, "n k"], bins: int = 2) -> Float[Array, "n k"]:
    """Bin each column into ``bins`` intervals of equal width and standardize the bin numbers (to two decimals).

    A constant column becomes 0.
    """
    low, high = jnp.min(z, axis=0), jnp.max(z, axis=0)
    width = jnp.where(high > low, (high - low) / bins, 1.0)
    number = jnp.clip(jnp.floor((z - low) / width), 0, bins - 1)
    spread = jnp.std(number, axis=0)
    return jnp.round((number - jnp.mean(number, axis=0)) / jnp.where(spread > 0, spread, 1.0), 2)


@full_products
def level_ids(z: Float[Array, "n k"]) -> Int[Array, " n"]:
    """Number the distinct rows of ``z``: rows share a number in 0..n-1 exactly if they are equal.

    Rows are sorted by a random projection with a fixed key rather than column by column. Different rows have different
    projections with probability one, and sorting numbers is much faster than sorting rows.
    """
    projection = z @ jax.random.normal(root(0), (z.shape[1],), z.dtype)
    order = jnp.argsort(projection)
    # The projection only brings equal rows together; neighbors are then compared as rows. A tolerance on the projection
    # would merge different levels in float32.
    ordered = z[order]
    starts = jnp.any(ordered[1:] != ordered[:-1], axis=1)
    numbers = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(starts, dtype=jnp.int32)])
    return jnp.zeros(z.shape[0], jnp.int32).at[order].set(numbers)


@full_products
def confounder_corrected_norm(
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    *,
    method: Literal["global", "local"] = "global",
    least_squares: Float[Array, " m"] | None = None,
) -> Float[Array, ""]:
    """Estimated length ``sqrt((1 - beta) ||w||^2)`` of the causal effect, w the least-squares vector of y on x.

    The share beta of w that confounding explains is the one under which the direction of w is most likely, given the
    eigenvalues of x's covariance (Janzing 2019): ``beta = 1 / (1 + 1/(0.001 + theta mean(1/l)))`` with theta >= 0
    minimizing ``sum_i log(1 + theta/l_i)/2 + d/2 log sum_i (u_i^T w/||w||)^2 / (1 + theta/l_i)``.

    Args:
        y: Outcome (n,).
        x: Treatment (n, d); GX under augmentation, X for the baselines of the same author.
        method: ``"global"`` searches theta over all scales of the eigenvalues; ``"local"`` takes the first local
            minimum above 0, where the bounded descent of the released code, which starts at 0, stops.
        least_squares: The vector w, if it is known already.
    """
    w = min_norm_solve(x, y) if least_squares is None else least_squares
    # Eigenvalues of the covariance from the singular values of the data. A cut-off at the rounding error of the
    # covariance itself would drop directions that matter in float32 (norms were wrong by up to 60%).
    centered = x - jnp.mean(x, axis=0)
    factor = jnp.linalg.qr(centered, mode="r") if x.shape[0] > x.shape[1] else centered
    _, scales, rows = jnp.linalg.svd(factor, full_matrices=False)
    # In the null directions of a singular covariance there are no data; they must not decide theta.
    keep = scales > rank_tolerance(x.dtype) * scales[0]
    eigenvalues = jnp.square(jnp.where(keep, scales, scales[0])) / (x.shape[0] - 1)
    length = jnp.linalg.norm(w)
    shares = jnp.square(rows @ w / length) * keep
    dimension = jnp.sum(keep)
    # Relative to the geometric mean of the eigenvalues both terms stay near 0 for large theta. Without it they would
    # grow and cancel.
    middle = jnp.exp(jnp.sum(jnp.where(keep, jnp.log(eigenvalues), 0.0)) / dimension)

    def objective(theta):
        theta = theta[..., None]
        likelihood = jnp.sum(jnp.where(keep, jnp.log1p((eigenvalues - middle) / (middle + theta)), 0.0), axis=-1)
        ratio = eigenvalues / middle * ((middle + theta) / (eigenvalues + theta))
        return 0.5 * likelihood + 0.5 * dimension * jnp.log(jnp.sum(shares * ratio, axis=-1))

    theta = _minimize_over_scales(objective, eigenvalues, local=method == "local")
    mean_inverse = jnp.sum(jnp.where(keep, 1.0 / eigenvalues, 0.0)) / dimension
    # beta = a / (1 + a) with a = 0.001 + theta m, so 1 - beta = 1 / (1 + a) needs no subtraction.
    unconfounded = 1.0 / (1.001 + theta * mean_inverse)
    return jnp.sqrt(unconfounded) * length


def _minimize_over_scales(objective, eigenvalues: Float[Array, " d"], *, local: bool) -> Float[Array, ""]:
    """Minimize over theta >= 0 on a logarithmic grid relative to the eigenvalues, refined around its minimum."""
    logs = jnp.linspace(jnp.log(eigenvalues.min()) - 12.0, jnp.log(eigenvalues.max()) + 12.0, 201)
    values = objective(jnp.exp(logs))
    at_zero = objective(jnp.zeros(()))
    if local:
        rises = jnp.concatenate([values[:1] >= at_zero, values[1:] >= values[:-1]])
        first_rise = jnp.argmax(jnp.concatenate([rises, jnp.array([True])]))
        best = jnp.maximum(first_rise - 1, 0)
        at_boundary = first_rise == 0
    else:
        best = jnp.argmin(values)
        at_boundary = at_zero <= values[best]
    step = logs[1] - logs[0]
    center = logs[best]
    for _ in range(4):
        fine = center + step * jnp.linspace(-1.0, 1.0, 21)
        center = fine[jnp.argmin(objective(jnp.exp(fine)))]
        step = step / 10.0
    return jnp.where(at_boundary, 0.0, jnp.exp(center))


def _best_on(
    held_out: Bool[Array, " n"],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    z: Float[Array, "n k"],
    candidates: Float[Array, " a"],
    x_score: Float[Array, "n m"],
) -> Float[Array, ""]:
    path = ivl_path(y, x, z, weights=(~held_out).astype(x.dtype))
    residuals = y[:, None] - x_score @ ivl(path, candidates).T
    risk = jnp.sum(jnp.where(held_out[:, None], jnp.square(residuals), 0.0), axis=0)
    return candidates[jnp.argmin(risk)]


def held_out_levels(key: Key[Array, ""], levels: Int[Array, " n"], fraction: float = HOLDOUT) -> Bool[Array, " n"]:
    """The rows of a random share of the levels, at least one; rare levels are more likely.

    Args:
        key: Random key.
        levels: Level numbers in 0..n-1 (n,), see :func:`level_ids`.
        fraction: Share of the levels; they are drawn without replacement with probability proportional to one minus
            their frequency.
    """
    n = levels.shape[0]
    counts = jnp.zeros(n).at[levels].add(1.0)
    present = counts > 0
    # The largest Gumbel-perturbed log weights are a draw without replacement with probability proportional to
    # 1 - frequency.
    scores = jnp.log(jnp.maximum(1.0 - counts / n, 1e-12)) + jax.random.gumbel(key, (n,))
    scores = jnp.where(present, scores, -jnp.inf)
    held = jnp.maximum(1, jnp.floor(fraction * jnp.sum(present))).astype(jnp.int32)
    return (scores >= jnp.sort(scores)[n - held])[levels]
