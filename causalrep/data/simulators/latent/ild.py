"""The simulated data of ILD (Zhou et al. 2024), number for number: latent causal models that differ between domains.

NumPy's legacy generator draws them from the seeds of the released code, so that the same data come out in every
framework. Names follow the paper; latents are counted from 0.

Source: Zhou, Bai, Kulinski, Kocaoglu and Inouye, "Towards Characterizing Domain Counterfactuals for Invertible Latent
Causal Models", ICLR 2024, and its released code.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from jaxtyping import Float, Int

from causalrep.errors import InputError

SLOPE = 0.5


class DomainTruth(Protocol):
    """A true model that maps noise to observations in every domain."""

    def observe(self, noise: Float[np.ndarray, "n m"], domain: int) -> Float[np.ndarray, "n m"]:
        """Observations that the noise gives in a domain."""
        ...


class ILDTruth(NamedTuple):
    """A true model, in which domain d maps rows of noise to ``x = leaky(eps M_d + shift_d) / scale G``.

    Attributes:
        maps: M_d, upper triangular with unit diagonal (domains, m, m).
        shifts: Shifts before the leaky ReLU (domains, m).
        scale: Divisors of the latents after it: their pooled standard deviations in the training sample (m,).
        mixing: G, of determinant 1 or -1 (m, m).
        intervened: Latents whose mechanisms differ between domains.
    """

    maps: Float[np.ndarray, "domains m m"]
    shifts: Float[np.ndarray, "domains m"]
    scale: Float[np.ndarray, " m"]
    mixing: Float[np.ndarray, "m m"]
    intervened: tuple[int, ...]

    def observe(self, noise: Float[np.ndarray, "n m"], domain: int) -> Float[np.ndarray, "n m"]:
        """Observations that the noise gives in a domain; a row's counterfactual is its own noise in another domain."""
        return leaky(noise @ self.maps[domain] + self.shifts[domain], SLOPE) / self.scale @ self.mixing


class ILDSample(NamedTuple):
    """Rows of all domains, one domain after the other.

    Attributes:
        x: Observations (n, m).
        domain: Domains, counted from 0 (n,).
        noise: The noise that gave the observations (n, m).
    """

    x: Float[np.ndarray, "n m"]
    domain: Int[np.ndarray, " n"]
    noise: Float[np.ndarray, "n m"]


Truth = TypeVar("Truth", bound=DomainTruth)


class ILDData(NamedTuple, Generic[Truth]):
    """A true model and three samples of it."""

    truth: Truth
    train: ILDSample
    validation: ILDSample
    test: ILDSample


def ild_simulation(
    seed: int,
    *,
    domains: int = 3,
    latents: int = 6,
    intervened: Sequence[int] = (4, 5),
    n: int = 100_000,
    n_held_out: int = 1000,
) -> ILDData[ILDTruth]:
    """The data of one model seed of the paper's simulations.

    Args:
        seed: Random seed of the model; the paper uses 0 to 9.
        domains: Number of domains, the paper's Nd.
        latents: Number m of latents and of observed variables.
        intervened: Latents whose incoming weights and shift differ between domains.
        n: Training rows per domain.
        n_held_out: Validation rows per domain, and as many test rows.

    Raises:
        InputError: If a latent is out of range or repeated.

    >>> data = ild_simulation(0, domains=2, n=100)
    >>> data.train.x.shape, data.test.x.shape
    ((200, 6), (2000, 6))
    """
    intervened = checked_columns(intervened, latents)
    draw = np.random.RandomState(seed).randn(latents, latents)
    determinant = np.linalg.det(draw)
    mixing = np.sign(determinant) * draw / abs(determinant) ** (1 / latents)
    # The released code draws the mixing and the shared weights from the same seed, so they are the same numbers.
    maps, shifts = mechanisms(seed, domains, np.triu(draw, 1), intervened)
    noises = standard_noises(seed, domains, (n, n_held_out, n_held_out), latents)
    pooled = np.concatenate([leaky(noises[0][d] @ maps[d] + shifts[d], SLOPE) for d in range(domains)])
    truth = ILDTruth(maps, shifts, pooled.std(axis=0, ddof=1), mixing, intervened)
    return ILDData(truth, *(observed_sample(truth, noise) for noise in noises))


def checked_columns(intervened: Sequence[int], latents: int) -> tuple[int, ...]:
    """The intervened latents as a tuple.

    Raises:
        InputError: If there are none, or one is out of range or repeated.
    """
    columns = tuple(intervened)
    if not columns or len(set(columns)) < len(columns) or not set(columns) <= set(range(latents)):
        raise InputError("intervened", found=f"{columns}", expected=f"different numbers from 0 to {latents - 1}")
    return columns


def mechanisms(
    seed: int, domains: int, shared: Float[np.ndarray, "m m"], intervened: tuple[int, ...]
) -> tuple[Float[np.ndarray, "domains m m"], Float[np.ndarray, "domains m"]]:
    """M_d and the shifts of all domains.

    Args:
        seed: Random seed of the model.
        domains: Number of domains.
        shared: Strictly upper triangular weights; entry (i, j) is the effect of latent i on latent j.
        intervened: Latents whose columns of the weights are replaced in every domain.
    """
    m, columns = len(shared), list(intervened)
    maps, shifts = np.zeros((domains, m, m)), np.zeros((domains, m))
    for d in range(domains):
        # The seed of the released code, as published numbers depend on it.
        generator = np.random.RandomState(1000 * seed + d)
        weights = shared.copy()
        weights[:, columns] = np.triu(generator.randn(m, m), 1)[:, columns]
        # Row vectors solve z = z A + eps, so z = eps (I - A)^-1.
        maps[d] = np.linalg.solve(np.eye(m) - weights, np.eye(m))
        # The shift comes after the equations are solved, so that a latent's shift does not reach its children.
        shifts[d, columns] = (4 * generator.rand() - 2) * np.sqrt(m / len(columns))
    return maps, shifts


def standard_noises(
    seed: int, domains: int, rows: tuple[int, int, int], latents: int
) -> list[Float[np.ndarray, "domains n m"]]:
    """N(0, I) noise of the training, validation and test sample, in this order."""
    # The released code draws the samples from the seeds 100, 101 and 102 above the model's, one stream for all domains.
    # The sum is kept, although another model seed may meet it, because it gives the published data.
    return [np.random.RandomState(seed + 100 + i).randn(domains, n, latents) for i, n in enumerate(rows)]


def observed_sample(truth: DomainTruth, noise: Float[np.ndarray, "domains n m"]) -> ILDSample:
    """The sample that the noise gives under a true model."""
    domains, n, m = noise.shape
    x = np.concatenate([truth.observe(noise[d], d) for d in range(domains)])
    return ILDSample(x, np.repeat(np.arange(domains), n), noise.reshape(-1, m))


def leaky(values: np.ndarray, slope: float) -> np.ndarray:
    """The leaky ReLU."""
    return np.where(values < 0, slope * values, values)
