"""Pure functions that score an answer against a truth."""

from causalrep.metrics.association import association_scan
from causalrep.metrics.chance import chance_level, graph_chance_level
from causalrep.metrics.correlation import correlations, mcc, weak_mcc
from causalrep.metrics.counterfactual_images import CounterfactualAccuracy, counterfactual_accuracy
from causalrep.metrics.dci import dci, dci_from_importance
from causalrep.metrics.effects import (
    ate_error,
    att_error,
    coverage,
    interval_width,
    pehe,
    policy_risk,
    randomized_att,
)
from causalrep.metrics.excess_risk import causal_excess_risk, normalized_excess_risk
from causalrep.metrics.graphs import shd, sid, transitive_closure, varsortability
from causalrep.metrics.information import entropy, mig, modularity, mutual_information, sap
from causalrep.metrics.intervened import beta_vae_score, factor_vae_score, irs, triplet_distance
from causalrep.metrics.predictability import block_r2, diag_sep, r2

__all__ = [
    "CounterfactualAccuracy",
    "association_scan",
    "ate_error",
    "att_error",
    "beta_vae_score",
    "block_r2",
    "causal_excess_risk",
    "chance_level",
    "correlations",
    "counterfactual_accuracy",
    "coverage",
    "dci",
    "dci_from_importance",
    "diag_sep",
    "entropy",
    "factor_vae_score",
    "graph_chance_level",
    "interval_width",
    "irs",
    "mcc",
    "mig",
    "modularity",
    "mutual_information",
    "normalized_excess_risk",
    "pehe",
    "policy_risk",
    "r2",
    "randomized_att",
    "sap",
    "shd",
    "sid",
    "transitive_closure",
    "triplet_distance",
    "varsortability",
    "weak_mcc",
]
