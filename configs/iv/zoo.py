"""DeepGMM's zoo (Bennett, Kallus, Schnabel 2019): DeepGMM, DFIV, DeepIV, KIV and kernel MMR beside regression.

Command: python -m experiments.run iv/zoo --scale paper
Expected result: every IV method below direct regression, whose error is that of a slope 1.667 too steep.
Expected time: TIME.
"""

from experiments.iv.zoo import Zoo

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
