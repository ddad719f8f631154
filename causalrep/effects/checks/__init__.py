"""Can the estimate be trusted? Overlap, balance, calibration and uplift; refutation and sensitivity beside them."""

from causalrep.effects.checks.balance import balance_table
from causalrep.effects.checks.calibration import calibration
from causalrep.effects.checks.overlap import (
    crump_threshold,
    effective_sample_size,
    overlap_report,
    trim,
)
from causalrep.effects.checks.uplift import qini_curve, uplift_curve

__all__ = [
    "balance_table",
    "calibration",
    "crump_threshold",
    "effective_sample_size",
    "overlap_report",
    "qini_curve",
    "trim",
    "uplift_curve",
]
