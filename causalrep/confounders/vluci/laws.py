"""Families of an unobserved confounder U: priors and posteriors, with their moments, divergences and samples.

A posterior is a pytree with one distribution of U per row: :class:`Gaussian` or :class:`Finite`. Both have ``mean``,
``variance``, ``kl`` (from the prior, for each dimension), ``sample``, and ``site()``, the NumPyro distribution of the
model's latent site. For a finite family the site holds the index of the level, so that sums over it are exact.
"""

import itertools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, Key

Family = Literal["gaussian", "two_point"]


class Gaussian(NamedTuple):
    """Independent normal coordinates; the prior is ``N(0, I)``.

    Attributes:
        loc: Means (n, k).
        log_variance: Logarithms of the variances (n, k).
    """

    loc: Float[Array, "n k"]
    log_variance: Float[Array, "n k"]

    def site(self) -> dist.Distribution:
        """``N(loc, diag exp log_variance)`` for each row."""
        return dist.Normal(self.loc, jnp.exp(0.5 * self.log_variance)).to_event(1)

    def mean(self) -> Float[Array, "n k"]:
        """``E[U]``."""
        return self.loc

    def variance(self) -> Float[Array, "n k"]:
        """``Var[U]`` of each coordinate."""
        return jnp.exp(self.log_variance)

    def kl(self) -> Float[Array, "n k"]:
        """Divergence of each coordinate from the prior, in nats."""
        return 0.5 * (jnp.square(self.loc) + jnp.exp(self.log_variance) - self.log_variance - 1.0)

    def sample(self, key: Key[Array, ""], draws: int) -> Float[Array, "draws n k"]:
        """Independent draws for every row."""
        noise = jax.random.normal(key, (draws, *self.loc.shape), self.loc.dtype)
        return self.loc + jnp.exp(0.5 * self.log_variance) * noise


class Finite(NamedTuple):
    """Probabilities of the ``2^k`` points of ``{-1, +1}^k``; the prior is uniform.

    Attributes:
        logits: Unnormalized log probabilities, in the order of :func:`support` (n, 2^k).
    """

    logits: Float[Array, "n s"]

    @property
    def log_probs(self) -> Float[Array, "n s"]:
        """Normalized log probabilities."""
        return jax.nn.log_softmax(self.logits)

    @property
    def points(self) -> Float[Array, "s k"]:
        """The points of the support."""
        return support(self.logits.shape[-1].bit_length() - 1, self.logits.dtype)

    def site(self) -> dist.Distribution:
        """The index of the point, for each row."""
        return dist.CategoricalLogits(self.logits)

    def mean(self) -> Float[Array, "n k"]:
        """``E[U]``."""
        return jnp.exp(self.log_probs) @ self.points

    def variance(self) -> Float[Array, "n k"]:
        """``Var[U]`` of each coordinate."""
        return 1.0 - jnp.square(self.mean())

    def kl(self) -> Float[Array, "n k"]:
        """Divergence of each coordinate's marginal from the fair coin, in nats: ``sum p log p + log 2``."""
        p = jnp.stack([(1.0 - self.mean()) / 2, (1.0 + self.mean()) / 2])
        return jnp.sum(jax.scipy.special.xlogy(p, p), axis=0) + jnp.log(2.0).astype(self.logits.dtype)

    def sample(self, key: Key[Array, ""], draws: int) -> Float[Array, "draws n k"]:
        """Independent draws for every row."""
        return self.points[jax.random.categorical(key, self.logits, shape=(draws, self.logits.shape[0]))]


Posterior = Gaussian | Finite


def support(dim: int, dtype: jnp.dtype = jnp.float32) -> Float[Array, "s k"]:
    """The points of ``{-1, +1}^k``, (2^k, k).

    >>> support(1).tolist()
    [[-1.0], [1.0]]
    """
    return jnp.asarray(np.array(list(itertools.product((-1.0, 1.0), repeat=dim))), dtype)


def prior(family: Family, dim: int, rows: int, dtype: jnp.dtype = jnp.float32) -> Posterior:
    """The prior, once for each row."""
    if family == "two_point":
        return Finite(jnp.zeros((rows, 2**dim), dtype))
    return Gaussian(jnp.zeros((rows, dim), dtype), jnp.zeros((rows, dim), dtype))


def outputs(family: Family, dim: int) -> int:
    """Number of outputs of a network that parametrizes a posterior."""
    return 2**dim if family == "two_point" else 2 * dim


def as_posterior(family: Family, values: Float[Array, "n o"]) -> Posterior:
    """A network's :func:`outputs` as a posterior."""
    return Finite(values) if family == "two_point" else Gaussian(*jnp.split(values, 2, axis=-1))


def levels(family: Family, dim: int, value: Float[Array, "n k"] | Int[Array, " n"]) -> Float[Array, "n k"]:
    """The confounder itself from the value of its NumPyro site."""
    return support(dim)[value] if family == "two_point" else value
