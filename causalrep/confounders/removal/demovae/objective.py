"""DemoVAE's loss: the terms in the docstring of this package, weighted by the model."""

from collections.abc import Mapping
from functools import lru_cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from causalrep.confounders.removal.demovae.model import DemoVAEModel, Networks
from causalrep.confounders.removal.guides import Guides, linear_guides
from causalrep.linalg import centered_kernel, hsic_statistic, squared_distances
from causalrep.training import Objective

Batch = Mapping[str, jax.Array]
# Rows generated in each step for the guides, as in the authors' package.
GUIDE_ROWS = 100


@lru_cache
def demovae_objective(model: DemoVAEModel, columns: int) -> Objective:
    """The weighted sum of the terms.

    Parameters are ``{"net": ..., "guides": ...}``. The guides are fitted at initialization, to the rows of the batch
    given then, and never updated.

    Args:
        model: The model.
        columns: E. Batches hold ``x`` (n, E) and coded demographics ``d`` (n, c).
    """
    networks = Networks(model, columns)

    def init(key: jax.Array, batch: Batch) -> PyTree:
        net = networks.init(key, batch["x"][:1], batch["d"][:1])
        if model.guide == 0:
            return {"net": net}
        return {"net": net, "guides": linear_guides(batch["x"], batch["d"], model.layout)}

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        x, d = batch["x"], batch["d"]
        z = networks.apply(params["net"], x, d, method="encode")
        terms = {
            "reconstruction": _rmse(x - networks.apply(params["net"], z, d, method="decode")),
            "covariance": _rmse(z.T @ z - len(x) * model.prior_variance * jnp.eye(model.latents)),
            "mean": _rmse(z.mean(0)),
            "demographics": jnp.sum(jax.vmap(_rmse, in_axes=1)(association(z, d))),
        }
        if model.guide > 0:
            guides = jax.lax.stop_gradient(params["guides"])
            terms["guide"] = _guide_loss(key, model, networks, params["net"], guides)
        if model.hsic > 0:
            terms["hsic"] = len(x) * hsic(z, d)
        return sum(getattr(model, name) * term for name, term in terms.items()), terms

    return Objective(init, loss)


def association(z: Float[Array, "n l"], d: Float[Array, "n c"]) -> Float[Array, "l c"]:
    """``p_j[l]``: covariance of latent and coded column, divided by the column's sd and the latent's sum of squares.

    A column that is constant in the batch has association 0.
    """
    centered = d - d.mean(0)
    sd = jnp.std(d, axis=0, ddof=1)
    return z.T @ (centered / jnp.where(sd > 0, sd, 1.0)) / jnp.sum(z**2, axis=0)[:, None]


def hsic(z: Float[Array, "n l"], d: Float[Array, "n c"]) -> Float[Array, ""]:
    """The Hilbert-Schmidt independence criterion, with Gaussian kernels whose scale is the mean squared distance.

    Source: Gretton, Bousquet, Smola and Schölkopf (2005), the biased estimate.
    """

    def kernel(a: Array) -> Array:
        distances = squared_distances(a, a)
        return centered_kernel(jnp.exp(-distances / jax.lax.stop_gradient(distances.mean())))

    return hsic_statistic(kernel(z), kernel(d), len(z))


def _guide_loss(key: jax.Array, model: DemoVAEModel, networks: Networks, net: PyTree, guides: Guides) -> Array:
    """Error of the linear models on generated rows; one level of each categorical variable is drawn for all rows."""
    z_key, *keys = jax.random.split(key, len(model.layout) + 1)
    z = model.prior_variance**0.5 * jax.random.normal(z_key, (GUIDE_ROWS, model.latents))
    d = jnp.concatenate(
        [
            jax.random.normal(k, (GUIDE_ROWS, 1))
            if width == 1
            else jnp.broadcast_to(jax.nn.one_hot(jax.random.randint(k, (), 0, width), width), (GUIDE_ROWS, width))
            for k, width in zip(keys, model.layout)
        ],
        axis=1,
    )
    read = networks.apply(net, z, d, method="decode") @ guides.slopes + guides.intercepts
    total, start = jnp.zeros(()), 0
    for width in model.layout:
        asked, seen = d[:, start : start + width], read[:, start : start + width]
        if width == 1:
            total += _rmse(seen - asked)
        else:
            # Two-class cross-entropy of the logits (-f, f), whose log odds are 2f, for each level.
            total += jnp.sum(jnp.mean(jnp.logaddexp(0.0, 2 * seen) - asked * 2 * seen, axis=0))
        start += width
    return total


def _rmse(error: Array) -> Array:
    # The derivative of the square root is infinite at 0.
    return jnp.sqrt(jnp.mean(error**2) + 1e-12)
