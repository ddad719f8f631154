"""ILD for images: a variational autoencoder whose latent mechanisms differ between domains (Zhou et al. 2024).

``h = encoder(x)``, ``eps | x, d ~ N(M_d h, diag(exp(V_d h)))``, ``x = decoder(F_d eps) + noise``; M_d, V_d and F_d are
affine autoregressive maps of one family (:class:`~causalrep.latent.ild.family.ILDFamily`): which of their rows differ
between domains is the sparsity assumption. A counterfactual encodes in one domain and decodes in another.

Two things decide whether counterfactuals change at all, since images show their domain and the noise can carry it:

* ``beta``, the price of carrying it: log(domains) nats. Images with few pixels have small errors, beside which a beta
of
  1 leaves no content in the noise at all; with a much smaller beta the domain stays in it. :func:`default_beta` is
  proportional to the number of pixels.
* The start (ours). The decoder's domain-specific latents start as labels: their shifts are apart and, where other
  latents remain to hold the content, the noise's share in them is small. If it starts as large as the shifts, domains
  overlap, the noise learns to tell the decoder which is which, and an exchange of mechanisms changes less.

The released code uses the encoder's second head as a standard deviation in one place and as a log variance in another;
here it is a log variance in both.
"""

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple, Self

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Float, Int, Key, PyTree

from causalrep.base.domains import Choice, Domain, Optional, Real, Whole
from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import check_choice, code_labels
from causalrep.errors import InputError
from causalrep.keys import root
from causalrep.latent.environments.door import known_codes
from causalrep.latent.environments.rows import hold_out
from causalrep.latent.ild.estimator import ASSUMPTIONS
from causalrep.latent.ild.family import KINDS, ILDFamily, ILDParams, Kind
from causalrep.latent.ild.scm import latents_of_noise
from causalrep.nn.images.image_codec import ImageDecoder, ImageEncoder, Network
from causalrep.training import FitResult, Objective, Schedule, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, check_schedule
from causalrep.training.trained import refuse_divergence

DEFAULT = Schedule(steps=3000, batch_size=128, learning_rate=1e-3)
ESTIMATOR_DEFAULT = dataclasses.replace(DEFAULT, validation_share=0.1)
EVALUATIONS = 10
LOG_VARIANCE_LIMIT = 15.0
SPREAD = 0.1
# The decoder's domain-specific latents at the start: distance between neighboring domains, log scale of the noise.
APART, LOG_SCALE = 0.5, -2.0


class DomainImages(NamedTuple):
    """Images of all domains.

    Attributes:
        x: Pixels in [0, 1] (n, height, width, channels).
        domain: Domain of each image (n,), from 0.
    """

    x: Float[Array, "n height width channels"]
    domain: Int[Array, " n"]


@dataclasses.dataclass(frozen=True)
class ILDVAEModel:
    """A family of latent mechanisms between an encoder and a decoder.

    Attributes:
        family: Which mechanisms may differ; with ``"independent"`` the networks differ between domains too.
        shape: Height, width and channels of the images.
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
        """Random parameters: mechanisms near the identity, except that the decoder's tell the domains apart."""
        keys = jax.random.split(key, 4)
        image, code = jnp.zeros((1, *self.shape)), jnp.zeros((1, self.family.latents))
        networks = {
            "encoder": self._networks(keys[0], lambda key: self._encoder.init(key, image)),
            "decoder": self._networks(keys[1], lambda key: self._decoder.init(key, code)),
        }
        # Encoder and decoder take the place of the linear mixing.
        without_mixing = {"matrix": None, "mixing_shift": None}
        # One vmap, so that the three maps are compiled once.
        first = jax.vmap(lambda key: self.family.init(key, SPREAD)._replace(**without_mixing))
        maps = first(jax.random.split(keys[2], 3))
        mean, log_variance, decode = (jax.tree.map(lambda leaf, i=i: leaf[i], maps) for i in range(3))
        return networks | {"mean": mean, "log_variance": log_variance, "decode": _labelled(keys[3], decode)}

    def encode(
        self, params: PyTree, x: Float[Array, "n height width channels"], domain: Int[Array, " n"]
    ) -> tuple[Float[Array, "n m"], Float[Array, "n m"]]:
        """Mean and log variance of the noise behind images."""
        h = self._apply(self._encoder, params["encoder"], x, domain)
        mean, log_variance = (self._mapped(params[name], h, domain) for name in ("mean", "log_variance"))
        return mean, jnp.minimum(log_variance, LOG_VARIANCE_LIMIT)

    def decode(
        self, params: PyTree, noise: Float[Array, "n m"], domain: Int[Array, " n"]
    ) -> Float[Array, "n height width channels"]:
        """The image that noise becomes in a domain."""
        z = self._mapped(params["decode"], noise, domain)
        return self._apply(self._decoder, params["decoder"], z, domain)

    def counterfactual(
        self,
        params: PyTree,
        x: Float[Array, "n height width channels"],
        domain: Int[Array, " n"],
        target: Int[Array, " n"],
    ) -> Float[Array, "n height width channels"]:
        """What each image of ``domain`` would have been in ``target``."""
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
        # Every row goes through every domain's network, and its own is selected: shapes stay static.
        return _own(jnp.swapaxes(jax.vmap(lambda own: module.apply(own, x))(params), 0, 1), domain)

    def _mapped(self, params: ILDParams, values: Float[Array, "n m"], domain: Int[Array, " n"]) -> Float[Array, "n m"]:
        return _own(latents_of_noise(self.family.scm(params), values), domain)


def default_beta(shape: tuple[int, int, int]) -> float:
    """The paper's 1 for 28 x 28 pixels, proportional to the number of pixels for others."""
    return shape[0] * shape[1] / 28**2


@lru_cache
def ild_vae_objective(model: ILDVAEModel, beta: float = 1.0) -> Objective:
    """Sum of squared pixel errors plus beta times the divergence from N(0, I), mean over images.

    Batches are :class:`DomainImages`; metrics are ``"error"`` and ``"divergence"``, in nats.
    """

    def loss(params: PyTree, key: Key[Array, ""], batch: DomainImages) -> tuple[Array, dict[str, Array]]:
        chex.assert_rank(batch.x, 4)
        mean, log_variance = model.encode(params, batch.x, batch.domain)
        noise = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)
        decoded = model.decode(params, noise, batch.domain)
        error = jnp.mean(jnp.sum((decoded - batch.x) ** 2, axis=(1, 2, 3)))
        divergence = 0.5 * jnp.mean(jnp.sum(mean**2 + jnp.exp(log_variance) - log_variance - 1.0, axis=1))
        return error + beta * divergence, {"error": error, "divergence": divergence}

    return Objective(lambda key, batch: model.init(key), loss)


def fit_ild_vae(
    key: Key[Array, ""],
    model: ILDVAEModel,
    train: DomainImages,
    validation: DomainImages,
    *,
    beta: float | None = None,
    schedule: Schedule = DEFAULT,
    evaluations: int = EVALUATIONS,
    trainer: Callable[..., FitResult] = fit,
) -> FitResult:
    """Fit by Adam with decay rates 0.5 and 0.999; the parameters with the lowest validation loss are kept.

    Args:
        key: Random key.
        model: Networks and family of mechanisms.
        train: Images, domains pooled.
        validation: Images that choose the parameters.
        beta: Weight of the divergence; None for :func:`default_beta`.
        schedule: Steps (a multiple of ``evaluations``), batch size and learning rate. The released code trains the
            networks at 1e-4 over 300,000 steps.
        evaluations: Number of times the validation loss is computed.
        trainer: :func:`causalrep.training.fit`, or for fits of hours a partial of :func:`causalrep.training.train` with
            its checkpoints.
    """
    schedule = schedule.over(DEFAULT)
    return trainer(
        ild_vae_objective(model, default_beta(model.shape) if beta is None else beta),
        ild_vae_optimizer(schedule.learning_rate),
        train,
        key,
        steps=schedule.steps,
        batch_size=schedule.batch_size,
        validation=validation,
        eval_every=schedule.steps // evaluations,
    )


def ild_vae_optimizer(learning_rate: float = DEFAULT.learning_rate) -> optax.GradientTransformation:
    """Adam with the decay rates 0.5 and 0.999 of the released code; the same object for the same rate."""
    return adam(learning_rate, b1=0.5)


def _labelled(key: Key[Array, ""], params: ILDParams) -> ILDParams:
    """Parameters whose domain-specific latents show the domain: each spaces the domains evenly, in a random order."""
    domains, own = params.shifts.shape
    orders = jax.vmap(lambda key: jax.random.permutation(key, domains))(jax.random.split(key, own)).T
    shifts = APART * (orders - 0.5 * (domains - 1))
    content_elsewhere = params.shared_shifts.shape[1] > 0
    scales = params.scales + LOG_SCALE if content_elsewhere else params.scales
    return params._replace(scales=scales, shifts=params.shifts + shifts)


def _own(every: Float[Array, "n domains *rest"], domain: Int[Array, " n"]) -> Float[Array, "n *rest"]:
    mask = domain[:, None] == jnp.arange(every.shape[1])
    return jnp.sum(jnp.where(mask.reshape(*mask.shape, *(1,) * (every.ndim - 2)), every, 0.0), axis=1)


class ILDVAE(Estimator):
    """What would an image have been, had it come from another domain?

    A variational autoencoder with affine latent mechanisms, ``k`` of which may differ between domains. A counterfactual
    has no interval: models that fit equally well may differ in it, and no sampling theory covers that.

    Args:
        k: Number of latents whose mechanisms may differ between domains; fewer keep more of the image and may fail to
            change its domain.
        kind: The family, ``"relax-can"``, ``"can"``, ``"dense"`` or ``"independent"``; see
            :mod:`causalrep.latent.ild.family`.
        latents: m, the number of latents.
        network: ``"mlp"`` for small images, ``"conv"`` for 28 x 28 pixels.
        beta: Weight of the divergence from N(0, I) relative to squared pixel errors; None for 1 at 28 x 28 pixels, and
            proportional to the number of pixels. If counterfactuals do not change, raise it; if they lose the content,
            lower it.
        schedule: Steps (a multiple of 10), batch size, learning rate, and the share of images held out to choose the
            parameters.
        seed: Random seed.

    Attributes:
        model_: The :class:`ILDVAEModel`.
        params_: Its parameters.
        domains_: Labels of the domains, in order of appearance.
        validation_loss_: Loss of the held-out images.

    >>> ILDVAE(k=2, schedule=Schedule(steps=1000)).schedule.steps
    1000
    """

    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "k": Whole(),
        "kind": Choice(*KINDS),
        "latents": Whole(2),
        "network": Choice("mlp", "conv"),
        "beta": Optional(Real(at_least=0)),
        "schedule": InSchedule(ESTIMATOR_DEFAULT),
        "seed": Whole(None),
    }

    def __init__(
        self,
        k: int = 1,
        *,
        kind: Kind = "relax-can",
        latents: int = 10,
        network: Literal["mlp", "conv"] = "mlp",
        beta: float | None = None,
        schedule: Schedule = ESTIMATOR_DEFAULT,
        seed: int = 0,
    ):
        self.k = k
        self.kind = kind
        self.latents = latents
        self.network = network
        self.beta = beta
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, domain: Any) -> Self:
        """Fit the model.

        Args:
            X: Images in [0, 1], (n, height, width) or (n, height, width, channels).
            domain: Label of each image's domain (n,), at least two domains.

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument or hyperparameter is wrong; the message names it.
            DivergenceError: If a loss or gradient is not finite.
        """
        self._check_domains()
        schedule = self._check()
        x = _images(X)
        codes, self.domains_ = code_labels("domain", domain, rows=len(x), of="X", sort=True)
        if len(x) < 10:
            raise InputError("X", found=f"{len(x)} images", expected="at least 10")
        family = ILDFamily(self.kind, len(self.domains_), self.latents, self.k)
        self.model_, self.n_obs_ = ILDVAEModel(family, x.shape[1:], self.network), len(x)
        with self._computing():
            order_key, fit_key = jax.random.split(root(self.seed))
            rows = DomainImages(jnp.asarray(x), jnp.asarray(codes))
            train, validation = hold_out(order_key, rows, schedule.validation_share)
            batch_size = min(schedule.batch_size, len(train.x))
            schedule = dataclasses.replace(schedule, batch_size=batch_size).without("validation_share")
            result = fit_ild_vae(fit_key, self.model_, train, validation, beta=self.beta, schedule=schedule)
        refuse_divergence(result, self)
        self.params_, self.validation_loss_ = result.params, float(result.final_loss)
        return self

    def _check(self) -> Schedule:
        schedule = check_schedule(self.schedule, ESTIMATOR_DEFAULT)
        if schedule.steps % EVALUATIONS:
            expected = f"a multiple of {EVALUATIONS}"
            raise InputError("schedule.steps", found=str(schedule.steps), expected=expected)
        return schedule

    def counterfactual(self, X: Any, domain: Any, target: Any) -> Float[np.ndarray, "n *image"]:
        """What images would have been in another domain, in the shape of X.

        Args:
            X: Images.
            domain: The domain each image came from: one label, or (n,).
            target: The domain to imagine it in: one label, or (n,).
        """
        with self._computing():
            x = self._rows(X)
            source, aim = self._codes("domain", domain, len(x)), self._codes("target", target, len(x))
            return np.asarray(self.model_.counterfactual(self.params_, x, source, aim)).reshape(np.shape(X))

    def transform(self, X: Any, domain: Any) -> Float[np.ndarray, "n m"]:
        """Mean of the noise behind each image: that of one model among those that give the same counterfactuals."""
        with self._computing():
            x = self._rows(X)
            return np.asarray(self.model_.encode(self.params_, x, self._codes("domain", domain, len(x)))[0])

    def summary(self) -> Summary:
        """The family, the fit and the assumptions behind every counterfactual."""
        family = self.model_.family
        facts = [
            ("Family", family.kind),
            ("Domain-specific latents", f"{family.specific} of {family.latents}"),
            ("Domains", ", ".join(map(str, self.domains_))),
            ("Images", str(self.n_obs_)),
        ]
        notes = [
            "No interval: models that fit equally well may answer differently.",
            ASSUMPTIONS,
            "Score counterfactuals with causalrep.metrics.counterfactual_accuracy, and compare with the identity map.",
        ]
        return Summary(
            "Invertible latent domain model of images (ILD, VAE)",
            facts,
            pd.DataFrame({"held-out loss": {"squared error + beta divergence": self.validation_loss_}}),
            notes,
        )

    def _rows(self, X: Any) -> Float[Array, "n height width channels"]:
        model = self.model_  # before the images: an error about fitting comes first
        x = _images(X)
        if x.shape[1:] != model.shape:
            raise InputError("X", found=f"images of shape {x.shape[1:]}", expected=f"{model.shape}, as in fit")
        return jnp.asarray(x)

    def _codes(self, argument: str, labels: Any, rows: int) -> Int[Array, " n"]:
        return known_codes(argument, labels, known=self.domains_, rows=rows)


def _images(X: Any) -> Float[np.ndarray, "n height width channels"]:
    try:
        x = np.asarray(X, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError("X", found=type(X).__name__, expected="images of one shape") from error
    x = x[..., None] if x.ndim == 3 else x
    if x.ndim != 4 or x.size == 0:
        raise InputError("X", found=f"an array of shape {np.shape(X)}", expected="(n, height, width[, channels])")
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise InputError("X", found=f"pixels from {x.min():g} to {x.max():g}", expected="0 to 1: divide by 255")
    return x
