"""The façade of HCA: latents shared by domains, their causal weights in each, and how sure their order is."""

from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int

from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import as_labels, as_matrix, check_index_alignment, check_range
from causalrep.errors import InputError
from causalrep.keys import root
from causalrep.latent.hca.model import OrderSearch, hierarchy, in_order, search_orders, structural_weights
from causalrep.latent.hca.naming import Named, name_latents
from causalrep.latent.ica import fast_ica
from causalrep.precision import float64

MOST_TUPLES = 10**6
ASSUMPTIONS = (
    "Causal under independent non-Gaussian noises, a linear mixing and a causal order shared by all domains, and "
    "weights that differ between domains. Latents are then identified up to scale and up to multiples of latents "
    "before them that have all of their children; names are by correlation alone."
)


class Padded(NamedTuple):
    """Rows of all domains in one array.

    Attributes:
        x: Rows (domains, n, p), padded with zeros.
        weights: 1 for a row, 0 for padding (domains, n).
    """

    x: Float[Array, "domains n p"]
    weights: Float[Array, "domains n"]


class OrderDraws(NamedTuple):
    """Bootstrap of the causal order.

    Attributes:
        names: For each draw, the variables that name its latents, root first (draws, d).
        score: Largest MIC of each draw (draws,).
    """

    names: Int[Array, "draws d"]
    score: Float[Array, " draws"]


def pad(x: np.ndarray, domain: np.ndarray) -> Padded:
    """Rows by domain, side by side."""
    blocks = [x[domain == code] for code in range(domain.max() + 1)]
    longest = max(map(len, blocks))
    filled = np.stack([np.pad(block, ((0, longest - len(block)), (0, 0))) for block in blocks])
    return Padded(jnp.asarray(filled), jnp.stack([jnp.arange(longest) < len(block) for block in blocks]).astype(float))


def unmix_domains(key: jax.Array, rows: Padded, latents: int, restarts: int) -> Float[Array, "domains d p"]:
    """The ICA unmixing matrix of every domain."""

    def one(domain: tuple[jax.Array, Array, Array]) -> Array:
        key, x, weights = domain
        return fast_ica(key, x, latents, weights=weights, restarts=restarts).unmixing

    return jax.lax.map(one, (jax.random.split(key, len(rows.x)), *rows))


@partial(jax.jit, static_argnames=("latents", "restarts", "draws"))
def bootstrap_orders(
    key: jax.Array, rows: Padded, *, latents: int = 3, restarts: int = 5, draws: int = 200
) -> OrderDraws:
    """Draw rows of every domain anew, with replacement, and search the causal order of each draw.

    Rows count as independent. Models merged from one another are not, so that intervals from this are too short.
    """

    def draw(key: jax.Array) -> tuple[Array, Array]:
        ica_key, *keys = jax.random.split(key, len(rows.x) + 1)
        weights = jax.vmap(_counts)(jnp.stack(keys), rows.weights)
        unmixing = unmix_domains(ica_key, rows._replace(weights=weights), latents, restarts)
        found = search_orders(unmixing)
        together = rows.x.reshape(-1, rows.x.shape[2])
        named = name_latents(hierarchy(in_order(unmixing, found.rows)), together, weights.reshape(-1))
        return named.variable, found.score

    return OrderDraws(*jax.lax.map(draw, jax.random.split(key, draws)))


def _counts(key: jax.Array, weights: Float[Array, " n"]) -> Float[Array, " n"]:
    """How often a bootstrap sample draws each row; padding comes last and is never drawn."""
    n = jnp.sum(weights)
    chosen = jnp.floor(jax.random.uniform(key, weights.shape) * n).astype(jnp.int32)
    return jnp.zeros_like(weights).at[chosen].add(weights)


class HCA(Estimator):
    """Hierarchical causal factors of scores that several domains share, such as benchmarks of language models.

    Args:
        latents: d.
        restarts: Of the ICA in each domain; the solution with the largest negentropy gap counts.
        seed: Of all randomness.

    Attributes:
        named_: Latents on the scales of the variables they are named after (:class:`Named`).
        search_: Scores of all causal orders (:class:`OrderSearch`).
        mic_: Mechanism inexactness of each domain, a Series; 0 iff the model is exact. It has a floor in finite
            samples, near 0.05 at 400 rows.
        weights_: A_k (domains, d, d): entry (i, j) is the effect of latent j on latent i.
        scales_: b_k (domains, d).
        domains_: Labels of the domains.
        names_: The variable that each latent is named after, root first.

    >>> HCA(restarts=5)
    HCA(restarts=5)
    """

    def __init__(self, latents: int = 3, *, restarts: int = 20, seed: int = 0):
        self.latents = latents
        self.restarts = restarts
        self.seed = seed

    def fit(self, X: Any, domain: Any) -> Self:
        """Fit the latents.

        Args:
            X: Scores (n, p), not standardised.
            domain: Label of each row's domain (n,), at least two.

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument is wrong, or domains and latents are too many to try all orders.
        """
        check_index_alignment(X=X, domain=domain)
        x, self.feature_names_ = as_matrix("X", X)
        codes = as_labels("domain", domain, rows=len(x))
        self.domains_ = pd.unique(np.asarray(domain).reshape(-1)).tolist()
        self._check(x, codes)
        self.rows_, self.n_obs_ = (x, codes), len(x)
        with float64():
            unmixing = unmix_domains(root(self.seed), pad(x, codes), self.latents, self.restarts)
            self.search_: OrderSearch = jax.jit(search_orders)(unmixing)
            found = hierarchy(in_order(unmixing, self.search_.rows))
            self.named_: Named = name_latents(found, jnp.asarray(x))
            weights, scales = structural_weights(self.named_.triangular)
        self.mic_ = pd.Series(np.asarray(found.mic), index=self.domains_, name="MIC")
        self.weights_, self.scales_ = np.asarray(weights), np.asarray(scales)
        self.names_ = [self.feature_names_[int(c)] for c in self.named_.variable]
        return self

    def _check(self, x: np.ndarray, codes: np.ndarray) -> None:
        d, domains = self.latents, len(self.domains_)
        check_range("latents", d, at_least=2, at_most=x.shape[1])
        check_range("restarts", self.restarts, at_least=1)
        fewest = int(np.bincount(codes).min())
        if fewest <= 2 * x.shape[1]:
            raise InputError("domain", found=f"a domain with {fewest} rows", expected=f"over {2 * x.shape[1]}")
        tuples = float(np.prod(np.arange(1.0, d + 1))) ** domains
        if tuples > MOST_TUPLES:
            raise InputError("domain", found=f"{domains} domains, {tuples:.1g} tuples of orders", expected="fewer")

    def transform(self, X: Any) -> np.ndarray:
        """Latents of rows (n, d), root first, on the scales of the variables that name them."""
        unmixing = self.named_.unmixing
        x, _ = as_matrix("X", X)
        if x.shape[1] != unmixing.shape[1]:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{unmixing.shape[1]}, as in fit")
        return x @ np.asarray(unmixing).T

    def order_frequencies(self, draws: int = 200) -> pd.Series:
        """Share of bootstrap draws in which the latents bear each sequence of names: how sure their order is."""
        check_range("draws", draws, at_least=1)
        with float64():
            rows = pad(*self.rows_)
            found = bootstrap_orders(root(self.seed), rows, latents=self.latents, draws=draws)
        sequences = [" -> ".join(self.feature_names_[int(c)] for c in row) for row in found.names]
        return pd.Series(sequences).value_counts(normalize=True).rename("share")

    def summary(self) -> Summary:
        """The latents, root first: their names, how well these fit, and mean weights over domains."""
        best = np.asarray(self.named_.r2).max(axis=1)
        table = pd.DataFrame({"named after": self.names_, "R2": best}, index=[f"z{i + 1}" for i in range(self.latents)])
        for j in range(self.latents - 1):
            table[f"mean effect of z{j + 1}"] = self.weights_[:, :, j].mean(axis=0)
        second = np.sort(np.asarray(self.search_.scores))[:2]
        facts = [
            ("Domains", ", ".join(map(str, self.domains_))),
            ("Rows", str(self.n_obs_)),
            ("Largest MIC", f"{second[0]:.4f} (next best order {second[1]:.4f})"),
        ]
        notes = ["order_frequencies() tells how often a bootstrap sample gives the same order.", ASSUMPTIONS]
        return Summary("Hierarchical causal factors (HCA)", facts, table, notes)
