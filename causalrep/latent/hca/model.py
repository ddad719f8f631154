"""HCA: hierarchical latent causal factors shared by several domains (Jin, Syrgkanis, Kakade, Zhang 2025).

In domain k, rows are ``x = G z + mu_k`` with latents ``z = A_k z + b_k eps`` in one causal order for all domains and
independent, non-Gaussian eps. With H the pseudo-inverse of G, the ICA unmixing matrix of domain k is ``M_k = B_k H`` up
to the order and signs of its rows, with B_k lower triangular. So row 1 (the root) has the same direction in every
domain, row 2 lies in a plane shared by all, and so on; the method searches the orders of rows that fit this best.

With non-Gaussian noise, a mixing G and a causal order shared by all domains, and one more domain with different weights
than a latent has parents, that latent is identified up to scale and up to adding multiples of latents that precede it
and have all of its children ("surrounded-node ambiguity"). Nothing identifies names of the latents.
"""

from itertools import permutations, product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from causalrep.precision import full_products

SEARCHED_TOGETHER = 1296  # tuples of orders per batch: all of them for three latents in four domains


class Hierarchy(NamedTuple):
    """Latents of one choice of row orders, root first.

    Attributes:
        unmixing: H (d, p), orthonormal rows: latents are ``H x``.
        triangular: B_k (domains, d, d), lower triangular.
        mic: Mechanism inexactness coefficient of each domain (domains,), 0 if and only if the model is exact, below 1.
        rank_one_error: For each latent, the share of its rows' squared residuals outside of one common direction (d,).
    """

    unmixing: Float[Array, "d p"]
    triangular: Float[Array, "domains d d"]
    mic: Float[Array, " domains"]
    rank_one_error: Float[Array, " d"]


class OrderSearch(NamedTuple):
    """The best choice of row orders, and the best for every order of the first domain's components.

    Attributes:
        rows: For the best choice, the component of each domain that is each latent (domains, d).
        score: Its largest MIC over domains.
        scores: The same for each of the d! orders of the first domain's components (d!,), in the order of
            ``itertools.permutations``; their differences show how clear the causal order is.
        choices: Those choices (d!, domains, d).
    """

    rows: Int[Array, "domains d"]
    score: Float[Array, ""]
    scores: Float[Array, " orders"]
    choices: Int[Array, "orders domains d"]


@full_products
def hierarchy(unmixing: Float[Array, "domains d p"]) -> Hierarchy:
    """The latents of unmixing matrices whose rows are in causal order, root first.

    H_i is the leading right singular vector of the domains' i-th rows, projected off H_1, ..., H_{i-1};
    ``B_k = tril(M_k H')`` is the least-squares solution, since H has orthonormal rows.
    """
    d, p = unmixing.shape[1:]
    h, errors = jnp.zeros((d, p), unmixing.dtype), []
    for i in range(d):
        rows = unmixing[:, i]
        rows = rows - (rows @ h.T) @ h
        # The leading right singular vector, by the Gram matrix of a few domains.
        values, vectors = jnp.linalg.eigh(rows @ rows.T)
        direction = vectors[:, -1] @ rows
        h = h.at[i].set(direction / jnp.linalg.norm(direction))
        errors.append(1.0 - values[-1] / jnp.sum(values))
    triangular = jnp.tril(unmixing @ h.T)
    mixed = triangular @ h @ _right_inverse(unmixing)
    return Hierarchy(h, triangular, inexactness(mixed), jnp.stack(errors))


def inexactness(mixed: Float[Array, "domains d d"]) -> Float[Array, " domains"]:
    """MIC: mean over rows of the share of squared entries off the diagonal of ``J_k = B_k H M_k^+``."""
    squared = mixed**2
    return jnp.mean(1.0 - jnp.diagonal(squared, axis1=1, axis2=2) / jnp.sum(squared, axis=2), axis=1)


def search_orders(unmixing: Float[Array, "domains d p"]) -> OrderSearch:
    """Try every tuple of row orders, ``(d!)^domains`` of them, and keep the one with the smallest largest MIC.

    Args:
        unmixing: ICA unmixing matrices of the domains, rows in any order.
    """
    domains, d, _ = unmixing.shape
    orders = np.array(list(permutations(range(d))))
    # The first domain varies slowest: its d! orders are the rows of the table of scores.
    tuples = jnp.asarray(orders[np.array(list(product(range(len(orders)), repeat=domains)))])

    def score(rows: Int[Array, "domains d"]) -> Array:
        return jnp.max(hierarchy(jnp.take_along_axis(unmixing, rows[:, :, None], axis=1)).mic)

    scores = jax.lax.map(score, tuples, batch_size=SEARCHED_TOGETHER).reshape(len(orders), -1)
    best = jnp.argmin(scores, axis=1)
    choices = tuples.reshape(len(orders), -1, domains, d)[jnp.arange(len(orders)), best]
    least = jnp.min(scores, axis=1)
    return OrderSearch(choices[jnp.argmin(least)], jnp.min(least), least, choices)


def in_order(unmixing: Float[Array, "domains d p"], rows: Int[Array, "domains d"]) -> Float[Array, "domains d p"]:
    """Unmixing matrices with their rows in a causal order."""
    return jnp.take_along_axis(unmixing, rows[:, :, None], axis=1)


def structural_weights(
    triangular: Float[Array, "domains d d"],
) -> tuple[Float[Array, "domains d d"], Float[Array, "domains d"]]:
    """``A_k``, strictly lower triangular, and the noises' scales ``b_k`` of ``z = A_k z + b_k eps``."""
    scales = 1.0 / jnp.diagonal(triangular, axis1=1, axis2=2)
    unit = jnp.eye(triangular.shape[-1], dtype=triangular.dtype)
    return jnp.tril(unit - scales[:, :, None] * triangular, -1), scales


def subspace_distance(a: Float[Array, "n p"], b: Float[Array, "m p"], components: int = 3) -> Float[Array, ""]:
    """One minus the mean cosine of the principal angles between the leading principal subspaces of two samples."""
    return 1.0 - jnp.mean(jnp.linalg.svd(_principal(a, components).T @ _principal(b, components), compute_uv=False))


def _principal(x: Float[Array, "n p"], components: int) -> Float[Array, "p d"]:
    center = x - jnp.mean(x, axis=0)
    return jnp.linalg.eigh(center.T @ center)[1][:, -components:]


def _right_inverse(unmixing: Float[Array, "domains d p"]) -> Float[Array, "domains p d"]:
    """``M^+ = M' (M M')^{-1}``, by QR of M'."""
    q, r = jnp.linalg.qr(jnp.swapaxes(unmixing, 1, 2))
    unit = jnp.eye(r.shape[-1], dtype=r.dtype)
    return q @ jax.vmap(lambda r: jax.scipy.linalg.solve_triangular(r, unit, trans=1))(r)
