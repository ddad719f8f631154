"""Latents behind a polynomial mixing, from environments in which one of them is constant (Ahuja et al., ICML 2023).

Two steps. An autoencoder with a polynomial decoder finds codes ``z_hat = A z + c``: only affine maps take a polynomial
of z to one of the same degree in z_hat. Then in the environment that holds latent i at a constant, one combination of
the codes is constant as well, and it is latent i.

Identified up to order, scale and shift if the mixing is an injective polynomial, its degree and the number of latents
are known, the support of the latents has an interior, and each latent is held constant (do) in one environment while
the others still vary in all directions. Mechanisms and graph can be anything.
"""

import itertools
from collections.abc import Mapping
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import MLP
from causalrep.training import Objective


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
        degree: Of the decoder.
        hidden: Widths of the encoder. ``()`` for a linear one, which is enough where the mixing's coefficients have
            full column rank, so with at least as many observed variables as monomials.
    """

    latents: int
    observed: int
    degree: int = 2
    hidden: tuple[int, ...] = ()

    def setup(self) -> None:
        """The encoder and the polynomial's coefficients."""
        self.encoder = MLP((*self.hidden, self.latents), activation=nn.leaky_relu)
        self.decoder = nn.Dense(self.observed)

    def encode(self, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
        """Codes of rows."""
        return self.encoder(x)

    def __call__(self, x: Float[Array, "n p"]) -> tuple[Float[Array, "n d"], Float[Array, "n p"]]:
        """Codes, and the rows that they stand for."""
        z = self.encode(x)
        return z, self.decoder(monomials(z, self.degree))


@lru_cache
def reconstruction_objective(model: PolynomialAutoencoder) -> Objective:
    """Mean squared error of a row's entries."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, batch.x)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        _, decoded = model.apply(params, batch.x)
        return jnp.mean(batch.weight * jnp.mean((batch.x - decoded) ** 2, axis=1)), {}

    return Objective(init, loss)


def constant_directions(codes: Float[Array, "n d"], code: Float[Array, " n"], latents: int) -> Float[Array, "d d"]:
    """For each interventional environment the combination of the codes that varies least in it.

    Row i minimises the variance in environment i + 1, in units of the variance over all rows: the linear map to the
    constant do-value, without its value.

    Args:
        codes: Codes of rows.
        code: Environment of each row, 0 the observational one.
        latents: Number of interventional environments, one for each code.
    """
    centred = codes - jnp.mean(codes, axis=0)
    half = jnp.linalg.cholesky(centred.T @ centred / len(codes))
    white = jax.scipy.linalg.solve_triangular(half, centred.T, lower=True).T

    def direction(environment: Array) -> Array:
        inside = (code == environment).astype(codes.dtype)[:, None]
        own = inside * (white - jnp.sum(inside * white, axis=0) / jnp.sum(inside))
        return jnp.linalg.eigh(own.T @ own)[1][:, 0]

    rows = jax.lax.map(direction, 1 + jnp.arange(latents))
    return jax.scipy.linalg.solve_triangular(half, rows.T, lower=True, trans=1).T


def encode(model: PolynomialAutoencoder, params: Mapping, x: Float[Array, "n p"]) -> Float[Array, "n d"]:
    """Codes of rows, an affine map of the latents."""
    return model.apply(params, x, method=PolynomialAutoencoder.encode)
