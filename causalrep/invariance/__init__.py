"""Invariance across environments: which predictor stays right when the environment changes?

The sibling of :mod:`causalrep.iv`. An instrument must move the treatment and leave the outcome's noise alone; an
environment is a label, and the methods here ask a predictor to do as well, or to leave the same residuals, under
every label. They take labels where instruments take numbers, most are trained where instruments are solved, and none
of them identifies an effect from exclusion: so they have a room of their own and import from ``iv`` its public
functions alone.

* Training objectives: :func:`irm`, :func:`v_rex`, :func:`mm_rex`, :func:`group_dro`, :func:`rice`, for any model.
* Closed forms of a linear model: :func:`invariant_causal_prediction`, :func:`confounder_corrected` (Janzing's l1 and
  l2), :func:`kania_wit`.
* :func:`fit_selected` trains with each candidate penalty and keeps the best on held-out rows or environments.
"""

from causalrep.invariance.icp import ICPFit, invariant_causal_prediction, random_subsets
from causalrep.invariance.linear_model import LinearModel
from causalrep.invariance.objectives import (
    empirical_risk,
    environment_risks,
    group_dro,
    irm,
    logistic,
    mm_rex,
    predict,
    rice,
    squared_error,
    v_rex,
)
from causalrep.invariance.selection import SelectedFit, fit_selected, held_out_environments, held_out_rows
from causalrep.invariance.shrinkage import (
    ShrunkenFit,
    causal_regularization,
    confounder_corrected,
    kania_wit,
    lasso,
    ridge,
)

__all__ = [
    "ICPFit",
    "LinearModel",
    "SelectedFit",
    "ShrunkenFit",
    "causal_regularization",
    "confounder_corrected",
    "empirical_risk",
    "environment_risks",
    "fit_selected",
    "group_dro",
    "held_out_environments",
    "held_out_rows",
    "invariant_causal_prediction",
    "irm",
    "kania_wit",
    "lasso",
    "logistic",
    "mm_rex",
    "predict",
    "random_subsets",
    "rice",
    "ridge",
    "squared_error",
    "v_rex",
]
