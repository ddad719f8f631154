"""Distances between two samples of features, used as penalties that make the two distributions alike.

Integral probability metrics as in Shalit, Johansson and Sontag (2017): pure, differentiable functions of two weighted
samples. A weight of 0 leaves a row out, so one batch can be passed twice with the weights of either group, and shapes
stay static whatever the shares of the groups. If a sample has no positive weight, the distance is 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.linalg import squared_distances

# Smaller than every squared distance that matters in float32; it keeps the gradient of the square root finite at 0.
_TINY = 1e-10


def linear_mmd(
    x: Float[Array, "n d"], y: Float[Array, "m d"], wx: Float[Array, " n"], wy: Float[Array, " m"]
) -> Float[Array, ""]:
    """Squared distance between the means, ``|mean(x) - mean(y)|^2``.

    Args:
        x: First sample.
        y: Second sample.
        wx: Weights of the rows of ``x``.
        wy: Weights of the rows of ``y``.

    >>> import jax.numpy as jnp
    >>> float(linear_mmd(jnp.ones((3, 2)), jnp.zeros((4, 2)), jnp.ones(3), jnp.ones(4)))
    2.0
    """
    gap = _shares(wx) @ x - _shares(wy) @ y
    return _if_both(jnp.sum(gap**2), wx, wy)


def rbf_mmd(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    wx: Float[Array, " n"],
    wy: Float[Array, " m"],
    *,
    bandwidth: float = 0.1,
) -> Float[Array, ""]:
    """Squared maximum mean discrepancy with the kernel ``exp(-|a - b|^2 / bandwidth^2)``.

    The diagonal is left out. The estimate is therefore unbiased, and sometimes negative, for weights 0 and 1; other
    weights are relative frequencies.

    Args:
        x: First sample.
        y: Second sample.
        wx: Weights of the rows of ``x``.
        wy: Weights of the rows of ``y``.
        bandwidth: Bandwidth of the kernel, in units of the features.
    """

    def kernel(a, b):
        return jnp.exp(-squared_distances(a, b) / bandwidth**2)

    def within(a, w):
        shares = _shares(w)
        diagonal = jnp.sum(shares**2)
        # A sample of one row has no pairs.
        pairs = jnp.where(diagonal < 1.0, 1.0 - diagonal, 1.0)
        return (shares @ kernel(a, a) @ shares - diagonal) / pairs

    return _if_both(within(x, wx) + within(y, wy) - 2 * _shares(wx) @ kernel(x, y) @ _shares(wy), wx, wy)


def sinkhorn_wasserstein(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    wx: Float[Array, " n"],
    wy: Float[Array, " m"],
    *,
    share: float = 0.5,
    sharpness: float = 10.0,
    iterations: int = 10,
) -> Float[Array, ""]:
    """Entropic Wasserstein distance for the Euclidean cost, by Sinkhorn's iteration.

    Each sample gets one more point, at the largest distance from the other sample, with mass ``1 - share`` (for ``x``)
    or ``share`` (for ``y``). With ``share = 0.5`` the two halves match, and the value is a smoothed Wasserstein
    distance; for identical samples it is above 0. Gradients flow through the transport plan, not through the
    sharpness.

    Args:
        x: First sample.
        y: Second sample.
        wx: Weights of the rows of ``x``.
        wy: Weights of the rows of ``y``.
        share: Share of ``x`` in the total mass of both samples.
        sharpness: Inverse temperature, in units of the mean distance. Larger values are closer to the exact distance
            and need more iterations.
        iterations: Number of Sinkhorn iterations.

    Source: Shalit, Johansson and Sontag (2017), algorithm 2; Cuturi (2013).
    """
    used = (wx > 0)[:, None] * (wy > 0)
    distances = jnp.sqrt(squared_distances(x, y) + _TINY)
    among = jax.lax.stop_gradient(jnp.where(used, distances, 0.0))
    largest, mean = jnp.max(among), jnp.sum(among) / jnp.maximum(jnp.sum(used), 1)
    # Row -1 and column -1 belong to the additional points; between these two the cost is 0.
    cost = jnp.full((x.shape[0] + 1, y.shape[0] + 1), largest).at[:-1, :-1].set(distances).at[-1, -1].set(0.0)
    a = jnp.append(share * _shares(wx), 1.0 - share)
    b = jnp.append((1.0 - share) * _shares(wy), share)
    # The floor keeps every row and column of the kernel positive in float32.
    kernel = jnp.exp(-sharpness / jnp.maximum(mean, _TINY) * cost) + 1e-6
    u = a
    for _ in range(iterations):
        u = a / (kernel @ (b / (u @ kernel)))
    plan = u[:, None] * kernel * (b / (u @ kernel))
    return _if_both(2.0 * jnp.sum(jnp.where(plan > 0, plan * cost, 0.0)), wx, wy)


def _shares(w: Float[Array, " n"]) -> Float[Array, " n"]:
    total = jnp.sum(w)
    return w / jnp.where(total > 0, total, 1.0)


def _if_both(value: Float[Array, ""], wx: Float[Array, " n"], wy: Float[Array, " m"]) -> Float[Array, ""]:
    return jnp.where((jnp.sum(wx) > 0) & (jnp.sum(wy) > 0), value, 0.0)
