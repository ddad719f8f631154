"""Treatment effects given covariates: IHDP, Jobs, Twins, ACIC 2016, and coverage of doubly robust intervals."""
