"""Meta-learners as pure functions: combinations of regressions that estimate the effect ``tau(x)``.

Each is a frozen dataclass of learners with ``fit(data) -> params`` and ``predict(params, x) -> tau`` that work under
``jit`` and ``vmap`` if their learners do. The classes with ``fit(Y, T, X=X)`` are in ``causalrep.effects.learners``.

Sources: Künzel et al. (2019), PNAS 116(10), for S, T and X; Nie and Wager (2021), Biometrika 108(2), for R; Kennedy
(2023), Electronic Journal of Statistics 17(2), for DR.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.effects.regressions.linear import LOGISTIC, RIDGE
from causalrep.effects.scores import CLIP, Nuisances, aipw_scores, clipped, cross_fit_nuisances
from causalrep.inference.crossfit import Learner, cross_fit, rows_called


class EffectRows(NamedTuple):
    """Rows to learn an effect from.

    Attributes:
        x: Effect modifiers, the argument of ``tau`` (n, d).
        xw: All covariates to adjust for, the columns of ``x`` among them (n, q).
        t: Treatment, 0 or 1 (n,).
        y: Outcome (n,).
        w: Weights; 0 leaves a row out (n,).
        folds: Fold codes for cross-fitting (n,).
    """

    x: Float[Array, "n d"]
    xw: Float[Array, "n q"]
    t: Float[Array, " n"]
    y: Float[Array, " n"]
    w: Float[Array, " n"]
    folds: Int[Array, " n"]


class MetaLearner(Protocol):
    """The interface of S, T, X, R and DR."""

    @property
    def learners(self) -> tuple[Learner, ...]:
        """The regressions it uses."""
        ...

    def fit(self, data: EffectRows) -> Any:
        """Fitted parameters."""
        ...

    def predict(self, params: Any, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Estimated effects."""
        ...


@dataclass(frozen=True)
class S:
    """One regression on covariates and treatment; ``tau(x) = g(x, 1) - g(x, 0)``.

    With a linear ``outcome`` the effect is the same for everyone: the coefficient of the treatment.
    """

    outcome: Learner = RIDGE

    @property
    def learners(self):
        """The outcome regression."""
        return (self.outcome,)

    def fit(self, data: EffectRows):
        """Parameters of g."""
        return self.outcome.fit(jnp.column_stack([data.xw, data.t]), data.y, data.w)

    def outcomes(self, params, x):
        """``g(x, 0)`` and ``g(x, 1)``."""
        zero = jnp.zeros(x.shape[0], x.dtype)
        return tuple(self.outcome.predict(params, jnp.column_stack([x, zero + arm])) for arm in (0, 1))

    def predict(self, params, x):
        """Estimated effects."""
        mu0, mu1 = self.outcomes(params, x)
        return mu1 - mu0


@dataclass(frozen=True)
class T:
    """Two regressions, one per arm; ``tau(x) = mu1(x) - mu0(x)``."""

    outcome: Learner = RIDGE

    @property
    def learners(self):
        """The outcome regression."""
        return (self.outcome,)

    def fit(self, data: EffectRows):
        """Parameters of mu0 and mu1."""
        with rows_called("in the untreated arm"):
            untreated = self.outcome.fit(data.xw, data.y, data.w * (1 - data.t))
        with rows_called("in the treated arm"):
            return untreated, self.outcome.fit(data.xw, data.y, data.w * data.t)

    def outcomes(self, params, x):
        """``mu0(x)`` and ``mu1(x)``."""
        return tuple(self.outcome.predict(arm, x) for arm in params)

    def predict(self, params, x):
        """Estimated effects."""
        mu0, mu1 = self.outcomes(params, x)
        return mu1 - mu0


@dataclass(frozen=True)
class X:
    """Imputed effects of each arm, regressed on x and mixed: ``tau = e tau0 + (1 - e) tau1``.

    ``tau1`` is fitted to ``Y - mu0(x)`` of the treated, ``tau0`` to ``mu1(x) - Y`` of the controls.
    """

    outcome: Learner = RIDGE
    effect: Learner = RIDGE
    propensity: Learner = LOGISTIC

    @property
    def learners(self):
        """Outcome, effect and propensity regressions."""
        return self.outcome, self.effect, self.propensity

    def fit(self, data: EffectRows):
        """Parameters of tau0, tau1 and e."""
        mu0, mu1 = T(self.outcome).outcomes(T(self.outcome).fit(data), data.xw)
        return (
            self.effect.fit(data.x, mu1 - data.y, data.w * (1 - data.t)),
            self.effect.fit(data.x, data.y - mu0, data.w * data.t),
            self.propensity.fit(data.x, data.t, data.w),
        )

    def predict(self, params, x):
        """Estimated effects."""
        tau0, tau1 = (self.effect.predict(arm, x) for arm in params[:2])
        e = clipped(self.propensity.predict(params[2], x), 0.0)
        return e * tau0 + (1 - e) * tau1


@dataclass(frozen=True)
class R:
    """Robinson's residuals: minimizes ``mean[((Y - m(x, w)) - (T - e(x, w)) tau(x))^2]`` with cross-fitted m and e.

    That is a regression of ``(Y - m)/(T - e)`` on x with weights ``(T - e)^2``.
    """

    outcome: Learner = RIDGE
    effect: Learner = RIDGE
    propensity: Learner = LOGISTIC
    n_folds: int = 5
    clip: float = CLIP

    @property
    def learners(self):
        """Outcome, effect and propensity regressions."""
        return self.outcome, self.effect, self.propensity

    def fit(self, data: EffectRows):
        """Parameters of tau."""
        return self._fit(data, cross_fit(self.propensity, data.xw, data.t, data.w, data.folds, self.n_folds))

    def fit_given(self, data: EffectRows, nuisances: Nuisances):
        """Parameters of tau from propensities that are cross-fitted already."""
        return self._fit(data, nuisances.propensity)

    def _fit(self, data: EffectRows, propensity: Float[Array, " n"]):
        m = cross_fit(self.outcome, data.xw, data.y, data.w, data.folds, self.n_folds)
        # mean[((Y - m) - rest tau)^2] = mean[rest^2 ((Y - m) / rest - tau)^2]: weighted least squares.
        rest = data.t - clipped(propensity, self.clip)
        return self.effect.fit(data.x, (data.y - m) / rest, data.w * rest**2)

    def predict(self, params, x):
        """Estimated effects."""
        return self.effect.predict(params, x)


@dataclass(frozen=True)
class DR:
    """Doubly robust: cross-fitted AIPW scores (:func:`~causalrep.effects.scores.aipw_scores`) regressed on x."""

    outcome: Learner = RIDGE
    effect: Learner = RIDGE
    propensity: Learner = LOGISTIC
    n_folds: int = 5
    clip: float = CLIP

    @property
    def learners(self):
        """Outcome, effect and propensity regressions."""
        return self.outcome, self.effect, self.propensity

    def fit(self, data: EffectRows):
        """Parameters of tau."""
        nuisances = cross_fit_nuisances(
            self.outcome, self.propensity, data.xw, data.t, data.y, data.w, data.folds, self.n_folds
        )
        return self.fit_given(data, nuisances)

    def fit_given(self, data: EffectRows, nuisances: Nuisances):
        """Parameters of tau from nuisances that are cross-fitted already."""
        return self.effect.fit(data.x, aipw_scores(data.t, data.y, nuisances, self.clip), data.w)

    def predict(self, params, x):
        """Estimated effects."""
        return self.effect.predict(params, x)
