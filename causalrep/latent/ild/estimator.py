"""The façade of ILD, with scikit-learn's habits: ``fit``, ``transform``, ``counterfactual``."""

from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import as_labels, as_matrix, check_index_alignment, check_range
from causalrep.errors import DivergenceError, InputError
from causalrep.keys import root
from causalrep.latent.domains import domain_codes
from causalrep.latent.ild.annealing import fit_ild_annealed
from causalrep.latent.ild.family import ILDFamily, Kind
from causalrep.latent.ild.fit import ILDRows
from causalrep.latent.ild.model import ILDModel, Mixing, counterfactual, log_likelihood, noise_of, unmix

ASSUMPTIONS = (
    "Data alone identify no counterfactual. These rest on an invertible mixing shared by all domains, latent "
    "mechanisms monotone in their noise, and at most k of them differing between domains (sparse mechanism shifts)."
)


class ILD(Estimator):
    """What would a row have been, had it come from another domain? Invertible latent domain causal models.

    The mixing is a leaky ReLU between linear maps and the latent mechanisms are affine, fitted by maximum likelihood
    with :func:`causalrep.latent.fit_ild_annealed`. No interval comes with a counterfactual: models that fit equally
    well may differ in it, and no sampling theory covers that.

    Args:
        k: Latents whose mechanisms may differ between domains; ``"auto"`` takes the fewest whose held-out likelihood is
            within ``tolerance`` of the dense model's, at the cost of as many fits as there are latents.
        kind: The family, ``"relax-can"``, ``"can"``, ``"dense"`` or ``"independent"``; see
            :mod:`causalrep.latent.ild.family`.
        slope: Of the leaky ReLU; 1 for a linear mixing.
        tolerance: Nats a row, for ``k="auto"``.
        starts: Starts of each round of the search.
        rounds: Rounds of the search.
        steps: Updates of each start.
        batch_size: Rows a step.
        validation_share: Share of the rows held out to judge fits.
        seed: Of all randomness.

    Attributes:
        model_: The fitted :class:`ILDModel`, in the units of the data.
        k_: Latents whose mechanisms may differ; as many as there are for the dense families.
        domains_: Labels of the domains, in order of appearance.
        validation_nll_: Mean negative log-likelihood of the held-out rows, in nats.
        path_: The same for every k tried and the dense model, for ``k="auto"``.
        n_features_in_: Number of observed variables, and of latents.

    >>> ILD(k=2, seed=7)
    ILD(k=2, seed=7)
    """

    def __init__(
        self,
        k: int | Literal["auto"] = "auto",
        *,
        kind: Kind = "relax-can",
        slope: float = 0.5,
        tolerance: float = 0.1,
        starts: int = 8,
        rounds: int = 8,
        steps: int = 2000,
        batch_size: int = 500,
        validation_share: float = 0.1,
        seed: int = 0,
    ):
        self.k = k
        self.kind = kind
        self.slope = slope
        self.tolerance = tolerance
        self.starts = starts
        self.rounds = rounds
        self.steps = steps
        self.batch_size = batch_size
        self.validation_share = validation_share
        self.seed = seed

    # ---------------------------------------------------------------- fitting

    def fit(self, X: Any, domain: Any) -> Self:
        """Fit the model.

        Args:
            X: Observations (n, m), at least two columns.
            domain: Label of each row's domain (n,), at least two domains.

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument or hyperparameter is wrong; the message names it.
            DivergenceError: If no start ends with a finite likelihood.
        """
        check_index_alignment(X=X, domain=domain)
        x, names = as_matrix("X", X)
        codes = as_labels("domain", domain, rows=len(x))
        self._check(x, codes)
        self.domains_ = pd.unique(np.asarray(domain).reshape(-1)).tolist()
        self.n_features_in_, self.feature_names_, self.n_obs_ = x.shape[1], names, len(x)
        mean, scale = x.mean(axis=0), x.std(axis=0)
        if not (scale > 0).all():
            raise InputError("X", found=f"a constant column {names[int(np.argmin(scale))]!r}", expected="none")
        train, validation = self._split((x - mean) / scale, codes)
        families = self._families(x.shape[1])
        fits = {name: self._fit_one(family, train, validation) for name, family in families.items()}
        chosen = self._choose(fits)
        # Densities change by the units; log |d x / d standardised x| turns one into the other.
        offset = float(np.sum(np.log(scale)))
        self.path_ = {name: loss + offset for name, (_, loss) in fits.items()}
        self.validation_nll_ = self.path_[chosen]
        self.family_ = families[chosen]
        self.k_ = self.family_.specific
        self.model_ = in_units(self.family_.model(fits[chosen][0]), mean, scale)
        return self

    def _check(self, x: np.ndarray, codes: np.ndarray) -> None:
        if x.shape[1] < 2:
            raise InputError("X", found="one column", expected="at least two observed variables")
        if self.k != "auto" and (isinstance(self.k, bool) or not isinstance(self.k, int)):
            raise InputError("k", found=repr(self.k), expected="'auto' or a whole number of latents")
        check_range("tolerance", self.tolerance, at_least=0)
        check_range("validation_share", self.validation_share, above=0, below=1)
        for argument in ("starts", "rounds", "steps", "batch_size"):
            check_range(argument, getattr(self, argument), at_least=1)
        fewest, needed = int(np.bincount(codes).min()), 5 * x.shape[1]
        if fewest < needed:
            raise InputError("domain", found=f"a domain with {fewest} rows", expected=f"at least {needed}, 5 a column")

    def _families(self, m: int) -> dict[str, ILDFamily]:
        def family(kind: Kind, k: int) -> ILDFamily:
            return ILDFamily(kind, len(self.domains_), m, k, slope=self.slope)

        if self.k != "auto" or self.kind not in ("relax-can", "can"):
            return {"asked for": family(self.kind, 1 if self.k == "auto" else self.k)}
        return {f"k={k}": family(self.kind, k) for k in range(1, m)} | {"dense": family("dense", 1)}

    def _choose(self, fits: dict[str, tuple]) -> str:
        """The first of the fits, sparsest first, that is nearly as likely as the dense one, the last."""
        reference = list(fits.values())[-1][1]
        return next(name for name, (_, loss) in fits.items() if loss <= reference + self.tolerance)

    def _split(self, x: np.ndarray, codes: np.ndarray) -> tuple[ILDRows, ILDRows]:
        order = np.asarray(jax.random.permutation(root(self.seed), len(x)))
        rows = ILDRows(jnp.asarray(x[order], jnp.float32), jnp.asarray(codes[order], jnp.int32))
        held_out = max(1, round(self.validation_share * len(x)))
        return jax.tree.map(lambda a: a[held_out:], rows), jax.tree.map(lambda a: a[:held_out], rows)

    def _fit_one(self, family: ILDFamily, train: ILDRows, validation: ILDRows) -> tuple:
        found = fit_ild_annealed(
            root(self.seed),
            family,
            train,
            validation,
            starts=self.starts,
            rounds=self.rounds,
            steps=self.steps,
            batch_size=min(self.batch_size, len(train.domain)),
        )
        if not np.isfinite(found.best_loss):
            raise DivergenceError("Every start diverged: look for outliers in X, or try another seed.", step=0)
        return found.params, float(found.best_loss)

    # ---------------------------------------------------------------- answers

    def counterfactual(self, X: Any, domain: Any, target: Any) -> np.ndarray:
        """What rows would have been in another domain.

        Args:
            X: Rows (n, m).
            domain: The domain each came from: one label, or (n,).
            target: The domain to imagine them in: one label, or (n,).
        """
        x = self._rows(X)
        codes = [self._codes(name, labels, len(x)) for name, labels in (("domain", domain), ("target", target))]
        return np.asarray(counterfactual(self.model_, x, *codes))

    def transform(self, X: Any) -> np.ndarray:
        """Latents ``g^{-1}(x)`` (n, m): those of one model of the class that gives the same counterfactuals."""
        if self.kind == "independent":
            raise InputError("kind", found="'independent'", expected="a shared mixing, for latents without a domain")
        return np.asarray(unmix(self.model_.mixing, self._rows(X))[0][:, 0])

    def noise(self, X: Any, domain: Any) -> np.ndarray:
        """Noise behind each row (n, m), standard normal in every domain if the model fits."""
        x = self._rows(X)
        return np.asarray(noise_of(self.model_, x, self._codes("domain", domain, len(x))))

    def score(self, X: Any, domain: Any) -> float:
        """Mean log-likelihood of rows given their domains, in nats."""
        x = self._rows(X)
        return float(jnp.mean(log_likelihood(self.model_, x, self._codes("domain", domain, len(x)))))

    def summary(self) -> Summary:
        """Held-out fits, the identity map's place, and the assumptions behind every counterfactual."""
        table = pd.DataFrame({"held-out NLL, nats": self.path_})
        facts = [
            ("Family", self.family_.kind),
            ("Domain-specific latents", f"{self.k_} of {self.n_features_in_}"),
            ("Domains", ", ".join(map(str, self.domains_))),
            ("Rows", str(self.n_obs_)),
        ]
        notes = [
            "No interval: models that fit equally well may answer differently.",
            ASSUMPTIONS,
            "Compare with the identity map, which answers that nothing would have changed: a dense fit is often worse.",
        ]
        return Summary("Invertible latent domain model (ILD)", facts, table, notes)

    def _rows(self, X: Any) -> jax.Array:
        model = self.model_  # before the rows: an error about fitting comes first
        x, _ = as_matrix("X", X)
        if x.shape[1] != self.n_features_in_:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{self.n_features_in_}, as in fit")
        return jnp.asarray(x, model.scm.scales.dtype)

    def _codes(self, argument: str, labels: Any, rows: int) -> jax.Array:
        return domain_codes(argument, labels, domains=self.domains_, rows=rows)


def in_units(model: ILDModel, mean: np.ndarray, scale: np.ndarray) -> ILDModel:
    """A model of standardised data, as one of the data."""
    mixing: Mixing = model.mixing
    return model._replace(
        mixing=mixing._replace(
            matrix=mixing.matrix * jnp.asarray(scale, mixing.matrix.dtype)[:, None],
            shift=mixing.shift * jnp.asarray(scale, mixing.shift.dtype) + jnp.asarray(mean, mixing.shift.dtype),
        )
    )
