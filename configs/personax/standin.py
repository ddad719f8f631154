"""PersonaX on a simulated stand-in for its synthetic data, beside four other methods.

Command: python -m experiments.run personax/standin
Expected result: blocks recovered; of the latents, those that sparse edges identify.
Expected time: a fit compiles in 20 s and trains 200 updates a second on a quiet CPU; small some 15 min, not measured whole.
"""

import dataclasses

from experiments.personax.standin import StandIn

PAPER = StandIn(seeds=10)
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=600, steps=100),
    "small": dataclasses.replace(PAPER, seeds=5),
    "paper": PAPER,
}
