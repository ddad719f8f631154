"""Out-of-fold outcomes of a network, for doubly robust averages."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from causalrep.effects.meta import EffectRows
from causalrep.effects.networks.learner import NetworkLearner


def cross_fit_outcomes(
    learner: NetworkLearner, data: EffectRows, key: Key[Array, ""], n_folds: int, training_rows: int
) -> tuple[Float[Array, " n"], Float[Array, " n"], Bool[Array, ""]]:
    """Expected outcomes of each row by a network that did not see it.

    Args:
        learner: The network.
        data: The rows, with codes 0..n_folds-1 in ``folds``.
        key: Random key.
        n_folds: How many folds.
        training_rows: Rows outside the smallest fold; with a larger fold, rows of weight 0 fill up.

    Returns:
        mu0 (n,), mu1 (n,), and whether some network diverged.
    """

    def predictions(fold):
        held_out = data.folds == fold
        # The rows to train on come first: gathered, they fill the mini-batches as in a fit to all rows.
        rows = jnp.argsort(held_out)[:training_rows]
        training = jax.tree.map(lambda leaf: leaf[rows], data._replace(w=data.w * ~held_out))
        found = learner.fit(training, jax.random.fold_in(key, fold))
        return *learner.outcomes(found, data.x), found.diverged

    mu0, mu1, diverged = jax.lax.map(predictions, jnp.arange(n_folds))
    own = data.folds, jnp.arange(len(data.y))
    return mu0[own], mu1[own], jnp.any(diverged)
