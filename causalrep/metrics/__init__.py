"""Pure functions that score an answer against a truth."""

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

__all__ = [
    "ate_error",
    "att_error",
    "causal_excess_risk",
    "coverage",
    "interval_width",
    "normalized_excess_risk",
    "pehe",
    "policy_risk",
    "randomized_att",
]
