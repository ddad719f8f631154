"""Is the estimate to be trusted? Overlap, balance, calibration, uplift, refutation and sensitivity."""
