"""ILD: invertible latent domain causal models and their counterfactuals (Zhou et al., ICLR 2024).

In domain d, noise eps ~ N(0, I) becomes latents ``z = f_d(eps)`` and observations ``x = g(z)``. Only x and d are
observed. The question is not what z was but what x would have been in another domain::

    x_{d -> d'} = g(f_d'(f_d^{-1}(g^{-1}(x))))

Many models have the same distributions of x in every domain and answer this differently, so the answer rests on the
assumption that few mechanisms differ between domains (:mod:`causalrep.latent.ild.family`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.latent.ild.scm import LatentSCM, latents_of_noise, noise_of_latents
from causalrep.nn.flows.coupling import FlowMixing, flow_forward, flow_inverse

LOG_2PI = 1.8378770664093453


class Affine(NamedTuple):
    """``z -> matrix z + shift``."""

    matrix: Float[Array, "m m"]
    shift: Float[Array, " m"]


class Mixing(NamedTuple):
    """``x = G a(z) + c`` with the leaky ReLU ``a``; shared by all domains, or one for each.

    Attributes:
        matrix: G (e, m, m), invertible; e is 1, or the number of domains.
        shift: c (e, m).
        slope: Slope of ``a`` below zero; 1 for a linear mixing.
        inner: An invertible affine map applied to z before ``a``, or None.
    """

    matrix: Float[Array, "e m m"]
    shift: Float[Array, "e m"]
    slope: float = 0.5
    inner: Affine | None = None


class ILDModel(NamedTuple):
    """A model (g, F).

    Attributes:
        scm: F, the latent mechanisms of every domain.
        mixing: The mixing g.
    """

    scm: LatentSCM
    mixing: Mixing | FlowMixing


def mix(mixing: Mixing | FlowMixing, z: Float[Array, "n e m"]) -> Float[Array, "n e m"]:
    """``g(z)``."""
    if isinstance(mixing, FlowMixing):
        return flow_forward(mixing, z)[0]
    if mixing.inner is not None:
        z = z @ mixing.inner.matrix.T + mixing.inner.shift
    return jnp.einsum("nei,eji->nej", jnp.where(z < 0, mixing.slope * z, z), mixing.matrix) + mixing.shift


def unmix(
    mixing: Mixing | FlowMixing, x: Float[Array, "n m"], temperature: Float[Array, ""] | None = None
) -> tuple[Float[Array, "n e m"], Float[Array, "n e"]]:
    """``g^{-1}(x)`` and the logarithm of the absolute determinant of its Jacobian.

    Args:
        mixing: The mixing g.
        x: Observations.
        temperature: Width over which the kinks of ``a^{-1}`` are smoothed; None, or the limit 0, is exact.
    """
    if isinstance(mixing, FlowMixing):
        return flow_inverse(mixing, x[:, None, :])
    u = jnp.einsum("nei,eji->nej", x[:, None, :] - mixing.shift, jnp.linalg.inv(mixing.matrix))
    # a^{-1}(u) is u above zero and u / slope below; the smoothed one has the slope
    # steep - (steep - 1) sigmoid(u / temperature).
    steep = 1.0 / mixing.slope
    if temperature is None:
        z, log_slopes = jnp.where(u < 0, steep * u, u), jnp.where(u < 0, jnp.log(steep), 0.0)
    else:
        z = steep * u - (steep - 1.0) * temperature * jax.nn.softplus(u / temperature)
        log_slopes = jnp.log(steep - (steep - 1.0) * jax.nn.sigmoid(u / temperature))
    log_det = jnp.sum(log_slopes, axis=2) - jnp.linalg.slogdet(mixing.matrix)[1]
    if mixing.inner is not None:
        z = (z - mixing.inner.shift) @ jnp.linalg.inv(mixing.inner.matrix).T
        log_det = log_det - jnp.linalg.slogdet(mixing.inner.matrix)[1]
    return z, log_det


def log_likelihood(
    model: ILDModel,
    x: Float[Array, "n m"],
    domain: Int[Array, " n"],
    temperature: Float[Array, ""] | None = None,
) -> Float[Array, " n"]:
    """Exact ``log p(x | d)`` of each row, in nats.

    Args:
        model: The model.
        x: Observations.
        domain: Their domains, from 0.
        temperature: As for :func:`unmix`; the density is then the exact one of the smoothed model.
    """
    z, log_det = unmix(model.mixing, x, temperature)
    noise = noise_of_latents(model.scm, z)
    log_scales = jnp.sum(jnp.log(jnp.abs(model.scm.scales)), axis=1)
    m = x.shape[1]
    # Compute every row in every domain and mask: cheaper than gathering a matrix for each row.
    every = log_det - log_scales - 0.5 * (jnp.sum(noise**2, axis=2) + m * LOG_2PI)
    return jnp.sum(jnp.where(_own(model, domain), every, 0.0), axis=1)


def noise_of(model: ILDModel, x: Float[Array, "n m"], domain: Int[Array, " n"]) -> Float[Array, "n m"]:
    """Abduction: the noise behind each row, ``f_d^{-1}(g^{-1}(x))``."""
    return _select(model, noise_of_latents(model.scm, unmix(model.mixing, x)[0]), domain)


def observe(model: ILDModel, noise: Float[Array, "n m"], domain: Int[Array, " n"]) -> Float[Array, "n m"]:
    """Prediction: what the noise becomes in a domain, ``g(f_d(eps))``."""
    if isinstance(model.mixing, Mixing) and len(model.mixing.matrix) > 1:
        return _select(model, mix(model.mixing, latents_of_noise(model.scm, noise)), domain)
    z = _select(model, latents_of_noise(model.scm, noise), domain)
    return mix(model.mixing, z[:, None, :])[:, 0]


def counterfactual(
    model: ILDModel, x: Float[Array, "n m"], domain: Int[Array, " n"], target: Int[Array, " n"]
) -> Float[Array, "n m"]:
    """What each row of ``domain`` would have been in domain ``target``: abduction, exchange, prediction."""
    return observe(model, noise_of(model, x, domain), target)


def _own(model: ILDModel, domain: Int[Array, " n"]) -> Array:
    return domain[:, None] == jnp.arange(len(model.scm.scales))


def _select(model: ILDModel, every: Float[Array, "n domains m"], domain: Int[Array, " n"]) -> Float[Array, "n m"]:
    return jnp.sum(jnp.where(_own(model, domain)[:, :, None], every, 0.0), axis=1)
