"""Textbook IV: Mroz (wages of women), wage2, openness and bwght, whose Anderson-Rubin set has no end.

Command: python -m experiments.run iv/mroz
Expected result: every number of linearmodels and ivmodels to its printed digits; the bwght sets unbounded.
Expected time: 10 s, 25 s the first time (compiling), on two CPU cores.
"""

from experiments.iv.returns import Textbook

# Nothing is random: the scales are the same.
SCALES = {"smoke": Textbook(), "small": Textbook(), "paper": Textbook()}
