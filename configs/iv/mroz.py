"""Textbook instruments: Mroz (wages of women), wage2, openness and bwght, whose Anderson-Rubin set is unbounded.

Command: python -m experiments.run iv/mroz
Expected result: coefficients equal those of linearmodels and ivmodels to 1e-6, standard errors to 1e-5, and all other
numbers to their printed digits; the sets of bwght are unbounded.
Expected time: 7 s, or 25 s the first time (compiling), on two CPU cores.
"""

from experiments.papers.iv.returns import Textbook

REPRODUCE = "paper"
MAIN = True

# Nothing is random: the scales are the same.
SCALES = {"smoke": Textbook(), "small": Textbook(), "paper": Textbook()}
