"""Every estimator of latents refuses labels that stand in another order than the rows they label."""

import numpy as np
import pandas as pd
import pytest

from causalrep import latent
from causalrep.errors import InputError

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 2)))
LABELS = pd.Series(np.repeat(["a", "b"], 40))
OTHER = LABELS.sample(frac=1.0, random_state=0)
GRAPH = [[0, 1], [0, 0]]
CALLS = {
    "CauCA": lambda labels: latent.CauCA(GRAPH).fit(ROWS, labels, observational="a"),
    "ContrastiveCRL": lambda labels: latent.ContrastiveCRL(2).fit(ROWS, labels, observational="a"),
    "HCA": lambda labels: latent.HCA().fit(ROWS, labels),
    "IFlow": lambda labels: latent.IFlow().fit(ROWS, labels),
    "ILD": lambda labels: latent.ILD().fit(ROWS, labels),
    "IVAE": lambda labels: latent.IVAE(2).fit(ROWS, labels),
    "LinearDisentanglement": lambda labels: latent.LinearDisentanglement(2).fit(ROWS, labels, observational="a"),
    "LSCALEI": lambda labels: latent.LSCALEI(2).fit(ROWS, labels, observational="a"),
    "PolynomialDisentanglement": lambda labels: latent.PolynomialDisentanglement(2).fit(
        ROWS, labels, observational="a"
    ),
    "TCL": lambda labels: latent.TCL(2).fit(ROWS, labels),
    "TemporalFlow": lambda labels: latent.TemporalFlow().fit(ROWS, labels),
}


@pytest.mark.parametrize("name", CALLS)
def test_labels_in_another_order_are_refused(name):
    """Their index says so; rows would be paired with the labels of others without a word."""
    with pytest.raises(InputError, match="found an index that differs from X's"):
        CALLS[name](OTHER)


def test_measurements_of_modalities_are_of_the_same_rows():
    shuffled = ROWS.sample(frac=1.0, random_state=0)
    with pytest.raises(InputError, match=r"^X\[1\]\[0\]: found an index that differs from X\[0\]\[0\]'s"):
        latent.PersonaX((1, 1)).fit([[ROWS], [shuffled]])
