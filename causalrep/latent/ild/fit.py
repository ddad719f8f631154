"""Maximum likelihood for ILD models by the released procedure; :mod:`.annealing` holds a stronger one of ours."""

import jax
from jaxtyping import Array, Key

from causalrep.latent.ild.family import ILDFamily
from causalrep.latent.ild.objective import ILDRows, ild_objective
from causalrep.training import FitResult, Schedule, fit
from causalrep.training.optimizers import adam

DEFAULT = Schedule(steps=50_000, batch_size=500, learning_rate=1e-3)
BLOCKS_PER_BATCH = 25


def fit_ild(
    key: Key[Array, ""],
    family: ILDFamily,
    train: ILDRows,
    validation: ILDRows,
    *,
    schedule: Schedule = DEFAULT,
    eval_every: int = 100,
) -> FitResult:
    """The released procedure: Adam on mini-batches from standard normal parameters, one start.

    Args:
        key: Random key.
        family: The family of models; the released code leaves the sign of S free (``monotone=False``).
        train: Rows to fit, domains pooled.
        validation: Rows whose likelihood chooses the parameters.
        schedule: Steps, batch size and learning rate; Adam's decay rates are 0.5 and 0.999.
        eval_every: Updates between evaluations; it divides the number of steps.

    Returns:
        The fit; its losses are mean negative log-likelihoods in nats.
    """
    schedule = schedule.over(DEFAULT)
    order_key, fit_key = jax.random.split(key)
    blocks, size = shuffled_blocks(order_key, train, schedule.batch_size)
    return fit(
        ild_objective(family),
        adam(schedule.learning_rate, b1=0.5),
        blocks,
        fit_key,
        steps=schedule.steps,
        batch_size=schedule.batch_size // size,
        validation=validation,
        eval_every=eval_every,
    )


def shuffled_blocks(key: Key[Array, ""], rows: ILDRows, batch_size: int) -> tuple[ILDRows, int]:
    """Rows in one random order, cut into blocks that stay together: (n / size, size, ...), and the size.

    On a CPU, shuffling 300,000 rows takes as long as 5,000 steps of training. Blocks of 1/25 of a batch, shuffled every
    epoch, give batches as good as random ones, since the rows of a block are a random choice themselves.
    """
    size = max(1, batch_size // BLOCKS_PER_BATCH) if batch_size % BLOCKS_PER_BATCH == 0 else 1
    count = len(rows.domain) // size
    order = jax.random.permutation(key, len(rows.domain))[: count * size].reshape(count, size)
    return jax.tree.map(lambda leaf: leaf[order], rows), size
