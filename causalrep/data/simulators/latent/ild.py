"""The simulated data of ILD (Zhou et al. 2024), number for number: latent causal models that differ between domains.

NumPy's legacy generator draws them, as the released code does, so the same data come out in every framework. Names
follow the paper, indices of latents count from 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from causalrep.errors import InputError

SLOPE = 0.5


class ILDTruth(NamedTuple):
    """A true model: domain d maps noise to ``x = leaky(eps M_d + shift_d) G``, all rows.

    Attributes:
        maps: M_d, upper triangular with unit diagonal, shape (domains, m, m).
        shifts: Added before the leaky ReLU, shape (domains, m).
        scale: Divides each latent after it: the pooled standard deviation of the training sample.
        mixing: G, shape (m, m), of determinant plus or minus 1.
        intervened: Latents whose mechanisms differ between domains.
    """

    maps: Float[np.ndarray, "domains m m"]
    shifts: Float[np.ndarray, "domains m"]
    scale: Float[np.ndarray, " m"]
    mixing: Float[np.ndarray, "m m"]
    intervened: tuple[int, ...]

    def observe(self, noise: Float[np.ndarray, "n m"], domain: int) -> Float[np.ndarray, "n m"]:
        """What the noise becomes in a domain; the true counterfactual of a row is its noise in another domain."""
        return _leaky(noise @ self.maps[domain] + self.shifts[domain]) / self.scale @ self.mixing


class ILDSample(NamedTuple):
    """Rows of all domains, one domain after the other.

    Attributes:
        x: Observations (n, m).
        domain: Their domains (n,), from 0.
        noise: The noise behind them (n, m).
    """

    x: Float[np.ndarray, "n m"]
    domain: Int[np.ndarray, " n"]
    noise: Float[np.ndarray, "n m"]


class ILDData(NamedTuple):
    """A true model and its samples."""

    truth: ILDTruth
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
) -> ILDData:
    """The data of one model seed of the paper's simulations.

    Args:
        seed: Of the model; the paper uses 0 to 9.
        domains: Nd.
        latents: m, also the number of observed variables.
        intervened: Latents, from 0, whose incoming weights and shift differ between domains.
        n: Training rows a domain.
        n_held_out: Validation and test rows a domain.

    Raises:
        InputError: If a latent is out of range.

    >>> data = ild_simulation(0, domains=2, n=100)
    >>> data.train.x.shape, data.test.x.shape
    ((200, 6), (2000, 6))
    """
    intervened = checked_columns(intervened, latents)
    draw = np.random.RandomState(seed).randn(latents, latents)
    determinant = np.linalg.det(draw)
    mixing = np.sign(determinant) * draw / abs(determinant) ** (1 / latents)
    # The released code draws mixing and shared weights from the same seed: they are the same numbers.
    shared = np.triu(draw, 1)
    maps, shifts = zip(*(mechanisms(seed, d, shared, intervened) for d in range(domains)), strict=True)
    truth = ILDTruth(np.stack(maps), np.stack(shifts), np.ones(latents), mixing, intervened)
    noise = standard_noise(seed + 100, domains, n, latents)
    pooled = np.concatenate([_leaky(noise[d] @ truth.maps[d] + truth.shifts[d]) for d in range(domains)])
    truth = truth._replace(scale=pooled.std(axis=0, ddof=1))
    held_out = (standard_noise(seed + number, domains, n_held_out, latents) for number in (101, 102))
    return ILDData(truth, *(_sample(truth, block) for block in (noise, *held_out)))


def checked_columns(intervened: Sequence[int], latents: int) -> tuple[int, ...]:
    """The intervened latents, or an error that says what is wrong with them."""
    columns = tuple(intervened)
    if not columns or len(set(columns)) < len(columns) or not set(columns) <= set(range(latents)):
        raise InputError("intervened", found=f"{columns}", expected=f"different numbers from 0 to {latents - 1}")
    return columns


def mechanisms(
    seed: int, domain: int, shared: Float[np.ndarray, "m m"], intervened: tuple[int, ...]
) -> tuple[Float[np.ndarray, "m m"], Float[np.ndarray, " m"]]:
    """M_d and the shift of one domain; entry (i, j) of a weight matrix is the effect of i on j."""
    generator, m, columns = np.random.RandomState(1000 * seed + domain), len(shared), list(intervened)
    weights = shared.copy()
    weights[:, columns] = np.triu(generator.randn(m, m), 1)[:, columns]
    shift = np.zeros(m)
    # After the equations are solved: the shift of a latent does not reach its children.
    shift[columns] = (4 * generator.rand() - 2) * np.sqrt(m / len(columns))
    return np.linalg.solve(np.eye(m) - weights, np.eye(m)), shift


def standard_noise(seed: int, domains: int, n: int, latents: int) -> Float[np.ndarray, "domains n m"]:
    """N(0, I), one generator for all domains in order."""
    return np.random.RandomState(seed).randn(domains, n, latents)


def _sample(truth: ILDTruth, noise: Float[np.ndarray, "domains n m"]) -> ILDSample:
    domains, n, m = noise.shape
    x = np.concatenate([truth.observe(noise[d], d) for d in range(domains)])
    return ILDSample(x, np.repeat(np.arange(domains), n), noise.reshape(-1, m))


def _leaky(values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    return np.where(values < 0, SLOPE * values, values)
