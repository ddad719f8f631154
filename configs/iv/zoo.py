"""DeepGMM's zoo (Bennett, Kallus and Schnabel 2019): DeepGMM, DFIV, DeepIV, KIV, kernel MMR and a regression.

Command: python -m experiments.run iv/zoo --scale paper
Expected result: DeepGMM's error on linear, abs and step is below 1, and that of direct regression near 16, because its
slope is too steep by 1.667. The other IV methods lie between.
Expected time: small 10 min on two CPU cores (estimated; a quarter of it DeepGMM), paper an hour or an accelerator.
"""

from experiments.papers.iv.zoo import Zoo

REPRODUCE = "smoke"

SCALES = {
    "smoke": Zoo(
        replications=2,
        functions=("linear",),
        methods=("DeepGMM", "Direct regression", "OLS"),
        samples=400,
        gmm_epochs=50,
        landmarks=50,
    ),
    "small": Zoo(),
    "paper": Zoo(
        replications=20,
        functions=("linear", "abs", "step", "sin", "2dpoly", "3dpoly", "sigmoid"),
        gmm_epochs=6000,
        deep_iv_epochs=100,
    ),
}
