"""A causal forest with the interface of the other estimators; the forest itself is EconML's."""

from typing import Any

import numpy as np
from jaxtyping import Float

from causalrep.base.domains import Whole
from causalrep.base.validation import check_range
from causalrep.effects.aipw import DOMAINS, estimate_averages
from causalrep.effects.base import EffectEstimator
from causalrep.effects.design import EffectDesign
from causalrep.effects.learners import fit_learner, learner_facts, learner_notes
from causalrep.effects.regressions.linear import LOGISTIC, RIDGE
from causalrep.effects.scores import CLIP
from causalrep.errors import CausalrepError


class CausalForest(EffectEstimator):
    """Honest causal forest on cross-fitted residuals (Athey, Tibshirani and Wager 2019), by EconML.

    The R-loss of :class:`~causalrep.effects.meta.R` with an honest forest in place of a regression. ``effect_interval``
    is the forest's own (bootstrap of little bags). ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW). Needs
    the PyPI package ``econml``.

    Args:
        trees: Number of trees, a multiple of 4.
        min_leaf: Least number of rows in a leaf.
        outcome: Regression of the outcome.
        propensity: Regression of the treatment.
        cv: Number of folds for cross-fitting.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Random seed of the folds and the forest.

    Attributes:
        forest_: The fitted ``econml.grf.CausalForest``.
        nuisances_: Out-of-fold propensity and outcome regressions.
        scores_: The doubly robust scores (n,).
        folds_: Fold codes (n,).
    """

    _title = "Causal forest"
    _regressions = ("outcome", "propensity")
    _takes_controls = True
    _domains = DOMAINS | {"trees": Whole(4, multiple=4), "min_leaf": Whole()}

    def __init__(self, *, trees=200, min_leaf=5, outcome=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        self.trees, self.min_leaf = trees, min_leaf
        self.outcome, self.propensity = outcome, propensity
        self.cv, self.clip, self.seed = cv, clip, seed

    fit = fit_learner
    _summary_facts, _summary_notes = learner_facts, learner_notes

    def _estimate(self, design: EffectDesign) -> None:
        estimate_averages(self, design)
        try:
            from econml.grf import CausalForest as Forest
        except ImportError as error:
            raise CausalrepError(
                "CausalForest: the PyPI package 'econml' is not installed. Install it with: pip install econml"
            ) from error
        # E[Y | x, w] = e mu1 + (1 - e) mu0: Robinson's outcome residual, from the nuisances of the averages.
        e = np.clip(self.propensity_, self.clip, 1 - self.clip)
        m = e * self.nuisances_.mu1 + (1 - e) * self.nuisances_.mu0
        forest = Forest(
            n_estimators=self.trees,
            min_samples_leaf=self.min_leaf,
            random_state=self.seed,
            n_jobs=1,
            inference=True,
        )
        self.forest_ = forest.fit(design.x, (design.t - e)[:, None], (design.y - m)[:, None])

    def effect(self, X: Any = None) -> Float[np.ndarray, " m"]:
        """Expected effect at each row of ``X`` (m,); at the rows of ``fit`` (out of bag) by default."""
        if X is None:
            return self.forest_.oob_predict(self.design_.x)[:, 0]
        return self.forest_.predict(self.design_.rows_of(X))[:, 0]

    def effect_interval(self, X: Any = None, alpha: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
        """Ends (m,), (m,) of the forest's interval of ``tau(x)`` at each row of ``X``."""
        alpha = check_range("alpha", alpha, above=0, below=1)
        low, high = self.forest_.predict_interval(self.design_.rows_of(X), alpha=alpha)
        return low[:, 0], high[:, 0]
