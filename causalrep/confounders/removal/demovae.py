"""DemoVAE: an autoencoder whose decoder is told the demographics, so that its latents need not hold them.

    z = encoder(x),  x_hat = decoder([z, d])

Despite its name it draws nothing: in the place of a divergence from the prior stand the moments of a batch. With Z the
n x L latents of a batch, d_j the j-th coded demographic column, s^2 the prior's variance and rmse over all entries::

    L_rec  = rmse(x, x_hat)              L_cov  = rmse(Z'Z, n s^2 I)          L_mean = rmse(mean of Z, 0)
    L_demo = sum_j rmse(p_j, 0),         p_j[l] = sum_i (d_ij - mean d_j) z_il / (sd(d_j) sum_i z_il^2)
    L_guide: linear models of demographics, fitted on data, read the demographics asked for off generated rows

**What it guarantees**: each latent is *linearly and marginally* uncorrelated with each demographic column on the rows
trained on. Not more: no independence, nothing about other rows, and no identified latents.

Orlichenko et al. (2024), "A Demographic-Conditioned Variational Autoencoder for fMRI Distribution Sampling and Removal
of Confounds", arXiv 2405.07977; equations and defaults as in the authors' package ``demovae``, except that demographics
are standardised for the decoder, and each level's guide counts once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from causalrep.confounders.removal.demographics import Layout
from causalrep.confounders.removal.guides import Guides, linear_guides
from causalrep.linalg import centered_kernel, hsic_statistic, squared_distances
from causalrep.nn import trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.rows import plan_epochs

Batch = Mapping[str, jax.Array]
# Rows generated in each step for the guides, as in the authors' package.
GUIDE_ROWS = 100


@dataclass(frozen=True)
class DemoVAEModel:
    """The networks and the terms of the loss.

    Attributes:
        layout: Coded columns of each demographic variable: 1 for a continuous one, else its number of levels.
        latents: L.
        hidden: Width of the encoder's and the decoder's one hidden layer.
        prior_variance: s^2, of the latents; sampling draws from N(0, s^2 I).
        rank: r of the low-rank decoder, whose rows are the strict upper triangle, row by row, of ``A A'`` with A
            (regions, r); 0 decodes directly.
        conditional: Give the demographics to the decoder. False, with ``demographics`` and ``guide`` 0, is an
            autoencoder with matched moments.
        conditional_encoder: Give them to the encoder too (not in the paper).
        reconstruction: Weight of L_rec, which is in the units of the data.
        covariance: Weight of L_cov.
        mean: Weight of L_mean.
        demographics: Weight of L_demo.
        guide: Weight of L_guide.
        hsic: Weight of a term that is not in the paper, against dependence that is not linear: n times the
            Hilbert-Schmidt independence criterion of latents and demographics, at a cost of n^2 a step.
    """

    layout: Layout
    latents: int = 60
    hidden: int = 1000
    prior_variance: float = 1.0
    rank: int = 0
    conditional: bool = True
    conditional_encoder: bool = False
    reconstruction: float = 100.0
    covariance: float = 1.0
    mean: float = 1.0
    demographics: float = 10.0
    guide: float = 0.001
    hsic: float = 0.0


class DemoVAETraining(NamedTuple):
    """How it is trained; all static.

    Attributes:
        epochs: Passes over the rows.
        batch_size: Rows a step; at least ten times the latents, for the moments are those of a batch.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
    """

    epochs: int = 3000
    batch_size: int = 1000
    learning_rate: float = 1e-4
    weight_decay: float = 0.0


class DemoVAEFit(NamedTuple):
    """A fitted DemoVAE.

    Attributes:
        params: Of the networks.
        history: Terms of the loss before every update, by name, each (steps,).
        diverged: Whether some loss or gradient was not finite; ``params`` are then the last finite ones.
        first_bad_step: The update at which that happened, or -1.
    """

    params: PyTree
    history: Mapping[str, Float[Array, " steps"]]
    diverged: Bool[Array, ""]
    first_bad_step: Int[Array, ""]


class Networks(nn.Module):
    """Encoder and decoder of a :class:`DemoVAEModel`.

    Attributes:
        model: The model.
        columns: E, of the data.
    """

    model: DemoVAEModel
    columns: int

    def setup(self) -> None:
        """One hidden layer each."""
        model = self.model
        self.encoder_net = trained_mlp((model.hidden, model.latents))
        width = regions(self.columns) * model.rank if model.rank else self.columns
        self.decoder_net = trained_mlp((model.hidden, width))

    def __call__(self, x: Float[Array, "n e"], d: Float[Array, "n c"]) -> Float[Array, "n e"]:
        """The reconstruction."""
        return self.decode(self.encode(x, d), d)

    def encode(self, x: Float[Array, "n e"], d: Float[Array, "n c"]) -> Float[Array, "n l"]:
        """The latents; ``d`` counts only with a conditional encoder."""
        return self.encoder_net(jnp.column_stack([x, d]) if self.model.conditional_encoder else x)

    def decode(self, z: Float[Array, "n l"], d: Float[Array, "n c"]) -> Float[Array, "n e"]:
        """Data of latents and demographics."""
        out = self.decoder_net(jnp.column_stack([z, d]) if self.model.conditional else z)
        if not self.model.rank:
            return out
        count = regions(self.columns)
        a = out.reshape(-1, count, self.model.rank)
        rows, others = jnp.triu_indices(count, 1)
        return jnp.einsum("ner,ner->ne", a[:, rows], a[:, others])


def regions(edges: int) -> int:
    """R with R (R - 1) / 2 = ``edges``, rounded down where there is none."""
    return int((1 + (1 + 8 * edges) ** 0.5) / 2)


@lru_cache
def demovae_objective(model: DemoVAEModel, columns: int) -> Objective:
    """The loss of the module's docstring.

    Parameters are ``{"net": ..., "guides": ...}``, the second fitted at initialisation on the rows it is shown, and
    never updated.

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
    """``p_j[l]``: covariance of each latent with each coded column, over the column's sd and the latent's square.

    A column that is constant among the rows has none.
    """
    centred = d - d.mean(0)
    sd = jnp.std(d, axis=0, ddof=1)
    return z.T @ (centred / jnp.where(sd > 0, sd, 1.0)) / jnp.sum(z**2, axis=0)[:, None]


def hsic(z: Float[Array, "n l"], d: Float[Array, "n c"]) -> Float[Array, ""]:
    """The Hilbert-Schmidt independence criterion, Gaussian kernels as wide as the mean distance; 0 iff independent.

    Source: Gretton, Bousquet, Smola and Schölkopf (2005), the biased estimate.
    """

    def kernel(a: Array) -> Array:
        distances = squared_distances(a, a)
        return centered_kernel(jnp.exp(-distances / jax.lax.stop_gradient(distances.mean())))

    return hsic_statistic(kernel(z), kernel(d), len(z))


def demovae(
    key: Key[Array, ""],
    x: Float[Array, "n e"],
    d: Float[Array, "n c"],
    *,
    model: DemoVAEModel,
    training: DemoVAETraining,
) -> DemoVAEFit:
    """Fit DemoVAE.

    Args:
        key: Of initialisation, batches and the guides' draws.
        x: Data, in units in which an error of 0.1 is small: the weights of the loss are for correlations.
        d: Coded demographics (:class:`~causalrep.confounders.Demographics`).
        model: The model.
        training: How to train.
    """
    init_key, fit_key = jax.random.split(key)
    data = {"x": jnp.asarray(x, jnp.float32), "d": jnp.asarray(d, jnp.float32)}
    objective = demovae_objective(model, x.shape[1])
    plan = plan_epochs(len(x), validation_share=0.0, epochs=training.epochs, batch_size=training.batch_size)
    found = fit(
        objective,
        _adam(training.learning_rate, training.weight_decay),
        data,
        fit_key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        start=objective.init(init_key, data),
    )
    return DemoVAEFit(found.params["net"], found.history, found.diverged, found.first_bad_step)


def encode(
    model: DemoVAEModel, found: DemoVAEFit, x: Float[Array, "n e"], d: Float[Array, "n c"]
) -> Float[Array, "n l"]:
    """Latents of rows; ``d`` counts only with a conditional encoder."""
    return Networks(model, x.shape[1]).apply(found.params, x, d, method="encode")


def decode(
    model: DemoVAEModel, found: DemoVAEFit, z: Float[Array, "n l"], d: Float[Array, "n c"], *, columns: int
) -> Float[Array, "n e"]:
    """Data (n, ``columns``) of latents and demographics."""
    return Networks(model, columns).apply(found.params, z, d, method="decode")


def sample(
    key: Key[Array, ""], model: DemoVAEModel, found: DemoVAEFit, d: Float[Array, "n c"], *, columns: int
) -> Float[Array, "n e"]:
    """Synthetic rows with the demographics asked for, their latents drawn from the prior."""
    z = model.prior_variance**0.5 * jax.random.normal(key, (len(d), model.latents))
    return decode(model, found, z, d, columns=columns)


def _guide_loss(key: jax.Array, model: DemoVAEModel, networks: Networks, net: PyTree, guides: Guides) -> Array:
    """Generated rows, one level of each categorical variable for all, read by the linear models."""
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
            # Two-class cross-entropy of the logits (-f, f), whose log odds are 2f, of each level.
            total += jnp.sum(jnp.mean(jnp.logaddexp(0.0, 2 * seen) - asked * 2 * seen, axis=0))
        start += width
    return total


def _rmse(error: Array) -> Array:
    # The root's slope at 0 is infinite.
    return jnp.sqrt(jnp.mean(error**2) + 1e-12)


@lru_cache
def _adam(learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    # The guides are no parameters: their gradient is 0, and nothing may decay them.
    def decays(params: PyTree) -> PyTree:
        return {name: name == "net" for name in params}

    return optax.adamw(learning_rate, weight_decay=weight_decay, mask=decays)
