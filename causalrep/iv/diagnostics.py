"""Diagnostics of an instrumental-variable fit: strength, overidentification, endogeneity."""

from causalrep.iv.distributions import TestResult
from causalrep.iv.first_stage import first_stage_f

__all__ = ["TestResult", "first_stage_f"]
