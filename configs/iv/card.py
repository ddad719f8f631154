"""Returns to schooling (Card 1995): OLS, 2SLS, LIML, Fuller, GMM, tests, weak-instrument sets, anchor regression.

Command: python -m experiments.run iv/card
Expected result: coefficients equal those of linearmodels and ivmodels to 1e-6, standard errors to 1e-5, and all other
numbers to their printed digits.
Expected time: 7 s, or 25 s the first time (compiling), on two CPU cores.
"""

from experiments.papers.iv.returns import Card

REPRODUCE = "paper"
MAIN = True

# Nothing is random: the scales are the same.
SCALES = {"smoke": Card(), "small": Card(), "paper": Card()}
