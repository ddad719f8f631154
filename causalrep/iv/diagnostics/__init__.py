"""Diagnostics of an instrumental-variable fit: strength, overidentification, endogeneity."""

from causalrep.iv.diagnostics.endogeneity import durbin, hausman_regression, wu_hausman
from causalrep.iv.diagnostics.first_stage import (
    cragg_donald,
    effective_f,
    effective_f_critical_value,
    first_stage_f,
    kleibergen_paap,
    sanderson_windmeijer,
)
from causalrep.iv.diagnostics.overidentification import basmann, hansen_j, sargan

__all__ = [
    "basmann",
    "cragg_donald",
    "durbin",
    "effective_f",
    "effective_f_critical_value",
    "first_stage_f",
    "hansen_j",
    "hausman_regression",
    "kleibergen_paap",
    "sanderson_windmeijer",
    "sargan",
    "wu_hausman",
]
