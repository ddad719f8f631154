"""Figure 5, left: fifteen methods on the linear simulation with m = 16 and a third of the augmentation directions.

Command: python -m experiments.run ivl/comparison --scale paper
Expected result: IVL-CC has the smallest error, DA+ERM is well below ERM, and DA+IV is near .5; see docs/results/ivl.md.
Expected time: small 2 min, paper 5 min on two CPU cores.
"""

from experiments.papers.ivl.comparison import Comparison

REPRODUCE = "smoke"

SCALES = {
    "smoke": Comparison(simulations=1, samples=256, treatments=6),
    "small": Comparison(),
    "paper": Comparison(simulations=64),
}
