"""Figure 5, right: ten methods on Colored MNIST, set up as in the released code.

Command: python -m experiments.run ivl/colored_mnist --scale small
Expected result: the nCER of ERM is near .47, that of DA+ERM near .32, and DA+IVL is within .01 of it; see
docs/results/ivl.md.
Expected time: small 15 min on two CPU cores (2 seeds of a subset); paper scale, with all digits, is for an accelerator.
"""

from experiments.papers.ivl.cmnist import ColoredMNIST

DATA = ("mnist",)
REPRODUCE = "smoke"

SCALES = {
    "smoke": ColoredMNIST(seeds=1, samples=300, candidates=2, epochs=2, hidden=16),
    "small": ColoredMNIST(seeds=2, samples=20_000, candidates=3),
    "paper": ColoredMNIST(digits="full"),
}
