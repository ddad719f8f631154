"""Linear instrumental variables: k-class estimators, GMM, anchor regression, PULSE."""
