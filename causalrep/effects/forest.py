"""A causal forest behind the interface of the other estimators; the forest itself is EconML's."""

from typing import Any

import numpy as np
from jaxtyping import Float

from causalrep.base.validation import check_range
from causalrep.effects.base import CrossFitted
from causalrep.effects.design import EffectDesign
from causalrep.effects.learners import MetaEstimator
from causalrep.effects.regressions.linear import LOGISTIC, RIDGE
from causalrep.effects.scores import CLIP
from causalrep.errors import CausalrepError


class CausalForest(MetaEstimator):
    """Honest causal forest on cross-fitted residuals (Athey, Tibshirani and Wager 2019), by EconML.

    The R-loss of :class:`~causalrep.effects.meta.R` with an honest forest in place of a regression. ``effect_interval``
    is the forest's own (bootstrap of little bags). Needs the PyPI package ``econml``.

    Args:
        trees: Number of trees, a multiple of 4.
        min_leaf: Least rows in a leaf.
        outcome: Regression of the outcome, as in :class:`~causalrep.effects.base.CrossFitted`.
        propensity: Regression of the treatment.
        cv: Folds of cross-fitting.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Of the folds and of the forest.

    Attributes:
        forest_: The fitted ``econml.grf.CausalForest``.
    """

    _title = "Causal forest"
    _takes_controls = True

    def __init__(self, *, trees=200, min_leaf=5, outcome=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        super().__init__(outcome=outcome, propensity=propensity, cv=cv, clip=clip, seed=seed)
        self.trees = trees
        self.min_leaf = min_leaf

    def _estimate(self, design: EffectDesign) -> None:
        CrossFitted._estimate(self, design)
        try:
            from econml.grf import CausalForest as Forest
        except ImportError as error:
            raise CausalrepError(
                "CausalForest: the PyPI package 'econml' is not installed. Install it with: pip install econml"
            ) from error
        trees, leaf = (int(check_range(name, getattr(self, name), at_least=1)) for name in ("trees", "min_leaf"))
        e = np.clip(self.nuisances_.propensity, self.clip, 1 - self.clip)
        m = e * self.nuisances_.mu1 + (1 - e) * self.nuisances_.mu0
        forest = Forest(n_estimators=trees, min_samples_leaf=leaf, random_state=self.seed, n_jobs=1, inference=True)
        self.forest_ = forest.fit(design.x, (design.t - e)[:, None], (design.y - m)[:, None])
        self.params_ = None

    def effect(self, X: Any = None) -> Float[np.ndarray, " m"]:
        """Expected effect at each row of ``X`` (m,); at the rows of ``fit`` (out of bag) by default."""
        if X is None:
            _ = self.design_
            return self.forest_.oob_predict(self.design_.x)[:, 0]
        return self.forest_.predict(self._new_rows(X))[:, 0]

    def effect_interval(self, X: Any = None, alpha: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
        """Ends (m,), (m,) of the forest's interval of ``tau(x)`` at each row of ``X``."""
        alpha = check_range("alpha", alpha, above=0, below=1)
        low, high = self.forest_.predict_interval(self._new_rows(X), alpha=alpha)
        return low[:, 0], high[:, 0]
