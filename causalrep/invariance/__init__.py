"""Invariance across environments: which predictor stays right when the environment changes?

The room beside :mod:`causalrep.iv`. An instrument must move the treatment and be independent of the outcome's noise; an
environment is a label, and the methods here ask a predictor to do as well, or to leave the same residuals, under every
label. They take labels where instruments take numbers, most are trained where instruments have closed forms, and none
identifies an effect by exclusion.

* Training objectives: :func:`irm`, :func:`v_rex`, :func:`mm_rex`, :func:`group_dro`, :func:`rice`, for any model.
* Closed forms of a linear model: :func:`invariant_causal_prediction`, :func:`confounder_corrected` (Janzing's l1 and
  l2), :func:`kania_wit`.
* :func:`fit_selected` trains with each candidate penalty and keeps the best on held-out rows or environments.
"""

from causalrep.invariance.icp import invariant_causal_prediction
from causalrep.invariance.linear_model import LinearModel
from causalrep.invariance.objectives import (
    empirical_risk,
    group_dro,
    irm,
    logistic,
    mm_rex,
    rice,
    squared_error,
    v_rex,
)
from causalrep.invariance.selection import fit_selected, held_out_environments, held_out_rows
from causalrep.invariance.shrinkage import causal_regularization, confounder_corrected, kania_wit, ridge

__all__ = [
    "LinearModel",
    "causal_regularization",
    "confounder_corrected",
    "empirical_risk",
    "fit_selected",
    "group_dro",
    "held_out_environments",
    "held_out_rows",
    "invariant_causal_prediction",
    "irm",
    "kania_wit",
    "logistic",
    "mm_rex",
    "rice",
    "ridge",
    "squared_error",
    "v_rex",
]
