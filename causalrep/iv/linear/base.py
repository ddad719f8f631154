"""The abstract base of the linear instrumental-variable estimators: ``fit``, inference, ``summary``.

A new estimator subclasses :class:`LinearIVEstimator` and supplies one method, ``_estimate``, which takes arrays and
a :class:`~causalrep.inference.sandwich.Covariance` and returns a :class:`~causalrep.iv.linear.kclass.LinearFit`.
Names, checks, precision, intervals and printing are here.
"""

import warnings
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import stats

from causalrep.base.domains import Choice, Domain, Flag, Optional, Whole
from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import (
    CONSTANT,
    as_matrix,
    check_index_alignment,
    check_range,
    check_time_order,
)
from causalrep.errors import CausalrepWarning, InputError, NoIntervalError
from causalrep.inference.sandwich import KINDS, Covariance, fitted_exactly, leverages
from causalrep.iv.design import Design, check_covariance, make_design
from causalrep.iv.linear.instruments import InstrumentReports
from causalrep.iv.linear.kclass import LinearFit

# Why estimators between OLS and 2SLS have no interval.
SHRINKAGE = (
    "the estimate is shrunk from 2SLS towards OLS on purpose, and its bias for the structural "
    "coefficient depends on the confounding, which the data do not reveal. For intervals use "
    "TwoStageLeastSquares, LIML or a weak-instrument-robust set."
)


@jax.jit
def _exact_rows(z, c):
    return fitted_exactly(leverages(z if c is None else jnp.column_stack([c, z])))


def refuse_exact_rows(z: Any, c: Any, expected: str) -> None:
    """Refuse rows of leverage one, for estimators that need a residual of each row's own."""
    exact = np.flatnonzero(_exact_rows(z, c))
    if len(exact):
        listed = f"{exact[:5].tolist()}{', ...' if len(exact) > 5 else ''}"
        found = f"rows {listed} that instruments and controls fit exactly (leverage one)"
        raise InputError("Z", found=found, expected=expected)


class LinearIVEstimator(Estimator, InstrumentReports):
    """Abstract base of the linear estimators; see a subclass for use.

    To write an estimator, set the class attributes that differ and define::

        def _estimate(self, y, x, z, c, covariance) -> LinearFit:
            return my_pure_function(y, x, z, c, covariance=covariance)

    ``_estimate`` runs inside float64 with arrays ``y`` (n,), ``x`` (n, p), ``z`` (n, k) or None, and ``c``
    (n, q), the constant last, or None. The constructor takes hyperparameters only and stores each under its
    own name; a subclass with further hyperparameters passes the shared ones to ``super().__init__``.

    Args:
        covariance: ``"homoskedastic"``, ``"HC0"`` to ``"HC3"``, ``"cluster"`` (needs ``clusters`` in ``fit``)
            or ``"HAC"`` (rows in time order).
        fit_intercept: Whether to add a constant to the controls.
        debiased: Whether to apply small-sample factors to homoskedastic, cluster and HAC covariances, and to use
            Student t reference distributions, with n - m degrees of freedom, or G - 1 for G clusters; otherwise
            the normal distribution is the reference.
        bandwidth: Number of lags for ``"HAC"``; None selects it from the data.

    Attributes:
        coef_: Coefficients of the treatments, the controls and the intercept, in this order (m,).
        names_: Names of the coefficients.
        intercept_: The intercept, or 0.0 without one.
        cov_: Covariance of ``coef_`` (m, m).
        stderr_: Standard errors (m,).
        tvalues_: ``coef_ / stderr_``.
        pvalues_: Two-sided p-values of zero coefficients.
        residuals_: ``Y - T b - X g`` (n,).
        kappa_: The k-class parameter, if the estimator has one.
        dof_: n - m.
        n_obs_: n.
        design_: The checked data, for diagnostics.
    """

    _title = "Linear estimator"
    _uses_instruments = True
    _needs_identification = True
    _kinds: tuple[str, ...] = KINDS
    _no_interval: str | None = None
    _domains: ClassVar[dict[str, Domain]] = {
        "covariance": Choice(*KINDS),
        "fit_intercept": Flag(),
        "debiased": Flag(),
        "bandwidth": Optional(Whole(0)),
    }

    def __init__(
        self,
        *,
        covariance: str = "homoskedastic",
        fit_intercept: bool = True,
        debiased: bool = True,
        bandwidth: int | None = None,
    ):
        self.covariance = covariance
        self.fit_intercept = fit_intercept
        self.debiased = debiased
        self.bandwidth = bandwidth

    # ---------------------------------------------------------------- fitting

    def fit(self, Y: Any, T: Any, *, X: Any = None, Z: Any = None, clusters: Any = None) -> Self:
        """Fit the structural equation ``Y = T b + X g + e``.

        Args:
            Y: Outcome (n,): array, Series or one-column frame.
            T: Endogenous treatments (n,) or (n, p).
            X: Exogenous controls (n, q), which also serve as their own instruments.
            Z: Excluded instruments (n, k). Estimators without instruments ignore it.
            clusters: Group labels (n,) of any type, for ``covariance="cluster"``.

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument is wrong; the message names it, what was found and what was expected.
        """
        self._check_domains()
        check_covariance(self.covariance, clusters, kinds=self._kinds)
        if self.covariance == "HAC":
            check_time_order("Y", Y)
        design = make_design(
            Y,
            T,
            X,
            Z,
            clusters,
            fit_intercept=self.fit_intercept,
            needs_instruments=self._uses_instruments,
            identified=self._needs_identification,
        )
        with self._computing():
            y, x, z, c, _ = jax.tree.map(jnp.asarray, design.system)
            fit = self._estimate(y, x, z, c, self._covariance(design))
            self._store(design, jax.tree.map(np.asarray, fit))
        return self

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        """The estimate from checked float64 arrays: the one method that a subclass supplies."""
        raise TypeError(f"{type(self).__name__} must define _estimate(y, x, z, c, covariance)")

    def _covariance(self, design: Design) -> Covariance:
        clustered = self.covariance == "cluster"
        return Covariance(
            kind=self.covariance,
            debiased=self.debiased,
            clusters=jnp.asarray(design.clusters) if clustered else None,
            n_clusters=design.n_clusters if clustered else None,
            bandwidth=self.bandwidth if self.covariance == "HAC" else None,
        )

    def _store(self, design: Design, fit: Any) -> None:
        self.design_ = design
        self.coef_, self.cov_, self.residuals_ = fit.coef, fit.cov, fit.residuals
        self.dof_ = int(fit.dof)
        if hasattr(fit, "kappa"):
            self.kappa_ = float(fit.kappa)
        self.names_ = design.coefficient_names
        self.intercept_ = float(fit.coef[-1]) if self.fit_intercept else 0.0
        self.n_obs_ = len(fit.residuals)
        self.stderr_ = np.sqrt(np.diagonal(fit.cov))
        with np.errstate(divide="ignore", invalid="ignore"):
            self.tvalues_ = self.coef_ / self.stderr_
        self.pvalues_ = 2 * self._reference().sf(np.abs(self.tvalues_))
        self._warn_unknown_errors()

    def _warn_unknown_errors(self) -> None:
        if self._no_interval is not None:
            return
        unknown = [name for name, se in zip(self.names_, self.stderr_) if not np.isfinite(se)]
        if unknown and self.covariance in ("HC2", "HC3"):
            warnings.warn(
                f"{self.covariance} has no standard errors for {unknown}: a row with leverage one (a dummy of one row, "
                "for instance) determines them, and it is fitted exactly. The other standard errors stand.",
                CausalrepWarning,
                stacklevel=4,
            )
        y = self.design_.y
        if y is not None and np.abs(self.residuals_).max() <= CONSTANT * np.abs(y).max():
            warnings.warn(
                "The residuals are zero up to rounding: is the outcome a function of the regressors? Standard errors "
                "and p-values mean nothing.",
                CausalrepWarning,
                stacklevel=4,
            )

    # ---------------------------------------------------------------- inference

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Wald intervals of level ``1 - alpha``: columns ``lower`` and ``upper``, indexed by name.

        Raises:
            NoIntervalError: If the estimator has no valid interval; the message says why.
        """
        self._check_fitted()
        half = self._half_width(alpha) * self.stderr_
        return pd.DataFrame({"lower": self.coef_ - half, "upper": self.coef_ + half}, index=self.names_)

    def effect(self, X: Any = None, T0: Any = 0, T1: Any = 1) -> Any:
        """Effect on the outcome of changing the treatments from ``T0`` to ``T1``.

        The model is linear, so the effect is the same for everyone: a float, or (n,) equal values if ``X``
        has n rows.
        """
        value = float(self._contrast(T0, T1) @ self.coef_)
        if X is None:
            return value
        columns = self.design_.x_columns
        return np.full(len(columns.match(X) if columns else as_matrix("X", X)[0]), value)

    def ate(self, T0: Any = 0, T1: Any = 1) -> float:
        """Average effect of changing the treatments from ``T0`` to ``T1``: vectors (p,) if p > 1."""
        return self.effect(None, T0, T1)

    def ate_interval(self, alpha: float = 0.05, T0: Any = 0, T1: Any = 1) -> tuple[float, float]:
        """Wald interval of :meth:`ate`."""
        contrast = self._contrast(T0, T1)
        half = self._half_width(alpha) * float(np.sqrt(contrast @ self.cov_ @ contrast))
        value = float(contrast @ self.coef_)
        return value - half, value + half

    def predict(self, T: Any, X: Any = None) -> np.ndarray:
        """Structural prediction ``T b + X g`` (n,): the outcome if treatments were *set* to ``T``."""
        self._check_fitted()
        check_index_alignment(T=T, X=X)
        columns = self.design_.x_columns
        treatments = self.design_.t_columns.match(T)
        if (X is None) != (columns is None):
            expected = f"{len(columns)} controls, as in fit" if columns else "no controls, as in fit"
            raise InputError("X", found="None" if X is None else "controls", expected=expected)
        values = (
            treatments if columns is None else np.column_stack([treatments, columns.match(X, rows=len(treatments))])
        )
        return values @ self.coef_[: values.shape[1]] + self.intercept_

    # ---------------------------------------------------------------- summary

    def summary(self, alpha: float = 0.05) -> Summary:
        """The fitted equation as a table with facts and notes; see :class:`~causalrep.base.summary.Summary`."""
        self._check_fitted()
        columns = {"coef": self.coef_}
        if self._no_interval is None:
            interval = self.conf_int(alpha).to_numpy()
            columns |= {"std err": self.stderr_, "t": self.tvalues_, "P>|t|": self.pvalues_}
            columns |= {f"[{alpha / 2:g}": interval[:, 0], f"{1 - alpha / 2:g}]": interval[:, 1]}
        table = pd.DataFrame(columns, index=self.names_)
        return Summary(self._title, self._summary_facts(), table, self._summary_notes(alpha))

    def _summary_facts(self) -> list[tuple[str, str]]:
        design = self.design_
        facts = [("Outcome", design.outcome), ("Treatments", ", ".join(design.treatments))]
        if self._uses_instruments:
            facts.append(("Instruments", ", ".join(design.instruments)))
            if self._no_interval is None and self.covariance != "HAC":
                strength, name = self._strength()
                facts.append((name[0].upper() + name[1:], f"{strength:.4f}"))
        facts.append(("Rows", f"{self.n_obs_} ({self.dof_} residual degrees of freedom)"))
        if self._no_interval is None:
            scale = " (debiased)" if self.debiased and self.covariance in ("homoskedastic", "cluster", "HAC") else ""
            groups = f", {design.n_clusters} groups" if self.covariance == "cluster" else ""
            facts.append(("Covariance", f"{self.covariance}{groups}{scale}"))
        return facts

    def _summary_notes(self, alpha: float) -> list[str]:
        """Sentences below the table, the diagnostics of the instruments among them."""
        notes = self._strength_notes(alpha) if self._uses_instruments and self._no_interval is None else []
        if self._no_interval is not None:
            notes.append(f"No interval: {self._no_interval}")
        if self._uses_instruments:
            notes.append(
                "Causal under exclusion and exogeneity of the instruments given the controls; with effects "
                "that differ between units, an average over those the instruments move (given monotonicity)."
            )
        else:
            notes.append("Causal only if no unobserved variable moves both treatment and outcome given the controls.")
        return notes

    # ---------------------------------------------------------------- helpers

    def _check_fitted(self) -> None:
        _ = self.coef_

    def _reference(self):
        if not self.debiased:
            return stats.norm()
        return stats.t(self.design_.n_clusters - 1 if self.covariance == "cluster" else self.dof_)

    def _half_width(self, alpha: float) -> float:
        alpha = check_range("alpha", alpha, above=0, below=1)
        if self._no_interval is not None:
            raise NoIntervalError(f"{type(self).__name__} has no interval: {self._no_interval}")
        return float(self._reference().isf(alpha / 2))

    def _contrast(self, T0: Any, T1: Any) -> np.ndarray:
        self._check_fitted()
        p = len(self.design_.treatments)
        ends = []
        for argument, value in (("T0", T0), ("T1", T1)):
            vector = np.asarray(value, dtype=np.float64).reshape(-1)
            if vector.shape != (p,):
                raise InputError(argument, found=f"{vector.size} values", expected=f"{p}, one for each treatment")
            ends.append(vector)
        contrast = np.zeros(len(self.coef_))
        contrast[:p] = ends[1] - ends[0]
        return contrast
