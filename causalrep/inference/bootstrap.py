"""The nonparametric bootstrap as weights: shapes stay static, so all draws run in one program."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.base.checks import as_codes
from causalrep.base.validation import check_count
from causalrep.errors import InputError


def bootstrap_weights(key: Key[Array, ""], labels: Float[Array, " n"], draws: int) -> Float[Array, "draws n"]:
    """How often each row is drawn, with replacement, in each bootstrap sample; no label loses all its rows.

    Rows are drawn within the groups of ``labels`` (0 or 1), so that each sample has as many treated as the data.

    Raises:
        InputError: If the labels are not a vector of 0 and 1, or ``draws`` is not a count.

    >>> import jax, jax.numpy as jnp
    >>> t = jnp.array([0.0, 0.0, 0.0, 1.0, 1.0])
    >>> w = bootstrap_weights(jax.random.key(0), t, 4)
    >>> (w @ t).tolist(), w.sum(1).tolist()
    ([2.0, 2.0, 2.0, 2.0], [5.0, 5.0, 5.0, 5.0])
    """
    check_count("draws", draws)
    labels = as_codes("labels", labels, levels=2)
    if labels.ndim != 1:
        raise InputError("labels", found=f"shape {labels.shape}", expected="one label per row")
    n = labels.shape[0]
    order = jnp.argsort(labels)
    size = jnp.sum(labels == 0)
    position = jnp.arange(n)
    # Sorted by label, a group is a contiguous range: a draw within it is its first position plus a uniform offset.
    first = jnp.where(position < size, 0, size)
    width = jnp.where(position < size, size, n - size)

    def one(draw_key):
        picked = first + jnp.floor(jax.random.uniform(draw_key, (n,)) * width).astype(position.dtype)
        return jnp.zeros(n).at[order[picked]].add(1.0)

    return jax.vmap(one)(jax.random.split(key, draws))


def over_weights(
    function: Callable[[Float[Array, " n"]], Float[Array, " m"]],
    weights: Float[Array, "draws n"],
    *,
    host: bool = False,
    batch_size: int = 8,
) -> Float[Array, "draws m"]:
    """``function`` at every weight vector: in batches within one program, or one by one if it is ordinary Python."""
    if host:
        return jnp.stack([jnp.asarray(function(w)) for w in weights])
    return jax.lax.map(function, weights, batch_size=batch_size)
