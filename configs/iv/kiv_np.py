"""The NP and CC designs of KIV (Singh, Sahani and Gretton 2019): KIV, kernel MMR, sieves and a regression, all tuned.

Command: python -m experiments.run iv/kiv_np --scale paper
Expected result: on NP with n = 1,000 the median error of KIV is near .07; that of a kernel ridge regression is near .13
for every n.
Expected time: small 40 s on two CPU cores (80 data sets), paper 5 min (estimated).
"""

from experiments.papers.iv.kiv import NeweyPowell

REPRODUCE = "small"
MAIN = True

PAPER = NeweyPowell(samples=(1000, 5000, 10000), landmarks=200)
SCALES = {
    "smoke": NeweyPowell(replications=2, samples=(200,), exact_up_to=200, landmarks=60, candidates=8),
    "small": NeweyPowell(),
    "paper": PAPER,
}
