"""DeepGMM's zoo (Bennett, Kallus, Schnabel 2019): DeepGMM, DFIV, DeepIV, KIV and kernel MMR beside regression.

Command: python -m experiments.run iv/zoo --scale paper
Expected result: DeepGMM's error on linear, abs and step below 1, direct regression's near 16: its slope is 1.667 too
steep. The other IV methods lie between.
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
