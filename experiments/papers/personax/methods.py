"""PersonaX and its competitors: a beta-VAE, contrastive codes, and ICA of principal components."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from causalrep.latent import fast_ica, fit_multimodal
from causalrep.latent.personax.model import Measurements, MultimodalSpec, MultimodalVAE, open_gates
from causalrep.latent.personax.objective import Weights
from causalrep.nn import MLP
from causalrep.training import Objective, Schedule, fit
from causalrep.training.optimizers import adam

LATENTS, TEMPERATURE = 2, 0.5


def personax(key: Key[Array, ""], train, validation, test, *, steps: int, weights: Weights, causal: bool = True):
    """Codes of the test rows, and the open gates between latents (rows children), from a fit."""
    columns = tuple(tuple(x.shape[1] for x in modality) for modality in train)
    sizes = tuple(LATENTS if causal else 2 * LATENTS for _ in train)
    spec = MultimodalSpec(sizes, columns, specific=1 if causal else 0, causal=causal)
    params = fit_multimodal(key, spec, train, validation, weights=weights, schedule=Schedule(steps=steps)).params
    codes = MultimodalVAE(spec).apply(params, test, method="encode").z
    return codes, open_gates(params) > 0.5


def beta_vae(key: Key[Array, ""], train, validation, test, *, steps: int, weights: Weights) -> Float[Array, "n 4"]:
    """Codes of a beta-VAE on all columns side by side: one modality, one measurement, independent latents."""
    together = ((((_beside(rows)),),) for rows in (train, validation, test))
    return personax(key, *together, steps=steps, weights=weights, causal=False)[0]


def contrastive(key: Key[Array, ""], train, validation, test, *, steps: int) -> Float[Array, "n 4"]:
    """Codes of encoders, one per modality, trained to tell which rows belong together (InfoNCE)."""
    sides = [tuple(jnp.concatenate(modality, axis=1) for modality in rows) for rows in (train, validation, test)]
    result = fit(
        _info_nce(), adam(1e-3), sides[0], key, steps=steps, batch_size=256, validation=sides[1], eval_every=steps // 20
    )
    return jnp.concatenate(_contrastive_codes(result.params, sides[2]), axis=1)


def pca_ica(key: Key[Array, ""], train: Measurements, test: Measurements) -> Float[Array, "n 4"]:
    """Independent components of four principal components of all columns."""
    x = _beside(train)
    unmixing = fast_ica(key, x, 2 * LATENTS).unmixing
    return (_beside(test) - jnp.mean(x, axis=0)) @ unmixing.T


def _beside(rows: Measurements) -> Float[Array, "n p"]:
    return jnp.concatenate(jax.tree.leaves(rows), axis=1)


def _contrastive_codes(params, batch: tuple[Float[Array, "n p"], ...]) -> list[Float[Array, "n 2"]]:
    return [_encoder().apply(own, x) for own, x in zip(params, batch, strict=True)]


@lru_cache
def _info_nce() -> Objective:
    def init(key, batch):
        return [_encoder().init(own, x) for own, x in zip(jax.random.split(key), batch, strict=True)]

    def loss(params, key, batch):
        first, second = _contrastive_codes(params, batch)
        logits = -jnp.sum((first[:, None] - second) ** 2, axis=2) / TEMPERATURE
        same = jnp.arange(len(logits))
        both = [optax.softmax_cross_entropy_with_integer_labels(side, same) for side in (logits, logits.T)]
        return jnp.mean(jnp.stack(both)), {}

    return Objective(init, loss)


def _encoder() -> MLP:
    return MLP((64, 64, LATENTS))
