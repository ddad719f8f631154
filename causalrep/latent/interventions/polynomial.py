"""Latents behind a polynomial mixing, from environments in which one of them is constant (Ahuja et al., ICML 2023).

The method has two steps. An autoencoder with a polynomial decoder finds codes ``z_hat = A z + c``, since only affine
maps take a polynomial of z to one of the same degree in z_hat. Then in the environment that holds latent i constant,
one combination of the codes is constant as well, and that is latent i.

The latents are identified up to order, scale and shift if the mixing is an injective polynomial, its degree and the
number of latents are known, the support of the latents has an interior, and each latent is held constant (do) in one
environment while the others still vary in all directions. Mechanisms and graph can be anything.
"""

import itertools
from collections.abc import Mapping
from functools import lru_cache
from math import comb
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from causalrep.base.domains import Domain, Whole, Widths
from causalrep.errors import InputError
from causalrep.latent.environments.door import as_environments, check_one_per_latent, column_scaling
from causalrep.latent.environments.network import Network
from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import MLP
from causalrep.training import Objective, Schedule
from causalrep.training.rows import InSchedule

DEFAULT = Schedule(steps=3000, batch_size=512, learning_rate=1e-2, restarts=2)


def monomials(z: Float[Array, "... d"], degree: int) -> Float[Array, "... m"]:
    """All products of 1 to ``degree`` entries of the last axis."""
    d = z.shape[-1]
    chosen = [
        np.array(list(itertools.combinations_with_replacement(range(d), order))) for order in range(1, degree + 1)
    ]
    return jnp.concatenate([jnp.prod(z[..., factors], axis=-1) for factors in chosen], axis=-1)


class PolynomialAutoencoder(nn.Module):
    """An encoder, and a decoder that is a polynomial of the codes.

    Attributes:
        latents: d.
        observed: p.
        degree: Degree of the decoder.
        hidden: Widths of the encoder. ``()`` for a linear one, which suffices where the mixing's coefficients have full
            column rank, so with at least as many observed variables as monomials.
    """

    latents: int
    observed: int
    degree: int = 2
    hidden: tuple[int, ...] = ()

    def setup(self) -> None:
        """The encoder, and the decoder's coefficients of all monomials."""
        self.encoder = MLP((*self.hidden, self.latents), activation=nn.leaky_relu)
        self.decoder = nn.Dense(self.observed)

    def encode(self, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
        """Codes of rows, an affine map of the latents."""
        return self.encoder(x)

    def __call__(self, x: Float[Array, "n p"]) -> tuple[Float[Array, "n d"], Float[Array, "n p"]]:
        """Codes of rows, and the reconstructed rows."""
        z = self.encode(x)
        return z, self.decoder(monomials(z, self.degree))


@lru_cache
def reconstruction_objective(model: PolynomialAutoencoder) -> Objective:
    """Mean squared error of a row's entries."""

    def init(key: Key[Array, ""], batch: CodedRows) -> Mapping:
        return model.init(key, batch.x)

    def loss(params: Mapping, key: Key[Array, ""], batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        _, decoded = model.apply(params, batch.x)
        return jnp.mean(batch.weight * jnp.mean((batch.x - decoded) ** 2, axis=1)), {}

    return Objective(init, loss)


def constant_directions(codes: Float[Array, "n d"], code: Int[Array, " n"], latents: int) -> Float[Array, "d d"]:
    """For each interventional environment the combination of the codes that varies least in it.

    Row i minimizes the variance in environment i + 1 relative to the variance over all rows. It is the linear map to
    the latent that environment holds constant; the constant itself is not estimated.

    Args:
        codes: Codes of rows.
        code: Environment of each row, 0 the observational one.
        latents: Number of interventional environments, one for each code.
    """
    centered = codes - jnp.mean(codes, axis=0)
    # With L L' the covariance, white = L^{-1} centered has unit covariance, and a direction u of white is L^{-T} u of
    # the codes: minimize the variance within an environment over unit vectors u.
    half = jnp.linalg.cholesky(centered.T @ centered / len(codes))
    white = jax.scipy.linalg.solve_triangular(half, centered.T, lower=True).T

    def direction(environment: Array) -> Array:
        inside = (code == environment).astype(codes.dtype)[:, None]
        own = inside * (white - jnp.sum(inside * white, axis=0) / jnp.sum(inside))
        return jnp.linalg.eigh(own.T @ own)[1][:, 0]

    rows = jax.lax.map(direction, 1 + jnp.arange(latents))
    return jax.scipy.linalg.solve_triangular(half, rows.T, lower=True, trans=1).T


class PolynomialDisentanglement(Network):
    """Latents of a polynomial mixing, from environments that hold one of them constant (Ahuja et al. 2023).

    The latents are identified up to scale and shift if the mixing is an injective polynomial of the given degree, the
    latents fill some region of space, and each is held constant, by do(), in one environment in which the others keep
    varying. Nothing is assumed of their distribution or graph. Rows are reduced to as many principal components as the
    polynomial has monomials, and whitened (ours).

    Args:
        latents: Number of latents, and of interventional environments.
        degree: Degree of the mixing.
        hidden: Widths of the encoder; ``()`` for a linear one, which finds the latents where there are at least as many
            observed variables as monomials, and they are independent combinations of these.
        schedule: Steps, batch size, learning rate and restarts.
        seed: Random seed.

    Attributes:
        params_: Parameters of the autoencoder.
        directions_: Map from codes to latents (latents, latents).
        environments_: Labels, the observational one first; latent i is constant in the i-th after it.
        validation_loss_: Mean squared error of the held-out components; far from 0, the degree or the encoder is wrong.
        n_features_in_: Number of observed variables.

    >>> PolynomialDisentanglement(6, degree=3)
    PolynomialDisentanglement(degree=3, latents=6)
    """

    _schedule = DEFAULT
    _domains: ClassVar[dict[str, Domain]] = {
        "latents": Whole(),
        "degree": Whole(),
        "hidden": Widths(),
        "schedule": InSchedule(DEFAULT),
        "seed": Whole(None),
    }

    def __init__(
        self,
        latents: int,
        *,
        degree: int = 2,
        hidden: tuple[int, ...] = (),
        schedule: Schedule = DEFAULT,
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
            InputError: If an argument is wrong, or there is not one interventional environment per latent.
        """
        self._check_domains()
        x, self.columns_, codes, self.environments_ = as_environments(X, environment, observational)
        check_one_per_latent(self.latents, self.environments_)
        # The number of monomials of degree 1 to k in d variables is (d + k choose k) - 1.
        terms = min(x.shape[1], comb(self.latents + self.degree, self.degree) - 1)
        if terms < self.latents:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"at least {self.latents}, one per latent")
        self.model_ = PolynomialAutoencoder(self.latents, terms, self.degree, tuple(self.hidden))
        self._train(x, codes, reconstruction_objective(self.model_), principal_components(x, terms))
        with self._computing():
            directions = constant_directions(jnp.asarray(super().transform(x)), codes, self.latents)
        self.directions_ = np.asarray(directions)
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n latents"]:
        """Latents of rows, in the order of the environments; their signs, scales and origins are arbitrary."""
        directions = self.directions_
        return super().transform(X) @ directions.T


def principal_components(x: Float[np.ndarray, "n p"], number: int) -> Float[np.ndarray, "p number"]:
    """The map from centered rows to the leading principal components of their standardized columns, of variance one."""
    _, std = column_scaling("X", x)
    values, vectors = np.linalg.eigh(np.corrcoef(x, rowvar=False))
    values, vectors = values[-number:], vectors[:, -number:]
    if values[0] <= 1e-10 * values[-1]:
        raise InputError(
            "X",
            found=f"fewer than {number} dimensions",
            expected=f"{number}, as many as the mixing has monomials, or fewer columns",
        )
    return vectors / np.sqrt(values) / std[:, None]
