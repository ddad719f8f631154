"""What the classes of this room share: one network for ``effect``, cross-fitted ones for the averages, intervals.

``effect(X)`` is one network's, fitted to all rows. ``ate()`` and ``att()`` are doubly robust: cross-fitted AIPW with
the same network for the outcomes and a regression for the treatment. Their ``cv`` networks are trained when an average
is first read, so that ``fit`` trains one. The functions below become the methods of each class.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from causalrep.base.validation import check_choice, check_range
from causalrep.effects.aipw import draw_folds, regressions, store_averages
from causalrep.effects.base import EffectEstimator
from causalrep.effects.checks.overlap import check_overlap
from causalrep.effects.design import EffectDesign
from causalrep.effects.intervals import conformal_effects
from causalrep.effects.learners import effect_fact, effect_rows
from causalrep.effects.meta import EffectRows
from causalrep.effects.networks.learner import NetworkLearner
from causalrep.effects.regressions.host import call
from causalrep.effects.scores import Nuisances
from causalrep.errors import DivergenceError, NoIntervalError
from causalrep.inference.crossfit import cross_fit
from causalrep.keys import root
from causalrep.training.trained import Trained, refuse_divergence


class WhenRead:
    """A fitted attribute of the averages, computed together with the others when one of them is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, estimator: EffectEstimator | None, owner: type | None = None) -> Any:
        if estimator is None:
            return self
        # The values then lie in the instance, where Python finds them before this descriptor.
        _estimate_averages(estimator)
        return vars(estimator)[self._name]


def estimate_network(self: EffectEstimator, design: EffectDesign) -> None:
    """Set the folds, the out-of-fold propensities and the trained network."""
    for name in ("ate_", "att_", "nuisances_", "scores_"):
        vars(self).pop(name, None)
    draw_folds(self, design)
    # Kept: hyperparameters may be changed before the next call, but the fitted parameters belong to these.
    self._fitted_learner, self._clip = self._core(), self.clip
    (self._fitted_propensity,) = regressions(self)
    rows = effect_rows(self, design)
    static = {"learner": self._fitted_propensity, "n_folds": self._n_folds}
    e = call(cross_fit, static, x=rows.x, y=rows.t, w=rows.w, folds=rows.folds)
    self.propensity_ = np.asarray(e)
    check_overlap(self.propensity_, design.t, self.clip)
    result = call(_fit, {"learner": self._fitted_learner}, data=rows, key=_key(self, 0))
    refuse_divergence(result, self)
    self.params_ = jax.tree.map(np.asarray, result)


def _estimate_averages(self: EffectEstimator) -> None:
    design = self.design_
    # The rows outside the smallest fold: one static size for all folds, so that one program serves them.
    size = len(design.y) - int(np.bincount(self.folds_).min())
    static = {"learner": self._fitted_learner, "n_folds": self._n_folds, "training_rows": size}
    with self._computing():
        mu0, mu1, diverged = call(cross_fit_outcomes, static, data=effect_rows(self, design), key=_key(self, 1))
        if bool(diverged):
            raise DivergenceError(
                f"{self!r}: a loss or gradient of a cross-fitted network was not finite. Lower "
                "schedule.learning_rate, or look for extreme values in the data.",
                step=-1,
            )
        store_averages(self, design, Nuisances(jnp.asarray(self.propensity_), mu0, mu1))


def cross_fit_outcomes(
    learner: NetworkLearner, data: EffectRows, key: Key[Array, ""], n_folds: int, training_rows: int
) -> tuple[Float[Array, " n"], Float[Array, " n"], Bool[Array, ""]]:
    """Expected outcomes of each row by a network that did not see it.

    Args:
        learner: The network.
        data: The rows, with codes 0..n_folds-1 in ``folds``.
        key: Random key.
        n_folds: Number of folds.
        training_rows: Number of rows outside the smallest fold; for a larger fold, rows of weight 0 fill up.

    Returns:
        mu0 (n,), mu1 (n,), and whether some network diverged.
    """

    def predictions(fold):
        held_out = data.folds == fold
        # Training rows come first and are gathered, so that they fill the mini-batches as in a fit to all rows.
        rows = jnp.argsort(held_out)[:training_rows]
        training = jax.tree.map(lambda leaf: leaf[rows], data._replace(w=data.w * ~held_out))
        params = learner.fit(training, jax.random.fold_in(key, fold))
        return *learner.outcomes(params, data.x), params.diverged

    mu0, mu1, diverged = jax.lax.map(predictions, jnp.arange(n_folds))
    own = data.folds, jnp.arange(len(data.y))
    return mu0[own], mu1[own], jnp.any(diverged)


def network_interval(  # noqa: D417
    self: EffectEstimator, X: Any = None, alpha: float = 0.05, *, kind: Literal["conformal"] = "conformal"
) -> tuple[np.ndarray, np.ndarray]:
    """Ends (m,), (m,) of an interval of a unit's own effect at each row of ``X``; at those of ``fit`` by default.

    Args:
        X: Covariates (m, d).
        alpha: One minus the level.
        kind: ``"conformal"`` covers ``Y(1) - Y(0)`` of a new unit, averaged over units, whatever the network, if
            the propensity is right. It refits the network to half of the rows and is wide: the *expected* effect
            at x has no valid interval here.

    Raises:
        InputError: If an argument is wrong.
        NoIntervalError: For ``kind="bootstrap"``; the message says why.
    """
    x = self.design_.rows_of(X)
    alpha = check_range("alpha", alpha, above=0, below=1)
    check_choice("kind", kind, ("conformal", "bootstrap"))
    if kind == "bootstrap":
        raise NoIntervalError(
            f"{type(self).__name__} has no bootstrap interval: early stopping and penalties leave a bias of "
            "unknown size in tau(x), which resampling does not show. kind='conformal' covers a unit's own effect."
        )
    static = {"outcome": self._fitted_learner, "propensity": self._fitted_propensity, "clip": self._clip}
    with self._computing():
        arrays = {"data": effect_rows(self, self.design_), "x": jnp.asarray(x), "alpha": jnp.asarray(alpha)}
        low, high = call(conformal_effects, static, key=_key(self, 2), **arrays)
        return np.asarray(low), np.asarray(high)


def network_facts(self: EffectEstimator) -> list[tuple[str, str]]:
    """Facts of a summary."""
    return [
        *EffectEstimator._summary_facts(self),
        ("Network", f"best after {int(self.params_.best_step)} updates, validation loss {self.params_.loss:.4g}"),
        ("Propensity model", f"{self._fitted_propensity!r}"),
        ("Cross-fitting", f"{self._n_folds} folds"),
        self._propensity_fact(),
        effect_fact(self),
    ]


def _key(self: EffectEstimator, purpose: int) -> Key[Array, ""]:
    return jax.random.fold_in(root(self.seed), purpose)


def _fit(learner: Any, data: EffectRows, key: Key[Array, ""]) -> Trained:
    return learner.fit(data, key)
