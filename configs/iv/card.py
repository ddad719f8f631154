"""Card (1995), returns to schooling: OLS, 2SLS, LIML, Fuller, GMM, tests, weak-instrument sets, anchors.

Command: python -m experiments.run iv/card
Expected result: linearmodels and ivmodels met to 1e-6 (coefficients), 1e-5 (SEs), else printed digits.
Expected time: 7 s, 25 s the first time (compiling), on two CPU cores.
"""

from experiments.papers.iv.returns import Card

REPRODUCE = "paper"
MAIN = True

# Nothing is random: the scales are the same.
SCALES = {"smoke": Card(), "small": Card(), "paper": Card()}
