"""The meta-learners with scikit-learn's habits: ``fit(Y, T, X=X)``, ``effect(X)``, intervals, averages, ``summary``."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causalrep.base.validation import as_matrix, check_choice, check_range
from causalrep.effects import meta
from causalrep.effects.base import CrossFitted
from causalrep.effects.design import EffectDesign
from causalrep.effects.intervals import bootstrap_effects, conformal_effects
from causalrep.effects.regressions.host import as_learner, call
from causalrep.effects.regressions.linear import LOGISTIC, RIDGE
from causalrep.effects.scores import CLIP, Nuisances
from causalrep.errors import InputError
from causalrep.keys import root
from causalrep.precision import float64

Kind = Literal["bootstrap", "conformal"]


class MetaEstimator(CrossFitted):
    """Base of the learners of ``tau(x)``.

    ``effect(X)`` is the meta-learner's; ``ate()`` and ``att()``, with their intervals, are doubly robust (cross-fitted
    AIPW with the same regressions), since the mean of ``effect(X)`` carries the bias of its penalty. A subclass
    supplies ``_learner()``.

    Attributes:
        params_: The fitted meta-learner's parameters.
    """

    _takes_controls = False

    def fit(self, Y: Any, T: Any, *, X: Any = None, W: Any = None, folds: Any = None):
        """Estimate the effect of a binary treatment and how it varies with ``X``.

        Args:
            Y: Outcome (n,): array, Series or one-column frame.
            T: Treatment (n,), 0 or 1.
            X: Covariates along which the effect may differ (n, d); they are adjusted for.
            W: Further covariates to adjust for (n, q). The R- and DR-learner take them; the S-, T- and X-learner
                describe the effect by everything they adjust for, so give them all in ``X``.
            folds: Fold labels (n,) to use instead of random ones.

        Raises:
            InputError: If an argument is wrong, or the arms do not overlap at all.

        Warns:
            OverlapWarning: If some propensities had to be clipped; the message gives the share.
        """
        if W is not None and not self._takes_controls:
            raise InputError("W", found="covariates", expected=f"them in X, as {type(self).__name__} has no W")
        if X is None:
            raise InputError("X", found="None", expected="covariates along which the effect may differ (or use AIPW)")
        return super().fit(Y, T, X=X, W=W, folds=folds)

    def _learner(self) -> meta.MetaLearner:
        """The functional core, with this estimator's regressions."""
        raise TypeError(f"{type(self).__name__} must define _learner()")

    def _estimate(self, design: EffectDesign) -> None:
        super()._estimate(design)
        learner = self._learner()
        rows = self._rows(design)
        if hasattr(learner, "fit_given"):
            # The averages needed the same regressions on the same folds.
            nuisances = Nuisances(*map(jnp.asarray, self.nuisances_))
            params = call(_fit_given, {"learner": learner}, data=rows, nuisances=nuisances)
        else:
            params = call(_fit, {"learner": learner}, data=rows)
        # NumPy keeps float64 when pickled and read back under JAX's default; a scikit-learn model stays what it is.
        self.params_ = jax.tree.map(lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf, params)
        # Kept: hyperparameters may be changed before the next call, fitted parameters belong to these.
        self._fitted_learner = learner

    def _rows(self, design: EffectDesign) -> meta.EffectRows:
        x, z, t, y = (jnp.asarray(a) for a in (design.x, design.z, design.t, design.y))
        return meta.EffectRows(x, z, t, y, jnp.ones_like(y), jnp.asarray(self.folds_))

    def effect(self, X: Any = None) -> np.ndarray:
        """Expected effect at each row of ``X`` (m,); at the rows of ``fit`` by default."""
        x = self._new_rows(X)
        with float64():
            return np.asarray(call(_predict, {"learner": self._fitted_learner}, params=self.params_, x=jnp.asarray(x)))

    def effect_interval(
        self, X: Any = None, alpha: float = 0.05, *, kind: Kind = "bootstrap", draws: int = 100
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ends (m,), (m,) of an interval at each row of ``X``; at the rows of ``fit`` by default.

        Args:
            X: Covariates (m, d).
            alpha: 1 - level.
            kind: ``"bootstrap"`` is about the expected effect ``tau(x)``: the estimate plus and minus a normal quantile
                times the spread over refits. It knows nothing of the bias of a penalised or misspecified regression,
                and its coverage of the true ``tau(x)`` is then below the level. ``"conformal"`` is about a new unit's
                own effect ``Y(1) - Y(0)`` and covers it, averaged over units, whatever the outcome regression; it is
                much wider. docs/methods/treatment-effects.md gives the coverage of both, measured.
            draws: Bootstrap samples.

        Raises:
            InputError: If an argument is wrong, or ``kind="conformal"`` after a fit with ``W``.
        """
        x = self._new_rows(X)
        alpha = check_range("alpha", alpha, above=0, below=1)
        check_choice("kind", kind, get_args(Kind))
        design, key = self.design_, root(self.seed + 1)
        if kind == "conformal" and design.z.shape[1] > design.x.shape[1]:
            raise InputError("kind", found="'conformal' after a fit with W", expected="all covariates in X")
        with float64():
            rows, new = self._rows(design), jnp.asarray(x)
            if kind == "conformal":
                static = {
                    "outcome": as_learner("outcome", self.outcome),
                    "propensity": as_learner("propensity", self.propensity),
                    "clip": self.clip,
                }
                low, high = call(conformal_effects, static, key=key, data=rows, x=new, alpha=jnp.asarray(alpha))
                return np.asarray(low), np.asarray(high)
            count = int(check_range("draws", draws, at_least=2))
            static = {"learner": self._fitted_learner, "draws": count}
            drawn = np.asarray(call(bootstrap_effects, static, key=key, data=rows, x=new))
        centre, half = self.effect(x), stats.norm.isf(alpha / 2) * drawn.std(axis=0, ddof=1)
        return centre - half, centre + half

    def _new_rows(self, X: Any) -> np.ndarray:
        _ = self.params_
        if X is None:
            return self.design_.x
        x, names = as_matrix("X", X)
        expected = self.design_.modifiers
        if x.shape[1] != len(expected):
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{len(expected)}, as in fit")
        if hasattr(X, "columns") and names != expected:
            raise InputError("X", found=f"columns {names}", expected=f"the columns of fit, in order: {expected}")
        return x

    def _summary_facts(self) -> list[tuple[str, str]]:
        found = self.effect()
        low, median, high = np.quantile(found, [0.1, 0.5, 0.9])
        spread = f"mean {found.mean():.4g}; deciles 1, 5, 9: {low:.4g}, {median:.4g}, {high:.4g}"
        return [*super()._summary_facts(), ("effect(X)", spread)]

    def _summary_notes(self) -> list[str]:
        return ["ATE and ATT are doubly robust (cross-fitted AIPW), not means of effect(X).", *super()._summary_notes()]


class SLearner(MetaEstimator):
    """One regression of the outcome on covariates and treatment; see :class:`~causalrep.effects.meta.S`.

    See :class:`~causalrep.effects.base.CrossFitted` for the arguments. With a linear ``outcome`` the effect is the same
    for everyone.
    """

    _title = "S-learner"

    def _learner(self):
        return meta.S(as_learner("outcome", self.outcome))


class TLearner(MetaEstimator):
    """One regression of the outcome an arm; see :class:`~causalrep.effects.meta.T`.

    See :class:`~causalrep.effects.base.CrossFitted` for the arguments.

    >>> from causalrep.effects import KernelRidge, TLearner
    >>> rng = np.random.default_rng(0)
    >>> x, noise, t = rng.uniform(-2, 2, 400), rng.normal(size=400), rng.integers(0, 2, 400)
    >>> model = TLearner(outcome=KernelRidge()).fit(x + t * np.sin(2 * x) + 0.2 * noise, t, X=x)
    >>> model.effect(np.array([-0.8, 0.8])).round(0).tolist()
    [-1.0, 1.0]
    """

    _title = "T-learner"

    def _learner(self):
        return meta.T(as_learner("outcome", self.outcome))


class TwoStage(MetaEstimator):
    """Base of the learners that regress a pseudo-outcome: the arguments of :class:`CrossFitted` and one more.

    Args:
        outcome: Regression of the outcome.
        effect_model: Regression of the effect on ``X``.
        propensity: Regression of the treatment.
        cv: Folds of cross-fitting.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Of the folds and of intervals that draw at random.
    """

    def __init__(self, *, outcome=RIDGE, effect_model=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        super().__init__(outcome=outcome, propensity=propensity, cv=cv, clip=clip, seed=seed)
        self.effect_model = effect_model

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        as_learner("effect_model", self.effect_model)

    def _models(self):
        pairs = (("outcome", self.outcome), ("effect_model", self.effect_model), ("propensity", self.propensity))
        return [as_learner(name, value) for name, value in pairs]

    def _summary_facts(self) -> list[tuple[str, str]]:
        facts = super()._summary_facts()
        return [*facts[:5], ("Effect model", f"{self.effect_model!r}"), *facts[5:]]


class XLearner(TwoStage):
    """Imputed effects regressed within each arm, mixed by the propensity; see :class:`~causalrep.effects.meta.X`.

    See :class:`TwoStage` for the arguments. Made for arms of very different size.
    """

    _title = "X-learner"

    def _learner(self):
        return meta.X(*self._models())


class RLearner(TwoStage):
    """Residuals on residuals, cross-fitted; see :class:`~causalrep.effects.meta.R`.

    See :class:`TwoStage` for the arguments.
    """

    _title = "R-learner"
    _takes_controls = True

    def _learner(self):
        return meta.R(*self._models(), n_folds=self._n_folds, clip=self.clip)


class DRLearner(TwoStage):
    """Doubly robust scores regressed on ``X``, cross-fitted; see :class:`~causalrep.effects.meta.DR`.

    See :class:`TwoStage` for the arguments. The scores are heavy-tailed where overlap is poor: prefer a stiff
    ``effect_model`` there.
    """

    _title = "DR-learner"
    _takes_controls = True

    def _learner(self):
        return meta.DR(*self._models(), n_folds=self._n_folds, clip=self.clip)


def _fit(learner: meta.MetaLearner, data: meta.EffectRows) -> Any:
    return learner.fit(data)


def _fit_given(learner: meta.R | meta.DR, data: meta.EffectRows, nuisances: Nuisances) -> Any:
    return learner.fit_given(data, nuisances)


def _predict(learner: meta.MetaLearner, params: Any, x: jax.Array) -> jax.Array:
    return learner.predict(params, x)
