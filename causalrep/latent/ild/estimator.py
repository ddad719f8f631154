"""The ILD estimator: ``fit``, ``transform``, ``counterfactual``."""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int

from causalrep.base.domains import Choice, Domain, Either, Real, Whole
from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.errors import DivergenceError, InputError
from causalrep.keys import derive, root
from causalrep.latent.environments.door import Labelled, as_labelled, column_scaling, known_codes
from causalrep.latent.environments.rows import hold_out
from causalrep.latent.ild import annealing
from causalrep.latent.ild.annealing import fit_ild_annealed
from causalrep.latent.ild.family import KINDS, ILDFamily, ILDParams, Kind
from causalrep.latent.ild.model import ILDModel, counterfactual, log_likelihood, noise_of, unmix
from causalrep.latent.ild.objective import ILDRows
from causalrep.training import Schedule
from causalrep.training.rows import InSchedule, Scaling, check_schedule

DEFAULT = dataclasses.replace(annealing.DEFAULT, validation_share=0.1)
FEWEST = 5  # rows per column in each domain
ASSUMPTIONS = (
    "Data alone identify no counterfactual. These rest on an invertible mixing shared by all domains, latent "
    "mechanisms monotone in their noise, and at most k of them differing between domains (sparse mechanism shifts)."
)


class ILD(Estimator):
    """What would a row have been, had it come from another domain? Invertible latent domain causal models.

    The mixing is a leaky ReLU between linear maps and the latent mechanisms are affine, fitted by maximum likelihood
    with :func:`causalrep.latent.fit_ild_annealed`. A counterfactual has no interval: models that fit equally well may
    differ in it, and no sampling theory covers that.

    Args:
        k: Number of latents whose mechanisms may differ between domains; ``"auto"`` takes the fewest whose held-out
            likelihood is within ``tolerance`` of the dense model's, which takes as many fits as there are latents.
        kind: The family, ``"relax-can"``, ``"can"``, ``"dense"`` or ``"independent"``; see
            :mod:`causalrep.latent.ild.family`.
        slope: Slope of the leaky ReLU below zero; 1 for a linear mixing.
        tolerance: Nats per row, for ``k="auto"``.
        starts: Starts per round of the search.
        rounds: Rounds of the search.
        schedule: Updates of each start, batch size, learning rate, and the share of rows held out to judge fits.
        seed: Random seed.

    Attributes:
        model_: The fitted :class:`~causalrep.latent.ild.model.ILDModel`, in the units of the data.
        k_: Number of latents whose mechanisms may differ; all of them for the dense families.
        domains_: Labels of the domains, in order of appearance.
        validation_nll_: Mean negative log-likelihood of the held-out rows, in nats.
        path_: The same for every k tried and the dense model, for ``k="auto"``.
        n_features_in_: Number of observed variables, and of latents.

    >>> ILD(k=2, seed=7)
    ILD(k=2, seed=7)
    """

    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "k": Either(Whole(), Choice("auto")),
        "kind": Choice(*KINDS),
        "slope": Real(above=0, at_most=1),
        "tolerance": Real(at_least=0),
        "starts": Whole(),
        "rounds": Whole(),
        "schedule": InSchedule(DEFAULT),
        "seed": Whole(None),
    }

    def __init__(
        self,
        k: int | Literal["auto"] = "auto",
        *,
        kind: Kind = "relax-can",
        slope: float = 0.5,
        tolerance: float = 0.1,
        starts: int = 8,
        rounds: int = 8,
        schedule: Schedule = DEFAULT,
        seed: int = 0,
    ):
        self.k = k
        self.kind = kind
        self.slope = slope
        self.tolerance = tolerance
        self.starts = starts
        self.rounds = rounds
        self.schedule = schedule
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
        self._check_domains()
        rows = as_labelled("domain", X, domain)
        schedule = self._check(rows)
        self.domains_, self.columns_, self.feature_names_ = rows.labels, rows.columns, list(rows.columns.names)
        self.n_obs_, self.n_features_in_ = rows.x.shape
        scaling = column_scaling("X", rows.x, rows.columns.names)
        families = self._families(self.n_features_in_)
        with self._computing():
            coded = ILDRows(jnp.asarray(scaling.apply(rows.x), jnp.float32), jnp.asarray(rows.codes))
            train, validation = hold_out(derive(root(self.seed), "rows"), coded, schedule.validation_share)
            batch_size = min(schedule.batch_size, len(train.domain))
            schedule = dataclasses.replace(schedule, batch_size=batch_size).without("validation_share")
            fits = {name: self._fit_one(family, train, validation, schedule) for name, family in families.items()}
            chosen = self._choose(fits)
            self.family_ = families[chosen]
            self.model_ = in_units(self.family_.model(fits[chosen][0]), scaling)
        # Densities depend on the units: log p(x) = log p(standardized x) - sum of the log scales.
        offset = float(np.sum(np.log(scaling.std)))
        self.path_ = {name: loss + offset for name, (_, loss) in fits.items()}
        self.validation_nll_, self.k_ = self.path_[chosen], self.family_.specific
        return self

    def _check(self, rows: Labelled) -> Schedule:
        columns = rows.x.shape[1]
        if columns < 2:
            raise InputError("X", found="one column", expected="at least two observed variables")
        fewest, needed = int(np.bincount(rows.codes).min()), FEWEST * columns
        if fewest < needed:
            expected = f"at least {needed}, {FEWEST} per column"
            raise InputError("domain", found=f"a domain with {fewest} rows", expected=expected)
        return check_schedule(self.schedule, DEFAULT)

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

    def _fit_one(
        self, family: ILDFamily, train: ILDRows, validation: ILDRows, schedule: Schedule
    ) -> tuple[ILDParams, float]:
        result = fit_ild_annealed(
            root(self.seed), family, train, validation, starts=self.starts, rounds=self.rounds, schedule=schedule
        )
        if not np.isfinite(result.best_loss):
            raise DivergenceError("Every start diverged: look for outliers in X, or try another seed.", step=0)
        return result.params, float(result.best_loss)

    # ---------------------------------------------------------------- answers

    def counterfactual(self, X: Any, domain: Any, target: Any) -> Float[np.ndarray, "n m"]:
        """What rows would have been in another domain.

        Args:
            X: Rows (n, m).
            domain: The domain each row came from: one label, or (n,).
            target: The domain to imagine it in: one label, or (n,).
        """
        with self._computing():
            x = self._rows(X)
            source, aim = self._codes("domain", domain, len(x)), self._codes("target", target, len(x))
            return np.asarray(counterfactual(self.model_, x, source, aim))

    def transform(self, X: Any) -> Float[np.ndarray, "n m"]:
        """Latents ``g^{-1}(x)``: those of one model of the class that gives the same counterfactuals."""
        if self.kind == "independent":
            raise InputError("kind", found="'independent'", expected="a shared mixing, for latents without a domain")
        with self._computing():
            return np.asarray(unmix(self.model_.mixing, self._rows(X))[0][:, 0])

    def noise(self, X: Any, domain: Any) -> Float[np.ndarray, "n m"]:
        """Noise behind each row, standard normal in every domain if the model fits."""
        with self._computing():
            x = self._rows(X)
            return np.asarray(noise_of(self.model_, x, self._codes("domain", domain, len(x))))

    def score(self, X: Any, domain: Any) -> float:
        """Mean log-likelihood of rows given their domains, in nats."""
        with self._computing():
            x = self._rows(X)
            return float(jnp.mean(log_likelihood(self.model_, x, self._codes("domain", domain, len(x)))))

    def summary(self) -> Summary:
        """Held-out likelihoods, and the assumptions behind every counterfactual."""
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

    def _rows(self, X: Any) -> Float[Array, "n m"]:
        model = self.model_  # before the rows: an error about fitting comes first
        return jnp.asarray(self.columns_.match(X), model.scm.scales.dtype)

    def _codes(self, argument: str, labels: Any, rows: int) -> Int[jax.Array, " n"]:
        return known_codes(argument, labels, known=self.domains_, rows=rows)


def in_units(model: ILDModel, scaling: Scaling) -> ILDModel:
    """A model of standardized data as a model of the data: ``x = mean + std (G a(z) + c)``."""
    mixing: Any = model.mixing
    matrix, shift = mixing.matrix, mixing.shift
    mean, std = (jnp.asarray(part, matrix.dtype) for part in scaling)
    return model._replace(mixing=mixing._replace(matrix=matrix * std[:, None], shift=shift * std + mean))
