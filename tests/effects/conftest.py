"""Seeded data whose answers an independent package has printed."""

from typing import NamedTuple

import numpy as np
import pytest


class Sample(NamedTuple):
    """Outcome, treatment, covariates, true effects and fold codes."""

    y: np.ndarray
    t: np.ndarray
    x: np.ndarray
    tau: np.ndarray
    folds: np.ndarray


@pytest.fixture(scope="session")
def s2() -> Sample:
    """Data on which DoubleML 0.11.4 was run: n = 2,000, ``tau = 1 + x0/2``, logistic propensity."""
    rng, n = np.random.default_rng(2024), 2000
    x, noise, u = rng.standard_normal((n, 5)), rng.standard_normal(n), rng.random(n)
    t = (u < 1 / (1 + np.exp(-(0.6 * x[:, 0] - 0.4 * x[:, 1])))).astype(float)
    tau = 1 + 0.5 * x[:, 0]
    y = tau * t + x[:, 0] + 0.5 * x[:, 1] - 0.25 * x[:, 2] + noise
    permutation, folds = np.random.default_rng(7).permutation(n), np.empty(n, int)
    for k in range(5):
        folds[permutation[k::5]] = k
    assert y.mean() == pytest.approx(0.6080339466, abs=1e-9)
    return Sample(y, t, x, tau, folds)
