"""Data of ILD under a RealNVP mixing (Zhou et al. 2024): the latent models of :mod:`.ild_designs`, mixed by a flow.

The released generator's coupling networks end in zeros, so that its mixing of four blocks only permutes the latents
twice and is the identity. Here they are random (ours), and numbers are not comparable with the paper's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from causalrep.data.simulators.latent.ild import ILDSample, checked_columns, mechanisms, standard_noise
from causalrep.errors import InputError

HIDDEN, SLOPE = 64, 0.01
# Spread of log scales (before their bound, 1) and shifts of a block.
SPREAD = 0.5
LOG_2PI = float(np.log(2 * np.pi))


class ILDFlowTruth(NamedTuple):
    """A true model: domain d maps noise to ``x = g((eps M_d + shift_d) / scale)``, all rows.

    Attributes:
        maps: M_d, upper triangular with unit diagonal, shape (domains, m, m).
        shifts: Shape (domains, m).
        scale: The pooled standard deviation of the training sample's latents (m,).
        blocks: Weights of the coupling networks of g, one triple a block: (m/2, 64), (64, 64), (64, m).
        intervened: Latents whose mechanisms differ between domains.
    """

    maps: Float[np.ndarray, "domains m m"]
    shifts: Float[np.ndarray, "domains m"]
    scale: Float[np.ndarray, " m"]
    blocks: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    intervened: tuple[int, ...]

    def observe(self, noise: Float[np.ndarray, "n m"], domain: int) -> Float[np.ndarray, "n m"]:
        """What the noise becomes in a domain; the true counterfactual of a row is its noise in another domain."""
        return self._mixed(noise, domain)[0]

    def log_density(self, noise: Float[np.ndarray, "n m"], domain: int) -> Float[np.ndarray, " n"]:
        """``log p(x | d)`` in nats, of the rows that the noise becomes."""
        log_det = self._mixed(noise, domain)[1] - np.sum(np.log(self.scale))
        return -0.5 * np.sum(noise**2 + LOG_2PI, axis=1) - log_det

    def _mixed(self, noise: Float[np.ndarray, "n m"], domain: int) -> tuple[np.ndarray, np.ndarray]:
        x, log_det = (noise @ self.maps[domain] + self.shifts[domain]) / self.scale, np.zeros(len(noise))
        for first, second, last in self.blocks:
            kept, moved = np.split(x, 2, axis=1)
            log_scale, shift = np.split(_leaky(_leaky(kept @ first) @ second) @ last, 2, axis=1)
            log_scale = np.tanh(log_scale)
            x, log_det = np.concatenate([moved * np.exp(log_scale) + shift, kept], axis=1), log_det + log_scale.sum(1)
        return x, log_det


class ILDFlowData(NamedTuple):
    """A true model and its samples."""

    truth: ILDFlowTruth
    train: ILDSample
    validation: ILDSample
    test: ILDSample


def ild_flow_simulation(
    seed: int,
    *,
    domains: int = 2,
    latents: int = 6,
    intervened: Sequence[int] = (4, 5),
    depth: int = 4,
    n: int = 100_000,
    n_held_out: int = 1000,
) -> ILDFlowData:
    """The data of one model seed; latents as in :func:`causalrep.data.ild_simulation`, without its leaky ReLU.

    Args:
        seed: Of the model.
        domains: Nd.
        latents: m, even.
        intervened: Latents, from 0, whose incoming weights and shift differ between domains.
        depth: Affine coupling blocks of the mixing.
        n: Training rows a domain.
        n_held_out: Validation and test rows a domain.

    Raises:
        InputError: If a latent is out of range or their number odd.

    >>> data = ild_flow_simulation(0, n=100)
    >>> data.train.x.shape, data.test.x.shape
    ((200, 6), (2000, 6))
    """
    columns = checked_columns(intervened, latents)
    if latents % 2:
        raise InputError("latents", found=str(latents), expected="an even number, to be cut into halves")
    shared = np.triu(np.random.RandomState(seed).randn(latents, latents), 1)
    maps, shifts = zip(*(mechanisms(seed, d, shared, columns) for d in range(domains)), strict=True)
    draw = np.random.RandomState(500_000 + seed)
    blocks = tuple(_block(draw, latents) for _ in range(depth))
    noises = [standard_noise(seed + 100 + i, domains, n if i == 0 else n_held_out, latents) for i in range(3)]
    pooled = np.concatenate([noises[0][d] @ maps[d] + shifts[d] for d in range(domains)])
    truth = ILDFlowTruth(np.stack(maps), np.stack(shifts), pooled.std(axis=0, ddof=1), blocks, columns)
    return ILDFlowData(truth, *(_sample(truth, noise) for noise in noises))


def _block(draw: np.random.RandomState, latents: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sizes = ((latents // 2, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, latents))
    first, second, last = (draw.randn(rows, columns) * np.sqrt(2.0 / rows) for rows, columns in sizes)
    # Outputs of the last layer have about twice the variance of a unit's, hence the root.
    return first, second, SPREAD * last / np.sqrt(2.0)


def _sample(truth: ILDFlowTruth, noise: Float[np.ndarray, "domains n m"]) -> ILDSample:
    domains, n, m = noise.shape
    x = np.concatenate([truth.observe(noise[d], d) for d in range(domains)])
    return ILDSample(x, np.repeat(np.arange(domains), n), noise.reshape(-1, m))


def _leaky(values: np.ndarray) -> np.ndarray:
    return np.where(values < 0, SLOPE * values, values)
