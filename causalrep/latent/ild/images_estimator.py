"""The façade of ILD for pictures: ``fit``, ``counterfactual``, ``transform``."""

from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import as_labels, check_range
from causalrep.errors import DivergenceError, InputError
from causalrep.keys import root
from causalrep.latent.domains import domain_codes
from causalrep.latent.ild.estimator import ASSUMPTIONS
from causalrep.latent.ild.family import ILDFamily, Kind
from causalrep.latent.ild.pictures import DomainImages, ILDVAEModel, fit_ild_vae


class ILDVAE(Estimator):
    """What would a picture have been, had it come from another domain?

    A variational autoencoder with affine latent mechanisms, ``k`` of which may differ between domains. No interval
    comes with a counterfactual: models that fit equally well may differ in it, and no sampling theory covers that.

    Args:
        k: Latents whose mechanisms may differ between domains; fewer keep more of the picture and may fail to change
            its domain.
        kind: The family, ``"relax-can"``, ``"can"``, ``"dense"`` or ``"independent"``; see
            :mod:`causalrep.latent.ild.family`.
        latents: m.
        network: ``"mlp"`` for small pictures, ``"conv"`` for 28 x 28 pixels.
        beta: Weight of the divergence from N(0, I) beside squared pixel errors; None for 1 at 28 x 28 pixels and in
            proportion at others. Where counterfactuals do not move, raise it; where they lose the content, lower it.
        steps: Updates.
        batch_size: Pictures a step.
        learning_rate: Of Adam.
        validation_share: Share of the pictures held out to pick the parameters.
        seed: Of all randomness.

    Attributes:
        model_: The :class:`ILDVAEModel`.
        params_: Its parameters.
        domains_: Labels of the domains, in order of appearance.
        validation_loss_: Of the held-out pictures.

    >>> ILDVAE(k=2, steps=1000)
    ILDVAE(k=2, steps=1000)
    """

    def __init__(
        self,
        k: int = 1,
        *,
        kind: Kind = "relax-can",
        latents: int = 10,
        network: Literal["mlp", "conv"] = "mlp",
        beta: float | None = None,
        steps: int = 3000,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        validation_share: float = 0.1,
        seed: int = 0,
    ):
        self.k = k
        self.kind = kind
        self.latents = latents
        self.network = network
        self.beta = beta
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_share = validation_share
        self.seed = seed

    def fit(self, X: Any, domain: Any) -> Self:
        """Fit the model.

        Args:
            X: Pictures in [0, 1], (n, height, width) or (n, height, width, channels).
            domain: Label of each picture's domain (n,), at least two domains.

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument or hyperparameter is wrong; the message names it.
            DivergenceError: If the loss is not finite.
        """
        x = _pictures(X)
        codes = as_labels("domain", domain, rows=len(x))
        self._check()
        if len(x) < 10:
            raise InputError("X", found=f"{len(x)} pictures", expected="at least 10")
        self.domains_ = pd.unique(np.asarray(domain).reshape(-1)).tolist()
        family = ILDFamily(self.kind, len(self.domains_), self.latents, self.k)
        self.model_, self.n_obs_ = ILDVAEModel(family, x.shape[1:], self.network), len(x)
        order_key, fit_key = jax.random.split(root(self.seed))
        order, held_out = jax.random.permutation(order_key, len(x)), max(1, round(self.validation_share * len(x)))
        rows = DomainImages(x[order], jnp.asarray(codes)[order])
        found = fit_ild_vae(
            fit_key,
            self.model_,
            jax.tree.map(lambda a: a[held_out:], rows),
            jax.tree.map(lambda a: a[:held_out], rows),
            beta=self.beta,
            steps=self.steps,
            batch_size=min(self.batch_size, len(x) - held_out),
            learning_rate=self.learning_rate,
        )
        if not np.isfinite(found.final_loss):
            step = int(found.first_bad_step)
            raise DivergenceError("The loss is not finite: try a smaller learning_rate.", step=step)
        self.params_, self.validation_loss_ = found.params, float(found.final_loss)
        return self

    def _check(self) -> None:
        if self.beta is not None:
            check_range("beta", self.beta, at_least=0)
        check_range("steps", self.steps, at_least=10)
        if self.steps % 10:
            raise InputError("steps", found=str(self.steps), expected="a multiple of 10")
        check_range("batch_size", self.batch_size, at_least=1)
        check_range("learning_rate", self.learning_rate, above=0)
        check_range("validation_share", self.validation_share, above=0, below=1)

    def counterfactual(self, X: Any, domain: Any, target: Any) -> np.ndarray:
        """What pictures would have been in another domain, in the shape of X.

        Args:
            X: Pictures.
            domain: The domain each came from: one label, or (n,).
            target: The domain to imagine them in: one label, or (n,).
        """
        x = self._rows(X)
        codes = [self._codes(name, labels, len(x)) for name, labels in (("domain", domain), ("target", target))]
        return np.asarray(self.model_.counterfactual(self.params_, x, *codes)).reshape(np.shape(X))

    def transform(self, X: Any, domain: Any) -> np.ndarray:
        """Mean of the noise behind each picture (n, m): those of one model among those that answer alike."""
        x = self._rows(X)
        return np.asarray(self.model_.encode(self.params_, x, self._codes("domain", domain, len(x)))[0])

    def summary(self) -> Summary:
        """The family, the fit and the assumptions behind every counterfactual."""
        family = self.model_.family
        facts = [
            ("Family", family.kind),
            ("Domain-specific latents", f"{family.specific} of {family.latents}"),
            ("Domains", ", ".join(map(str, self.domains_))),
            ("Pictures", str(self.n_obs_)),
        ]
        notes = [
            "No interval: models that fit equally well may answer differently.",
            ASSUMPTIONS,
            "Score counterfactuals with causalrep.metrics.counterfactual_accuracy, beside the identity map.",
        ]
        return Summary(
            "Invertible latent domain model of pictures (ILD, VAE)",
            facts,
            pd.DataFrame({"held-out loss": {"squared error + beta divergence": self.validation_loss_}}),
            notes,
        )

    def _rows(self, X: Any) -> jax.Array:
        model = self.model_  # before the pictures: an error about fitting comes first
        x = _pictures(X)
        if x.shape[1:] != model.shape:
            raise InputError("X", found=f"pictures of shape {x.shape[1:]}", expected=f"{model.shape}, as in fit")
        return x

    def _codes(self, argument: str, labels: Any, rows: int) -> jax.Array:
        return domain_codes(argument, labels, domains=self.domains_, rows=rows)


def _pictures(X: Any) -> jax.Array:
    try:
        x = np.asarray(X, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError("X", found=type(X).__name__, expected="pictures of one shape") from error
    x = x[..., None] if x.ndim == 3 else x
    if x.ndim != 4 or x.size == 0:
        raise InputError("X", found=f"an array of shape {np.shape(X)}", expected="(n, height, width[, channels])")
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise InputError("X", found=f"pixels from {x.min():g} to {x.max():g}", expected="0 to 1: divide by 255")
    return jnp.asarray(x)
