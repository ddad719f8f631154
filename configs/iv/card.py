"""Card (1995), returns to schooling: OLS, 2SLS, LIML, Fuller, GMM, tests, weak-instrument sets, anchors.

Command: python -m experiments.run iv/card
Expected result: every number of linearmodels and ivmodels to its printed digits; OLS .0747, 2SLS .1315.
Expected time: 5 s, 25 s the first time (compiling), on two CPU cores.
"""

from experiments.iv.returns import Card

# Nothing is random: the scales are the same.
SCALES = {"smoke": Card(), "small": Card(), "paper": Card()}
