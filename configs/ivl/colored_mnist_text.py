"""Colored MNIST as the text of the IVL paper describes it: whole translations, equal environments, test e = .9.

Command: python -m experiments.run ivl/colored_mnist_text --scale small
This protocol also uses the IVL loss of the text. Expected result: none is published; a classifier that reads the color
is right on one digit in ten (nCER .72).
Expected time: small 15 min on two CPU cores (2 seeds of a subset); paper scale, with all digits, is for an accelerator.
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
