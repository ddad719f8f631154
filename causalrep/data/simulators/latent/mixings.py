"""Random mixings ``x = g(z)`` for simulations of causal representation learning.

Each function draws a mixing and returns it as a pure function of latents (..., d); :func:`orthogonal_columns` returns a
matrix.
"""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Mix = Callable[[Float[Array, "... d"]], Float[Array, "... p"]]

CANDIDATES = 32  # draws from which the first matrix that satisfies a condition is taken


def tanh_mixing(key: Array, d: int, layers: int) -> Mix:
    """Layers ``x -> tanh(M x) + 0.1 M x`` with random square M of ``|det M| >= 0.1`` (von Kügelgen, Liang 2023)."""

    def draw(key: Array) -> Array:
        candidates = jax.random.normal(key, (CANDIDATES, d, d))
        return candidates[jnp.argmax(jnp.abs(jnp.linalg.det(candidates)) >= 0.1)]

    matrices = [draw(key) for key in jax.random.split(key, layers)]

    def mix(z: Array) -> Array:
        for matrix in matrices:
            z = z @ matrix.T
            z = jnp.tanh(z) + 0.1 * z
        return z

    return mix


def leaky_mixing(key: Array, d: int, layers: int, slope: float = 0.2) -> Mix:
    """Square matrices with leaky ReLUs between them, the mixing of the nonlinear ICA literature.

    Entries are ``U(-1, 1)``, and columns are scaled to unit length. A layer takes the first of several draws whose
    condition number is at most the 15th percentile of theirs.
    """

    def draw(key: Array) -> Array:
        candidates = jax.random.uniform(key, (CANDIDATES, d, d), minval=-1.0, maxval=1.0)
        candidates = candidates / jnp.linalg.norm(candidates, axis=1, keepdims=True)
        condition = jnp.linalg.cond(candidates)
        return candidates[jnp.argmax(condition <= jnp.quantile(condition, 0.15))]

    matrices = [draw(key) for key in jax.random.split(key, layers)]

    def mix(z: Array) -> Array:
        for index, matrix in enumerate(matrices):
            z = (z if index == 0 else jax.nn.leaky_relu(z, slope)) @ matrix.T
        return z

    return mix


def mlp_mixing(key: Array, d: int, p: int, hidden: int = 512, layers: int = 3, slope: float = 0.2) -> Mix:
    """A random multilayer perceptron from d latents to p observations (Buchholz et al. 2023).

    Weights are normal with He's variances (our choice).
    """
    widths = (d, *[hidden] * layers, p)
    matrices = [
        jax.random.normal(key, (rows, columns)) * jnp.sqrt((2.0 if index else 1.0) / columns)
        for index, (key, columns, rows) in enumerate(
            zip(jax.random.split(key, layers + 1), widths[:-1], widths[1:], strict=True)
        )
    ]

    def mix(z: Array) -> Array:
        for index, matrix in enumerate(matrices):
            z = (z if index == 0 else jax.nn.leaky_relu(z, slope)) @ matrix.T
        return z

    return mix


def orthogonal_columns(key: Array, p: int, d: int, condition: float = 20.0) -> Float[Array, "p d"]:
    """Orthonormal columns times a matrix of ``U(-0.5, 0.5)``, scaled so that every column's largest entry is 1 or -1.

    Varıcı et al. (2025) reject matrices with a condition number above a bound that is unknown to us; ours is
    ``condition``.
    """
    basis_key, factor_key = jax.random.split(key)
    basis = jnp.linalg.qr(jax.random.normal(basis_key, (p, d)))[0]
    factors = jax.random.uniform(factor_key, (CANDIDATES, d, d), minval=-0.5, maxval=0.5)
    mixing = basis @ factors[jnp.argmax(jnp.linalg.cond(factors) <= condition)]
    return mixing / jnp.max(jnp.abs(mixing), axis=0)


def polynomial_mixing(key: Array, d: int, p: int, degree: int, scale: float = 1.0) -> Mix:
    """A random polynomial from d latents to p observations with standard normal coefficients (Ahuja et al. 2023).

    Latents are divided by ``scale`` first, so that high powers do not dominate the others (our choice).
    """
    keys = jax.random.split(key, degree)
    # Row k of powers[order - 1] lists the latents whose product is monomial k, (monomials, order).
    powers = [
        np.array(list(itertools.combinations_with_replacement(range(d), order))) for order in range(1, degree + 1)
    ]
    coefficients = [jax.random.normal(key, (p, len(factors))) for key, factors in zip(keys, powers, strict=True)]

    def mix(z: Array) -> Array:
        terms = zip(coefficients, powers, strict=True)
        parts = (jnp.prod((z / scale)[..., factors], axis=-1) @ matrix.T for matrix, factors in terms)
        return functools.reduce(jnp.add, parts)

    return mix
