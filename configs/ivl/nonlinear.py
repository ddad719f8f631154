"""The nonlinear simulation of the IVL paper's repository: neural and kernel IVL on |x|, sin x and the sign of x.

Command: python -m experiments.run ivl/nonlinear --scale small
Expected result: none is published; augmentation with and without IVL is below plain regression for every function.
Expected time: small 3 min, paper 15 min on two CPU cores.
"""

from experiments.papers.ivl.nonlinear import NonlinearSimulation

REPRODUCE = "smoke"

SCALES = {
    "smoke": NonlinearSimulation(replications=2, samples=100, epochs=5, candidates=2),
    "small": NonlinearSimulation(),
    "paper": NonlinearSimulation(replications=100),
}
