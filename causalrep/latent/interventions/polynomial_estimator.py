"""The façade of the method for polynomial mixings."""

from math import comb
from typing import Any, Self

import numpy as np

from causalrep.base.validation import check_range
from causalrep.errors import InputError
from causalrep.latent.environments.door import as_environments, check_one_per_latent
from causalrep.latent.environments.rows import Schedule
from causalrep.latent.interventions import polynomial
from causalrep.latent.segments.estimators import Network

EXACTING = Schedule(steps=3000, learning_rate=1e-2, restarts=2)


class PolynomialDisentanglement(Network):
    """Latents of a polynomial mixing, from environments that hold one of them at a constant (Ahuja et al. 2023).

    Identified up to scale and shift if the mixing is an injective polynomial of the given degree, the latents fill some
    region of space, and each is held at a constant, by do(), in one environment where the others keep varying.
    Nothing is assumed of their distribution or graph. Rows are reduced to as many principal components as the
    polynomial has monomials, and whitened (ours).

    Args:
        latents: How many, also the number of interventional environments.
        degree: Of the mixing.
        hidden: Widths of the encoder; ``()`` for a linear one, which finds the latents where the observed variables are
            at least as many as the monomials, and independent combinations of them.
        schedule: Of the training.
        seed: Of all randomness.

    Attributes:
        params_: Of the autoencoder.
        directions_: From codes to latents (latents, latents).
        environments_: Labels, the observational one first; latent i is constant in the i-th after it.
        validation_loss_: Mean squared error of the held-out components; far from 0, the degree or the encoder is wrong.
        n_features_in_: Number of observed variables.

    >>> PolynomialDisentanglement(6, degree=3)
    PolynomialDisentanglement(degree=3, latents=6)
    """

    def __init__(
        self,
        latents: int,
        *,
        degree: int = 2,
        hidden: tuple[int, ...] = (),
        schedule: Schedule = EXACTING,
        seed: int = 0,
    ):
        self.latents = latents
        self.degree = degree
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, environment: Any, *, observational: Any) -> Self:
        """Train.

        Args:
            X: Observations (n, p).
            environment: Label of each row's environment (n,).
            observational: The label without intervention.

        Raises:
            InputError: If an argument is wrong, or there is not one interventional environment a latent.
        """
        self._check(self.latents)
        check_range("degree", self.degree, at_least=1)
        x, codes, self.environments_ = as_environments(X, environment, observational)
        check_one_per_latent(self.latents, self.environments_)
        terms = min(x.shape[1], comb(self.latents + self.degree, self.degree) - 1)
        if terms < self.latents:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"at least {self.latents}, one a latent")
        self.model_ = polynomial.PolynomialAutoencoder(self.latents, terms, self.degree, tuple(self.hidden))
        self._train(x, codes, polynomial.reconstruction_objective(self.model_), principal_components(x, terms))
        learned = polynomial.encode(self.model_, self.params_, self._standardized(x))
        self.directions_ = np.asarray(polynomial.constant_directions(learned, codes, self.latents))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Latents of rows (n, latents), in the order of the environments; their signs, scales and origins are free."""
        directions = self.directions_
        return np.asarray(polynomial.encode(self.model_, self.params_, self._standardized(X))) @ directions.T


def principal_components(x: np.ndarray, number: int) -> np.ndarray:
    """The map from centred rows to their leading components, each of variance one (p, number)."""
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True))
    values, vectors = values[-number:], vectors[:, -number:]
    if values[0] <= 1e-10 * values[-1]:
        raise InputError(
            "X",
            found=f"fewer than {number} dimensions",
            expected=f"{number}, as many as the mixing has monomials, or fewer columns",
        )
    return vectors / np.sqrt(values)
