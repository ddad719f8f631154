"""Maximum likelihood for ILD models by the released procedure; :mod:`.ild_annealing` holds a stronger one of ours."""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from causalrep.latent.ild.family import ILDFamily, ILDParams
from causalrep.latent.ild.model import log_likelihood
from causalrep.training import FitResult, Objective, fit

BLOCKS_A_BATCH = 25


class ILDRows(NamedTuple):
    """Rows of all domains.

    Attributes:
        x: Observations (n, m), float32.
        domain: Their domains (n,), from 0.
    """

    x: Float[Array, "n m"]
    domain: Int[Array, " n"]


def fit_ild(
    key: jax.Array,
    family: ILDFamily,
    train: ILDRows,
    validation: ILDRows,
    *,
    steps: int = 50_000,
    batch_size: int = 500,
    learning_rate: float = 1e-3,
    eval_every: int = 100,
) -> FitResult:
    """The released procedure: Adam on mini-batches from standard normal parameters, one run.

    Args:
        key: Random key.
        family: Which models; the released code leaves the sign of S free (``monotone=False``).
        train: Rows to fit, domains pooled.
        validation: Rows whose likelihood picks the parameters.
        steps: Updates.
        batch_size: Rows a step.
        learning_rate: Of Adam with decay rates 0.5 and 0.999.
        eval_every: Updates between evaluations; it divides ``steps``.

    Returns:
        The fit; its losses are mean negative log-likelihoods in nats.
    """
    order_key, fit_key = jax.random.split(key)
    blocks, size = shuffled_blocks(order_key, train, batch_size)
    return fit(
        ild_objective(family),
        _adam(learning_rate),
        blocks,
        fit_key,
        steps=steps,
        batch_size=batch_size // size,
        validation=validation,
        eval_every=eval_every,
    )


def shuffled_blocks(key: jax.Array, rows: ILDRows, batch_size: int) -> tuple[ILDRows, int]:
    """Rows in one random order, cut into blocks that stay together: (n / size, size, ...), and the size.

    Shuffling 300,000 rows takes a CPU as long as 5,000 steps of training do. Blocks of 1/25 of a batch, shuffled every
    epoch, leave batches as good as random, since the rows of a block are a random choice themselves.
    """
    size = max(1, batch_size // BLOCKS_A_BATCH) if batch_size % BLOCKS_A_BATCH == 0 else 1
    count = len(rows.domain) // size
    order = jax.random.permutation(key, len(rows.domain))[: count * size].reshape(count, size)
    return jax.tree.map(lambda leaf: leaf[order], rows), size


@lru_cache
def ild_objective(family: ILDFamily) -> Objective:
    """Mean negative log-likelihood of a family; the same object for the same family, so that programs are kept."""

    def loss(params: ILDParams, key: jax.Array, batch: ILDRows) -> tuple[jax.Array, dict]:
        x, domain = batch.x.reshape(-1, family.latents), batch.domain.reshape(-1)
        return -jnp.mean(log_likelihood(family.model(params), x, domain)), {}

    return Objective(lambda key, batch: family.init(key), loss)


@lru_cache
def _adam(learning_rate: float) -> optax.GradientTransformation:
    return optax.adam(learning_rate, b1=0.5, b2=0.999)
