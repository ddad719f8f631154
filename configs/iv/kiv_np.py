"""KIV (Singh, Sahani, Gretton 2019), NP and CC designs: KIV, kernel MMR, sieves and a regression, tuned.

Command: python -m experiments.run iv/kiv_np --scale paper
Expected result: NP, n = 1,000: KIV's median error near .07, a kernel ridge regression's near .13 whatever n is.
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
