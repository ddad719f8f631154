"""The HCA estimator: latents shared by domains, their causal weights in each, and the uncertainty of their order."""

from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from causalrep.base.domains import Domain, Whole
from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import check_counts, check_range
from causalrep.errors import InputError
from causalrep.keys import derive, root
from causalrep.latent.environments.door import Labelled, as_labelled
from causalrep.latent.hca.fit import bootstrap_orders, pad, unmix_domains
from causalrep.latent.hca.model import OrderSearch, hierarchy, in_order, search_orders, structural_weights
from causalrep.latent.hca.naming import Named, name_latents

MOST_TUPLES = 10**6
ASSUMPTIONS = (
    "Causal under independent non-Gaussian noises, a linear mixing and a causal order shared by all domains, and "
    "weights that differ between domains. Latents are then identified up to scale and up to multiples of latents "
    "before them that have all of their children; names are by correlation alone."
)


class HCA(Estimator):
    """Hierarchical causal factors of scores that several domains share, such as benchmarks of language models.

    Args:
        latents: d, the number of latents.
        restarts: Starts of the ICA in each domain; the solution with the largest negentropy gap is kept.
        seed: Random seed.

    Attributes:
        named_: Latents on the scales of the variables they are named after
            (:class:`~causalrep.latent.hca.naming.Named`).
        search_: Scores of all causal orders (:class:`~causalrep.latent.hca.model.OrderSearch`).
        mic_: Mechanism inexactness of each domain, a Series; 0 if and only if the model is exact. In finite samples it
            has a floor, near 0.05 at 400 rows.
        weights_: A_k (domains, d, d): entry (i, j) is the effect of latent j on latent i.
        scales_: b_k (domains, d).
        domains_: Labels of the domains.
        names_: The variable that each latent is named after, root first.

    >>> HCA(restarts=5)
    HCA(restarts=5)
    """

    _domains: ClassVar[dict[str, Domain]] = {"latents": Whole(2), "restarts": Whole(), "seed": Whole(None)}

    def __init__(self, latents: int = 3, *, restarts: int = 20, seed: int = 0):
        self.latents = latents
        self.restarts = restarts
        self.seed = seed

    def fit(self, X: Any, domain: Any) -> Self:
        """Fit the latents.

        Args:
            X: Scores (n, p), not standardized.
            domain: Label of each row's domain (n,), at least two.

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument is wrong, or domains and latents are too many to try all orders.
        """
        self._check_domains()
        rows = as_labelled("domain", X, domain)
        self._check(rows)
        self.domains_, self.columns_, self.feature_names_ = rows.labels, rows.columns, list(rows.columns.names)
        self.rows_, self.n_obs_ = (rows.x, rows.codes), len(rows.x)
        with self._computing():
            unmixing = unmix_domains(root(self.seed), pad(*self.rows_), self.latents, self.restarts)
            search: OrderSearch = jax.jit(search_orders)(unmixing)
            latents = hierarchy(in_order(unmixing, search.rows))
            named: Named = name_latents(latents, jnp.asarray(rows.x))
            weights, scales = structural_weights(named.triangular)
        # NumPy's arrays keep float64 wherever they are unpickled.
        self.search_, self.named_ = jax.device_get((search, named))
        self.mic_ = pd.Series(np.asarray(latents.mic), index=self.domains_, name="MIC")
        self.weights_, self.scales_ = np.asarray(weights), np.asarray(scales)
        self.names_ = [self.feature_names_[int(c)] for c in self.named_.variable]
        return self

    def _check(self, rows: Labelled) -> None:
        d, columns, domains = self.latents, rows.x.shape[1], len(rows.labels)
        check_range("latents", d, at_most=columns)
        fewest = int(np.bincount(rows.codes).min())
        if fewest <= 2 * columns:
            raise InputError("domain", found=f"a domain with {fewest} rows", expected=f"over {2 * columns}")
        # (d!)^domains: one order of the components for each domain.
        tuples = float(np.prod(np.arange(1.0, d + 1))) ** domains
        if tuples > MOST_TUPLES:
            raise InputError("domain", found=f"{domains} domains, {tuples:.1g} tuples of orders", expected="fewer")

    def transform(self, X: Any) -> Float[np.ndarray, "n d"]:
        """Latents of rows, root first, on the scales of the variables that name them."""
        unmixing = np.asarray(self.named_.unmixing)
        return self.columns_.match(X) @ unmixing.T

    def order_frequencies(self, draws: int = 200) -> pd.Series:
        """Share of bootstrap draws with each sequence of names, root first: how certain the order is."""
        check_counts(draws=draws)
        with self._computing():
            key = derive(root(self.seed), "bootstrap")
            orders = bootstrap_orders(key, pad(*self.rows_), latents=self.latents, draws=draws)
        sequences = [" -> ".join(self.feature_names_[int(c)] for c in row) for row in orders.names]
        return pd.Series(sequences).value_counts(normalize=True).rename("share")

    def summary(self) -> Summary:
        """The latents, root first: their names and the names' R^2, and mean weights over domains."""
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
        notes = ["order_frequencies() gives the share of bootstrap samples with the same order.", ASSUMPTIONS]
        return Summary("Hierarchical causal factors (HCA)", facts, table, notes)
