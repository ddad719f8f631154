"""Data of ILD with a RealNVP mixing (Zhou et al. 2024): the latents of :mod:`.ild` without their leaky ReLU.

In the released generator the coupling networks end in zeros, so that its mixing of four blocks only swaps the halves of
the latents an even number of times and is the identity. Here the networks are random (our choice), and results are not
comparable with the paper's. The latents are those of the released code, number for number.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from causalrep.data.simulators.latent.ild import (
    ILDData,
    checked_columns,
    leaky,
    mechanisms,
    observed_sample,
    standard_noises,
)
from causalrep.errors import InputError
from causalrep.keys import derive, root

HIDDEN, SLOPE = 64, 0.01
# Scale of a block's outputs: log scales (before tanh bounds them by 1) and shifts.
SPREAD = 0.5
LOG_2PI = float(np.log(2 * np.pi))


class ILDFlowTruth(NamedTuple):
    """A true model, in which domain d maps rows of noise to ``x = g((eps M_d + shift_d) / scale)``.

    Attributes:
        maps: M_d, upper triangular with unit diagonal (domains, m, m).
        shifts: Shifts of the latents (domains, m).
        scale: Pooled standard deviations of the training sample's latents (m,).
        blocks: Weights of the coupling networks of g, three matrices per block: (m/2, 64), (64, 64) and (64, m).
        intervened: Latents whose mechanisms differ between domains.
    """

    maps: Float[np.ndarray, "domains m m"]
    shifts: Float[np.ndarray, "domains m"]
    scale: Float[np.ndarray, " m"]
    blocks: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    intervened: tuple[int, ...]

    def observe(self, noise: Float[np.ndarray, "n m"], domain: int) -> Float[np.ndarray, "n m"]:
        """Observations that the noise gives in a domain; a row's counterfactual is its own noise in another domain."""
        return self._mixed(noise, domain)[0]

    def log_density(self, noise: Float[np.ndarray, "n m"], domain: int) -> Float[np.ndarray, " n"]:
        """``log p(x | d)`` of the observations that the noise gives, in nats per row."""
        # Change of variables: eps to latents has determinant 1 / prod(scale), since M_d has unit diagonal.
        log_det = self._mixed(noise, domain)[1] - np.sum(np.log(self.scale))
        return -0.5 * np.sum(noise**2 + LOG_2PI, axis=1) - log_det

    def _mixed(self, noise: Float[np.ndarray, "n m"], domain: int) -> tuple[np.ndarray, np.ndarray]:
        """Observations (n, m) and the log determinant of the mixing's Jacobian (n,)."""
        x, log_det = (noise @ self.maps[domain] + self.shifts[domain]) / self.scale, np.zeros(len(noise))
        for first, second, last in self.blocks:
            kept, moved = np.split(x, 2, axis=1)
            log_scale, shift = np.split(leaky(leaky(kept @ first, SLOPE) @ second, SLOPE) @ last, 2, axis=1)
            log_scale = np.tanh(log_scale)
            # The halves swap places, so that the next block moves the half that this one kept.
            x, log_det = np.concatenate([moved * np.exp(log_scale) + shift, kept], axis=1), log_det + log_scale.sum(1)
        return x, log_det


def ild_flow_simulation(
    seed: int,
    *,
    domains: int = 2,
    latents: int = 6,
    intervened: Sequence[int] = (4, 5),
    depth: int = 4,
    n: int = 100_000,
    n_held_out: int = 1000,
) -> ILDData[ILDFlowTruth]:
    """The data of one model seed; latents as in :func:`causalrep.data.ild_simulation`, without its leaky ReLU.

    Args:
        seed: Random seed of the model.
        domains: Number of domains, the paper's Nd.
        latents: Number m of latents and of observed variables, which must be even.
        intervened: Latents whose incoming weights and shift differ between domains.
        depth: Number of affine coupling blocks in the mixing.
        n: Training rows per domain.
        n_held_out: Validation rows per domain, and as many test rows.

    Raises:
        InputError: If a latent is out of range or repeated, or the number of latents is odd.

    >>> data = ild_flow_simulation(0, n=100)
    >>> data.train.x.shape, data.test.x.shape
    ((200, 6), (2000, 6))
    """
    columns = checked_columns(intervened, latents)
    if latents % 2:
        raise InputError("latents", found=str(latents), expected="an even number, to be cut into halves")
    shared = np.triu(np.random.RandomState(seed).randn(latents, latents), 1)
    maps, shifts = mechanisms(seed, domains, shared, columns)
    noises = standard_noises(seed, domains, (n, n_held_out, n_held_out), latents)
    pooled = np.concatenate([noises[0][d] @ maps[d] + shifts[d] for d in range(domains)])
    # The mixing is not the released one, so its stream has a name. NumPy draws it, in float64 wherever it runs.
    draw = np.random.RandomState(np.asarray(jax.random.key_data(derive(root(seed), "mixing"))))
    blocks = tuple(_block(draw, latents) for _ in range(depth))
    truth = ILDFlowTruth(maps, shifts, pooled.std(axis=0, ddof=1), blocks, columns)
    return ILDData(truth, *(observed_sample(truth, noise) for noise in noises))


def _block(draw: np.random.RandomState, latents: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sizes = ((latents // 2, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, latents))
    first, second, last = (draw.randn(rows, columns) * np.sqrt(2.0 / rows) for rows, columns in sizes)
    # With He's weights the outputs of the last layer have a variance of about 2 (the latents' is 1), hence the root.
    return first, second, SPREAD * last / np.sqrt(2.0)
