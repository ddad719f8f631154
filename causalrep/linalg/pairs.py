"""Matrices over pairs of rows: squared distances, centered kernels and their Hilbert-Schmidt inner product."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def squared_distances(a: Float[Array, "n d"], b: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """Squared Euclidean distances of all pairs of rows, by one matrix product.

    In float32 the expansion ``|a|^2 + |b|^2 - 2 a'b`` cancels where both rows are far from the origin: center the rows
    first. Rounding below zero is cut off.

    >>> squared_distances(jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]])).tolist()
    [[25.0]]
    """
    return jnp.maximum(jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1) - 2 * (a @ b.T), 0.0)


def centered_kernel(kernel: Float[Array, "n n"], used: Float[Array, " n"] | None = None) -> Float[Array, "n n"]:
    """``H K H`` with the centering matrix ``H = I - 1 1'/n``, of a symmetric kernel matrix K.

    Args:
        kernel: The kernel matrix.
        used: 1 for the rows that count, 0 for the others, whose rows and columns become 0; default all rows.
    """
    if used is None:
        return kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
    pairs, n = used[:, None] * used, jnp.sum(used)
    kernel = kernel * pairs
    means = jnp.sum(kernel, axis=0) / n
    return (kernel - means[:, None] - means + jnp.sum(means) / n) * pairs


def hsic_statistic(
    first: Float[Array, "n n"], second: Float[Array, "n n"], n: Float[Array, ""] | int
) -> Float[Array, ""]:
    """The biased estimate ``trace(K H L H) / n^2`` of the Hilbert-Schmidt independence criterion.

    Args:
        first: Centered kernel matrix ``H K H`` of one variable, see :func:`centered_kernel`.
        second: Centered kernel matrix ``H L H`` of the other variable.
        n: Number of rows that count.

    Source: Gretton, Bousquet, Smola and Schölkopf (2005), "Measuring statistical dependence with Hilbert-Schmidt
    norms".
    """
    return jnp.sum(first * second) / n**2
