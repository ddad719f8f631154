"""Causal information minimization (Patil, Maharana, Bansal 2023): TE-D, ATE-D and unimodal debiasing."""
