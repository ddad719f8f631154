"""ILD for pictures: a variational autoencoder whose latent mechanisms differ between domains (Zhou et al. 2024).

``h = encoder(x)``, ``eps | x, d ~ N(M_d h, diag(exp(V_d h)))``, ``x = decoder(F_d eps) + noise``; M_d, V_d and F_d are
affine autoregressive maps of one family (:class:`~causalrep.latent.ild.family.ILDFamily`): which of their rows differ
between domains is the sparsity assumption. A counterfactual encodes in one domain and decodes in another.

Two things decide whether counterfactuals move at all, since pictures show their domain and the noise can carry it:

* ``beta``, the price of that: log(domains) nats. Pictures of few pixels have small errors, beside which a beta of 1
  leaves no content in the noise at all; much less, and the domain stays in it. :func:`default_beta` is in proportion
  to the pixels.
* The start (ours). The decoder's domain-specific latents begin as labels: shifts apart and, where other latents are
  left to hold the content, the noise's share in them small. Where it begins as large as the shifts, domains overlap,
  the noise learns to tell the decoder which is which, and an exchange of mechanisms changes less.

The released code uses the encoder's second head as a standard deviation in one place and as a log variance in another;
here it is a log variance in both.
"""

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.latent.ild.family import ILDFamily, ILDParams
from causalrep.latent.ild.scm import latents_of_noise
from causalrep.nn.images.image_codec import ImageDecoder, ImageEncoder, Network
from causalrep.training import FitResult, Objective, fit

LOG_VARIANCE_LIMIT = 15.0
SPREAD = 0.1
# The decoder's domain-specific latents at the start: distance of neighbouring domains, log scale of the noise.
APART, LOG_SCALE = 0.5, -2.0


class DomainImages(NamedTuple):
    """Pictures of all domains.

    Attributes:
        x: Pixels in [0, 1] (n, height, width, channels).
        domain: Their domains (n,), from 0.
    """

    x: Float[Array, "n height width channels"]
    domain: Int[Array, " n"]


@dataclasses.dataclass(frozen=True)
class ILDVAEModel:
    """A family of latent mechanisms between an encoder and a decoder.

    Attributes:
        family: Which mechanisms may differ; with ``"independent"`` the networks differ between domains too.
        shape: Height, width and channels of the pictures.
        network: ``"mlp"``, or ``"conv"`` for 28 x 28 pixels.
    """

    family: ILDFamily
    shape: tuple[int, int, int]
    network: Network = "mlp"

    def __post_init__(self) -> None:
        check_choice("network", self.network, ("mlp", "conv"))
        if self.network == "conv" and self.shape[:2] != (28, 28):
            raise InputError("network", found=f"'conv' for {self.shape[:2]} pixels", expected="'mlp', or 28 x 28")

    def init(self, key: Key[Array, ""]) -> PyTree:
        """Random parameters: mechanisms near the identity, but that the decoder's tell the domains apart."""
        keys = jax.random.split(key, 4)
        picture, code = jnp.zeros((1, *self.shape)), jnp.zeros((1, self.family.latents))
        networks = {
            "encoder": self._networks(keys[0], lambda key: self._encoder.init(key, picture)),
            "decoder": self._networks(keys[1], lambda key: self._decoder.init(key, code)),
        }
        # The networks stand in place of the linear mixing.
        without_mixing = {"matrix": None, "mixing_shift": None}
        first = jax.vmap(lambda key: self.family.init(key, SPREAD)._replace(**without_mixing))  # compiled once for all
        maps = first(jax.random.split(keys[2], 3))
        mean, log_variance, decode = (jax.tree.map(lambda leaf, i=i: leaf[i], maps) for i in range(3))
        return networks | {"mean": mean, "log_variance": log_variance, "decode": _labelled(keys[3], decode)}

    def encode(
        self, params: PyTree, x: Float[Array, "n height width channels"], domain: Int[Array, " n"]
    ) -> tuple[Float[Array, "n m"], Float[Array, "n m"]]:
        """Mean and log variance of the noise behind pictures."""
        h = self._apply(self._encoder, params["encoder"], x, domain)
        mean, log_variance = (self._mapped(params[name], h, domain) for name in ("mean", "log_variance"))
        return mean, jnp.minimum(log_variance, LOG_VARIANCE_LIMIT)

    def decode(
        self, params: PyTree, noise: Float[Array, "n m"], domain: Int[Array, " n"]
    ) -> Float[Array, "n height width channels"]:
        """The picture that noise becomes in a domain."""
        z = self._mapped(params["decode"], noise, domain)
        return self._apply(self._decoder, params["decoder"], z, domain)

    def counterfactual(
        self,
        params: PyTree,
        x: Float[Array, "n height width channels"],
        domain: Int[Array, " n"],
        target: Int[Array, " n"],
    ) -> Float[Array, "n height width channels"]:
        """What each picture, seen in ``domain``, would have been in ``target``."""
        return self.decode(params, self.encode(params, x, domain)[0], target)

    @property
    def _encoder(self) -> ImageEncoder:
        return ImageEncoder(self.family.latents, self.network)

    @property
    def _decoder(self) -> ImageDecoder:
        return ImageDecoder(self.shape, self.network)

    @property
    def _separate(self) -> bool:
        return self.family.kind == "independent"

    def _networks(self, key: Key[Array, ""], init) -> PyTree:
        return jax.vmap(init)(jax.random.split(key, self.family.domains)) if self._separate else init(key)

    def _apply(self, module, params: PyTree, x: Array, domain: Int[Array, " n"]) -> Array:
        if not self._separate:
            return module.apply(params, x)
        # Every row through every domain's network, then its own: shapes stay static.
        return _own(jnp.swapaxes(jax.vmap(lambda own: module.apply(own, x))(params), 0, 1), domain)

    def _mapped(self, params: ILDParams, values: Float[Array, "n m"], domain: Int[Array, " n"]) -> Float[Array, "n m"]:
        return _own(latents_of_noise(self.family.scm(params), values), domain)


def default_beta(shape: tuple[int, int, int]) -> float:
    """The paper's 1 for 28 x 28 pixels, in proportion for others."""
    return shape[0] * shape[1] / 28**2


@lru_cache
def ild_vae_objective(model: ILDVAEModel, beta: float = 1.0) -> Objective:
    """Sum of squared pixel errors plus beta times the divergence from N(0, I), mean over pictures.

    Batches are :class:`DomainImages`; metrics are ``"error"`` and ``"divergence"``, in nats.
    """

    def loss(params: PyTree, key: Key[Array, ""], batch: DomainImages) -> tuple[Array, dict[str, Array]]:
        mean, log_variance = model.encode(params, batch.x, batch.domain)
        noise = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)
        decoded = model.decode(params, noise, batch.domain)
        error = jnp.mean(jnp.sum((decoded - batch.x) ** 2, axis=(1, 2, 3)))
        divergence = 0.5 * jnp.mean(jnp.sum(mean**2 + jnp.exp(log_variance) - log_variance - 1.0, axis=1))
        return error + beta * divergence, {"error": error, "divergence": divergence}

    return Objective(lambda key, batch: model.init(key), loss)


@lru_cache
def ild_vae_optimizer(learning_rate: float = 1e-3) -> optax.GradientTransformation:
    """Adam with the decay rates 0.5 and 0.999 of the released code; the same object for the same rate."""
    return optax.adam(learning_rate, b1=0.5, b2=0.999)


def fit_ild_vae(
    key: Key[Array, ""],
    model: ILDVAEModel,
    train: DomainImages,
    validation: DomainImages,
    *,
    beta: float | None = None,
    steps: int = 3000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    evaluations: int = 10,
    trainer: Callable[..., FitResult] = fit,
) -> FitResult:
    """Fit by Adam; the parameters with the least validation loss count.

    Args:
        key: Random key.
        model: Which models.
        train: Pictures, domains pooled.
        validation: Pictures that pick the parameters.
        beta: Weight of the divergence; None for :func:`default_beta`.
        steps: Updates, a multiple of ``evaluations``.
        batch_size: Pictures a step.
        learning_rate: Of :func:`ild_vae_optimizer`. The released code moves the networks at 1e-4 over 300,000 steps.
        evaluations: How often the validation loss is computed.
        trainer: :func:`causalrep.training.fit`, or for fits of hours a partial of :func:`causalrep.training.train` with
            its checkpoints.
    """
    objective = ild_vae_objective(model, default_beta(model.shape) if beta is None else beta)
    return trainer(
        objective,
        ild_vae_optimizer(learning_rate),
        train,
        key,
        steps=steps,
        batch_size=batch_size,
        validation=validation,
        eval_every=steps // evaluations,
    )


def _labelled(key: Key[Array, ""], params: ILDParams) -> ILDParams:
    """Domain-specific latents that show the domain: every one spaces the domains evenly, in a random order."""
    domains, own = params.shifts.shape
    orders = jax.vmap(lambda key: jax.random.permutation(key, domains))(jax.random.split(key, own)).T
    shifts = APART * (orders - 0.5 * (domains - 1))
    content_elsewhere = params.shared_shifts.shape[1] > 0
    scales = params.scales + LOG_SCALE if content_elsewhere else params.scales
    return params._replace(scales=scales, shifts=params.shifts + shifts)


def _own(every: Float[Array, "n domains *rest"], domain: Int[Array, " n"]) -> Float[Array, "n *rest"]:
    mask = domain[:, None] == jnp.arange(every.shape[1])
    return jnp.sum(jnp.where(mask.reshape(*mask.shape, *(1,) * (every.ndim - 2)), every, 0.0), axis=1)
