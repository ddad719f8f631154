"""Regressions used as nuisances: ridge, logistic, kernel ridge, nearest neighbors, and scikit-learn's."""
