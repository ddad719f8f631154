"""Regressions used as nuisances: ridge, logistic, kernel ridge, nearest neighbours, and the user's own."""
