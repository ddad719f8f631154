"""DemoVAE on your own cohort's functional connectivity: the paper's cohort is restricted (dbGaP phs000607).

Command: python -m experiments.run demovae/fmri --path FOLDER --scan rest
The folder holds connectivity.npy (subjects, edges), demographics.csv and fields.csv (phenotypes), with the subjects in
the same order in all three files.
Expected result: in the paper (1,154 subjects, 169 fields) 70 fields are associated with connectivity at rest, 97 with
the latents of a plain VAE and 5 with DemoVAE's.
Expected time: small 20 min, paper 3 h for 34,716 edges on one GPU (estimated, not measured).
"""

import dataclasses

from experiments.papers.demovae.fmri import Cohort

DATA = ("connectivity_cohort",)
REPRODUCE = "small"

PAPER = Cohort()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, latents=4, hidden=16, epochs=20),
    "small": dataclasses.replace(PAPER, replications=3, epochs=1500),
    "paper": PAPER,
}
