"""Data augmentation as pure functions of a key, which also return their random parameters G.

An augmentation maps ``(key, x)`` to ``Augmented(gx, g)``: the augmented rows, and the random group parameters that
IV-like regression uses in place of an instrument (Akbar et al. 2025, section 3). :func:`compose` chains augmentations.
"""

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from causalrep.errors import InputError


class Augmented(NamedTuple):
    """Augmented rows and the parameters of the augmentation.

    Attributes:
        gx: Augmented rows, in the shape of the input (n, m).
        g: Random parameters of each row (n, k).
    """

    gx: Float[Array, "n m"]
    g: Float[Array, "n k"]


Augmentation = Callable[[Key[Array, ""], Float[Array, "n m"]], Augmented]


def translate(directions: Float[Array, "k m"], strength: Float[Array, ""] | float = 1.0) -> Augmentation:
    """``GX = X + strength * G directions`` with ``G ~ N(0, I_k)``: the IVL paper's translation in a null space.

    >>> from causalrep.keys import root
    >>> augmented = translate(jnp.array([[1.0, -1.0]]))(root(0), jnp.zeros((3, 2)))
    >>> augmented.gx.shape, augmented.g.shape
    ((3, 2), (3, 1))
    """

    def augment(key: Key[Array, ""], x: Float[Array, "n m"]) -> Augmented:
        g = jax.random.normal(key, (x.shape[0], directions.shape[0]), x.dtype)
        return Augmented(x + strength * (g @ directions), g)

    return augment


def gaussian_noise(variance: float = 0.1) -> Augmentation:
    """``GX = X + sqrt(variance) * std(X over all entries) * G`` with ``G ~ N(0, I_m)``."""

    def augment(key: Key[Array, ""], x: Float[Array, "n m"]) -> Augmented:
        g = jax.random.normal(key, x.shape, x.dtype)
        return Augmented(x + jnp.sqrt(variance) * jnp.std(x) * g, g)

    return augment


def random_flip(permutation: Sequence[int], probability: float = 0.5) -> Augmentation:
    """Apply one fixed permutation of the columns with some probability; G is the standardized indicator (n, 1).

    Rotations and flips of an image are such permutations of its pixels.

    Args:
        permutation: Column numbers, each of 0 to m - 1 once.
        probability: Probability that a row is permuted.

    Raises:
        InputError: If ``permutation`` is none.
    """
    order = np.asarray(permutation)
    if sorted(order.tolist()) != list(range(order.size)):
        raise InputError("permutation", found=f"{list(permutation)}", expected=f"each of 0..{order.size - 1} once")

    def augment(key: Key[Array, ""], x: Float[Array, "n m"]) -> Augmented:
        applied = jax.random.bernoulli(key, probability, (x.shape[0], 1))
        g = (applied - probability) / jnp.sqrt(probability * (1 - probability))
        return Augmented(jnp.where(applied, x[:, order], x), g.astype(x.dtype))

    return augment


def random_permutation() -> Augmentation:
    """Permute each row's columns uniformly at random; G is the permutation, standardized within rows (n, m)."""

    def augment(key: Key[Array, ""], x: Float[Array, "n m"]) -> Augmented:
        columns = jnp.broadcast_to(jnp.arange(x.shape[1]), x.shape)
        order = jax.random.permutation(key, columns, axis=1, independent=True)
        g = order.astype(x.dtype)
        # Every row of G holds the numbers 0 to m - 1, so that all rows have the same mean and standard deviation.
        numbers = jnp.arange(x.shape[1], dtype=x.dtype)
        return Augmented(jnp.take_along_axis(x, order, axis=1), (g - jnp.mean(numbers)) / jnp.std(numbers))

    return augment


def compose(*augmentations: Augmentation) -> Augmentation:
    """Apply augmentations one after the other and concatenate their parameters (n, k_1 + k_2 + ...).

    >>> augment = compose(random_permutation(), gaussian_noise())
    >>> from causalrep.keys import root
    >>> augment(root(0), jnp.ones((4, 3))).g.shape
    (4, 6)
    """

    def augment(key: Key[Array, ""], x: Float[Array, "n m"]) -> Augmented:
        parameters = []
        for step, augmentation in enumerate(augmentations):
            x, g = augmentation(jax.random.fold_in(key, step), x)
            parameters.append(g)
        return Augmented(x, jnp.concatenate(parameters, axis=1))

    return augment


def polynomial_features(x: Float[Array, "n m"], degree: int) -> Float[Array, "n d"]:
    """All monomials of degree 1 to ``degree``, with cross products and without a constant.

    >>> polynomial_features(jnp.array([[2.0, 3.0]]), 2).tolist()
    [[2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    blocks = [x]
    for order in range(2, degree + 1):
        terms = np.asarray(list(combinations_with_replacement(range(x.shape[1]), order)))
        blocks.append(jnp.prod(x[:, terms], axis=-1))
    return jnp.concatenate(blocks, axis=1)
