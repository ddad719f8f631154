"""Colored MNIST as the IVL paper's text says: whole translations, equal environments, its own IVL loss, test e = .9.

Command: python -m experiments.run ivl/colored_mnist_text --scale small
Expected result: none published; a classifier that reads the colour is right on one digit in ten (nCER .72).
Expected time: small 15 min on two CPU cores (2 seeds of a subset); paper: for an accelerator, all digits.
"""

from experiments.papers.ivl.cmnist import ColoredMNIST

DATA = ("mnist",)
REPRODUCE = "smoke"

TEXT = {"name": "ivl/colored_mnist_text", "protocol": "paper", "test_flip": 0.9}
SCALES = {
    "smoke": ColoredMNIST(**TEXT, seeds=1, samples=300, candidates=2, epochs=2, hidden=16),
    "small": ColoredMNIST(**TEXT, seeds=2, samples=20_000, candidates=3),
    "paper": ColoredMNIST(**TEXT, digits="full"),
}
