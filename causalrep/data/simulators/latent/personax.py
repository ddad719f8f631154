"""Simulators for PersonaX: latents measured by two modalities, and a trait next to a feature.

The simulations are our own, because the paper's synthetic images are not published. NumPy's legacy generator draws the
modalities, so that the same data come out in every framework.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from causalrep.base.validation import check_choice, check_range

Cross = Literal["sparse", "separate", "dense"]
Link = Literal["independent", "linear", "u-shaped"]
NOISE, SLOPE, WORST_CONDITION, OBSERVED = 0.6, 0.2, 5.0, 8
SPECIFIC_SCALE, DENSE_WEIGHT = 0.3, 0.7
LINEAR_LINK, CURVED_LINK, CUT = 0.3, 0.5, 0.6


class PersonaSample(NamedTuple):
    """Measurements of two modalities, and the latents and graph that gave them.

    Attributes:
        x: Measurements of each modality, each of shape (n, 8).
        z: True latents, standardized: two of the first modality, then two of the second (n, 4).
        graph: Adjacency matrix: entry (i, j) is True if ``z_i -> z_j`` (4, 4).
    """

    x: tuple[tuple[Float[np.ndarray, "n 8"], ...], ...]
    z: Float[np.ndarray, "n 4"]
    graph: Bool[np.ndarray, "4 4"]


def persona_simulation(
    seed: int, *, n: int = 10_000, measurements: tuple[int, int] = (3, 3), cross: Cross = "sparse"
) -> PersonaSample:
    """Two modalities with two latents each; every measurement is an invertible mixture of these and of its own noise.

    Args:
        seed: Random seed.
        n: Number of rows.
        measurements: Number of measurements per modality; (3, 1) is the shape of the paper's synthetic set.
        cross: Edges from the first modality to the second: ``"sparse"`` has one, ``z11 -> z21``, and ``"dense"`` all
            four. ``"separate"`` has ``z11 -> z21`` and ``z12 -> z22``, and ``z22`` has no parent in its own modality,
            so that no latent's neighbors are a subset of another's.

    Raises:
        InputError: If ``cross`` is unknown or n is below 2.

    >>> sample = persona_simulation(0, n=100, measurements=(3, 1))
    >>> [len(modality) for modality in sample.x], sample.z.shape
    ([3, 1], (100, 4))
    """
    check_choice("cross", cross, get_args(Cross))
    check_range("n", n, at_least=2)
    draw = np.random.RandomState(seed)
    noise = draw.laplace(0.0, 1.0 / np.sqrt(2.0), (n, 4))
    z11 = noise[:, 0]
    z12 = 0.8 * np.tanh(1.5 * z11) + NOISE * noise[:, 1]
    z21 = 0.9 * z11 + 0.3 * np.sin(2 * z11) + NOISE * noise[:, 2] + DENSE_WEIGHT * z12 * (cross == "dense")
    parent = z12 if cross == "separate" else z21
    z22 = 0.8 * (parent - 0.3 * parent**3 / (1 + parent**2)) + NOISE * noise[:, 3]
    z22 = z22 + DENSE_WEIGHT * (z11 + z12) * (cross == "dense")
    z = np.column_stack([z11, z12, z21, z22])
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    x = tuple(
        tuple(_measure(draw, z[:, 2 * modality : 2 * modality + 2]) for _ in range(count))
        for modality, count in enumerate(measurements)
    )
    edges = {
        "sparse": [(0, 1), (0, 2), (2, 3)],
        "separate": [(0, 1), (0, 2), (1, 3)],
        "dense": [(0, 1), (0, 2), (1, 2), (2, 3), (0, 3), (1, 3)],
    }[cross]
    graph = np.zeros((4, 4), bool)
    graph[tuple(np.transpose(edges))] = True
    return PersonaSample(x, z, graph)


def _measure(draw: np.random.RandomState, z: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 8"]:
    """``W2 lrelu(W1 [z, eta])`` with its own noise eta and an invertible, well-conditioned W1."""
    inputs = np.column_stack([z, SPECIFIC_SCALE * draw.randn(len(z))])
    first = draw.randn(3, 3)
    while np.linalg.cond(first) >= WORST_CONDITION:
        first = draw.randn(3, 3)
    hidden = inputs @ first.T
    return np.where(hidden < 0, SLOPE * hidden, hidden) @ draw.randn(OBSERVED, 3).T


class TraitSample(NamedTuple):
    """A trait with three levels and a feature.

    Attributes:
        trait: Level 1, 2 or 3 (n,).
        feature: Standard normal feature (n,).
    """

    trait: Int[Array, " n"]
    feature: Float[Array, " n"]


def trait_simulation(key: Key[Array, ""], *, n: int = 1500, link: Link = "linear") -> TraitSample:
    """A trait whose three levels cut a noisy function of the feature at -0.6 and 0.6.

    Args:
        key: Random key.
        n: Number of rows.
        link: Function of the feature f to which standard normal noise is added: ``0.3 f`` if ``"linear"``,
            ``0.5 (f^2 - 1)`` if ``"u-shaped"``, and 0 if ``"independent"``.

    Raises:
        InputError: If the link is unknown.

    >>> from causalrep.keys import root
    >>> sorted(set(trait_simulation(root(0)).trait.tolist()))
    [1, 2, 3]
    """
    check_choice("link", link, get_args(Link))
    feature_key, noise_key = jax.random.split(key)
    feature = jax.random.normal(feature_key, (n,))
    effect = {
        "independent": 0.0 * feature,
        "linear": LINEAR_LINK * feature,
        "u-shaped": CURVED_LINK * (feature**2 - 1.0),
    }[link]
    level = effect + jax.random.normal(noise_key, (n,))
    return TraitSample(1 + (level > -CUT).astype(jnp.int32) + (level > CUT), feature)
