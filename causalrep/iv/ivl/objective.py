"""The IVL risk of any model, as a training objective on mini-batches.

For a network h the paper's risk with linear test functions q(Z) = Z and their efficient weights is ``R_IV(h) =
r^T P r / n`` with residuals r and P the projection on the columns of Z; the IVL risk adds ``alpha`` times the mean
squared error. On a mini-batch P is that of the batch's rows.

Source: Akbar et al. (arXiv 2510.25128), section 3 and equation 16.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.linalg import pinv_psd_solve, unit_columns
from causalrep.training import Objective

Form = Literal["paper", "legacy_gmm"]


def ivl_objective(
    model: Any,
    *,
    alpha: Float[Array, ""] | float,
    form: Form = "paper",
    link: Callable[[jax.Array], jax.Array] | None = None,
) -> Objective:
    """``R_IV + alpha R_ERM`` for a model, on batches with ``x``, ``y``, ``z`` and optionally ``weight``.

    Args:
        model: A flax module, or any object with its ``init(key, x)`` and ``apply(params, x)``; predictions are (n,) or
            (n, 1).
        alpha: Weight of the mean squared error, at least 0; 0 is the generalized method of moments (IV). May be traced.
        form: ``"paper"`` is ``r^T P r / n``. ``"legacy_gmm"`` is ``mean(P r^2)``, the projection of the squares, as in
            the released code: an empirical risk whose row weights are the projection of a constant on Z. It is here to
            reproduce the published Colored MNIST numbers.
        link: Function of the predictions from which residuals are taken, ``jax.nn.sigmoid`` for logits; default the
            identity.
    """

    def init(key: jax.Array, batch: Any) -> Any:
        return model.init(key, batch["x"])

    def loss(params: Any, key: jax.Array, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        del key
        y, z = batch["y"], batch["z"]
        weight = batch["weight"] if "weight" in batch else jnp.ones(y.shape[0], y.dtype)
        predictions = model.apply(params, batch["x"]).reshape(y.shape[0])
        residuals = y - (predictions if link is None else link(predictions))
        z = unit_columns(z)[0]  # instruments in any units span the same space
        gram, n = (z * weight[:, None]).T @ z, jnp.maximum(jnp.sum(weight), 1.0)
        if form == "paper":
            moments = z.T @ (weight * residuals)
            iv = moments @ pinv_psd_solve(gram, moments) / n
        else:
            # mean(P r^2) = 1' P r^2 / n = (P 1)' r^2 / n, so only the constant is projected.
            projected = z @ pinv_psd_solve(gram, z.T @ weight)
            iv = jnp.sum(weight * projected * jnp.square(residuals)) / n
        mse = jnp.sum(weight * jnp.square(residuals)) / n
        return iv + alpha * mse, {"iv": iv, "mse": mse}

    return Objective(init, loss)
