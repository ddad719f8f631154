"""Linear IV-like regression with a fixed or selected penalty."""

from functools import partial
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Choice, Domain, Either, Flag, Range, Real, Whole
from causalrep.inference.sandwich import Covariance
from causalrep.iv.ivl.path import ivl_path
from causalrep.iv.ivl.selection import (
    as_scoring_treatment,
    confounder_corrected_norm,
    discretize,
    log_uniform_candidates,
    select_confounder_correction,
    select_cv,
    select_level_cv,
)
from causalrep.iv.linear.base import SHRINKAGE, LinearIVEstimator
from causalrep.iv.linear.kclass import LinearFit, anchor_regression
from causalrep.keys import root
from causalrep.linalg import orthonormal_basis, residualize

Selector = Literal["cv", "lcv", "cc"]
SELECTORS = ("cv", "lcv", "cc")


class IVLRegression(LinearIVEstimator):
    """IV-like regression: least squares plus a two-stage least-squares penalty, for instruments that may not identify.

    It minimizes ``R_IV(h) + alpha R_ERM(h)``. With a real instrument it lies between 2SLS (alpha to 0) and OLS (alpha
    to infinity). Its main use is outcome-invariant data augmentation: fit on the augmented treatment with the
    parameters of the augmentation as ``Z``. In the norm of the treatment's covariance the confounding bias then never
    exceeds that of augmented least squares. IVL lowers the bias but does not identify the effect, so no interval is
    valid (``stderr_`` is NaN, and ``conf_int`` raises ``NoIntervalError``).

    It equals anchor regression at ``gamma = 1 + 1/alpha`` and the k-class estimator at ``kappa = 1/(1 + alpha)``.

    Args:
        alpha: Weight of the ordinary risk, above 0; or the rule that selects it from random candidates: ``"cv"`` (hold
            out rows), ``"lcv"`` (hold out levels of the instruments, each of which is split into two bins, for the fit
            too) or ``"cc"`` (match the estimated length of the causal effect).
        candidates: Number of candidates that a selector draws.
        alpha_range: Ends of the candidates' log-uniform distribution.
        seed: Random seed of the candidates and of the held-out rows.
        fit_intercept: Add a constant.

    Attributes:
        alpha_: The weight used.

    Source: Akbar et al. (2025), arXiv 2510.25128, sections 3 to 5.

    >>> import jax
    >>> from causalrep.iv import OLS
    >>> from causalrep.data import draw_linear, sample_linear_sem
    >>> from causalrep.metrics import normalized_excess_risk
    >>> sem_key, data_key = jax.random.split(jax.random.key(0))
    >>> sem = sample_linear_sem(sem_key, treatments=8, confounders=8)
    >>> s = draw_linear(data_key, sem, n=2048)
    >>> ols = OLS(fit_intercept=False).fit(s.y, s.x)
    >>> model = IVLRegression(alpha=0.1, fit_intercept=False).fit(s.y, s.gx, Z=s.g)
    >>> bool(normalized_excess_risk(model.coef_, sem.f) < 0.5 * normalized_excess_risk(ols.coef_, sem.f))
    True
    """

    _title = "IV-like regression"
    _needs_identification = False
    _no_interval = SHRINKAGE
    _domains: ClassVar[dict[str, Domain]] = {
        "alpha": Either(Real(above=0), Choice(*SELECTORS)),
        "candidates": Whole(),
        "alpha_range": Range(),
        "seed": Whole(None),
        "fit_intercept": Flag(),
    }

    def __init__(
        self,
        alpha: float | Selector = 1.0,
        *,
        candidates: int = 10,
        alpha_range: tuple[float, float] = (1e-4, 1.0),
        seed: int = 0,
        fit_intercept: bool = True,
    ):
        super().__init__(fit_intercept=fit_intercept)
        self.alpha = alpha
        self.candidates = candidates
        self.alpha_range = alpha_range
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any = None, Z: Any = None, T_score: Any = None, clusters: Any = None) -> Self:
        """Fit ``Y = T b + X g + e``.

        Args:
            Y: Outcome (n,).
            T: Treatments (n, p); the augmented ones under augmentation.
            X: Exogenous controls (n, q).
            Z: Instruments, or the augmentation's parameters (n, k); any number of them.
            T_score: Treatments on which ``"cv"`` and ``"lcv"`` score the held-out rows (n, p), the un-augmented ones
                under augmentation; default ``T``.
            clusters: Ignored, since there are no standard errors.

        Raises:
            InputError: If an argument is wrong; the message names it.
        """
        self._check_domains()
        self._score_on = as_scoring_treatment(T, T_score)
        try:
            return super().fit(Y, T, X=X, Z=Z, clusters=clusters)
        finally:
            del self._score_on

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        if self.alpha == "lcv":
            z = discretize(z)
        if isinstance(self.alpha, str):
            score = x if self._score_on is None else jnp.asarray(self._score_on)
            low, high = self.alpha_range
            alpha = _select(root(self.seed), y, x, z, c, score, low, high, kind=self.alpha, count=self.candidates)
        else:
            alpha = jnp.asarray(float(self.alpha))
        self.alpha_ = float(alpha)
        return _anchor_regression(y, x, z, c, gamma=1.0 + 1.0 / alpha)

    def _summary_facts(self) -> list[tuple[str, str]]:
        how = f", selected by {self.alpha.upper()}" if isinstance(self.alpha, str) else ""
        return [*super()._summary_facts(), ("Penalty alpha", f"{self.alpha_:.4g}{how}")]

    def _summary_notes(self, alpha: float) -> list[str]:
        return [
            f"No interval: {self._no_interval}",
            "IVL lowers the confounding bias of least squares; it does not remove it. The effect is identified only if "
            "the instruments are valid and as many as the treatments, and alpha tends to 0.",
        ]


_anchor_regression = jax.jit(anchor_regression)


@partial(jax.jit, static_argnames=("kind", "count"))
def _select(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None,
    score: Float[Array, "n p"],
    low: float,
    high: float,
    *,
    kind: Selector,
    count: int,
) -> Float[Array, ""]:
    """The selected penalty, on data with the controls partialled out."""
    if c is not None:
        basis = orthonormal_basis(c)
        y, x, z, score = (residualize(basis, a) for a in (y, x, z, score))
    candidate_key, split_key = jax.random.split(key)
    candidates = log_uniform_candidates(candidate_key, count, low, high)
    if kind == "cc":
        return select_confounder_correction(ivl_path(y, x, z), candidates, confounder_corrected_norm(y, x))
    select = select_cv if kind == "cv" else select_level_cv
    return select(split_key, y, x, z, candidates, x_score=score)
