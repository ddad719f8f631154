"""Pure functions that score an answer against a truth."""

from causalrep.metrics.excess_risk import causal_excess_risk, normalized_excess_risk

__all__ = ["causal_excess_risk", "normalized_excess_risk"]
