"""Textbook IV: Mroz (wages of women), wage2, openness and bwght, whose Anderson-Rubin set has no end.

Command: python -m experiments.run iv/mroz
Expected result: linearmodels and ivmodels met to 1e-6 (coefficients), 1e-5 (SEs), else printed digits; bwght unbounded.
Expected time: 7 s, 25 s the first time (compiling), on two CPU cores.
"""

from experiments.papers.iv.returns import Textbook

REPRODUCE = "paper"
MAIN = True

# Nothing is random: the scales are the same.
SCALES = {"smoke": Textbook(), "small": Textbook(), "paper": Textbook()}
