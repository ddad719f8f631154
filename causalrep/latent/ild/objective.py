"""The rows that ILD models are fitted to, and the negative log-likelihood."""

from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from causalrep.latent.ild.family import ILDFamily, ILDParams
from causalrep.latent.ild.model import log_likelihood
from causalrep.training import Objective


class ILDRows(NamedTuple):
    """Rows of all domains.

    Attributes:
        x: Observations (n, m), float32; or blocks of them (blocks, size, m).
        domain: Domain of each row (n,), from 0; or (blocks, size).
    """

    x: Float[Array, "*n m"]
    domain: Int[Array, "*n"]


@lru_cache
def ild_objective(family: ILDFamily) -> Objective:
    """Mean negative log-likelihood per row, in nats; the same object for the same family, so programs are reused."""

    def loss(params: ILDParams, key: Key[Array, ""], batch: ILDRows) -> tuple[Array, dict]:
        return negative_log_likelihood(family, params, batch), {}

    return Objective(lambda key, batch: family.init(key), loss)


def negative_log_likelihood(
    family: ILDFamily, params: ILDParams, batch: ILDRows, temperature: Float[Array, ""] | None = None
) -> Float[Array, ""]:
    """Mean over the rows of a batch or of its blocks, in nats.

    Args:
        family: The family.
        params: Parameters.
        batch: Rows, or blocks of rows.
        temperature: Width over which the mixing's kinks are smoothed; None for the exact model.
    """
    x, domain = batch.x.reshape(-1, family.latents), batch.domain.reshape(-1)
    return -jnp.mean(log_likelihood(family.model(params), x, domain, temperature))
