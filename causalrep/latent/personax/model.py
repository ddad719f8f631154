"""PersonaX's model: causal latents of several modalities, each measured several times (Li et al., ICLR 2026).

Latents z_m of modality m have parents in any modality; measurement k of it is ``x_m^(k) = g_mk(z_m, eta_m^(k))`` with
noise eta of its own. Encoders return (z_m, eta), decoders take it; a
:class:`~causalrep.nn.flows.autoregressive.GatedFlow` is the law of all z, and its gates between modalities cost.

What is ours: the paper's code computes a deterministic autoencoder's loss in which shrinking the latents pays without
bound; this is the variational bound, with posterior noise of one learned scale a latent. Its map from latents to noises
never transforms half of the dimensions and thresholds edges so that no gradient reaches them; here it is a monotone
flow with an exact determinant and sampled gates. Only the abstract and the code of the paper were at hand.
"""

import dataclasses
from functools import lru_cache
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from causalrep.errors import InputError
from causalrep.nn import ParallelMLPs
from causalrep.nn.flows.autoregressive import GatedFlow, flow_log_density, sample_gates
from causalrep.training import Objective

GATE_PACE, OPEN = 20.0, 2.0
Measurements = tuple[tuple[Float[Array, "n p"], ...], ...]


@dataclasses.dataclass(frozen=True)
class MultimodalSpec:
    """The sizes of a model.

    Attributes:
        latents: Latents of each modality; a causal order runs through them.
        measurements: For each modality the number of columns of each of its measurements.
        specific: Noises of each measurement.
        hidden: Units of the encoders' layers; the decoders' are the mirror image.
        causal: ``False`` makes the latents independent and standard normal: a beta-VAE.
    """

    latents: tuple[int, ...]
    measurements: tuple[tuple[int, ...], ...]
    specific: int = 1
    hidden: tuple[int, ...] = (64, 64)
    causal: bool = True

    def __post_init__(self) -> None:
        if len(self.latents) != len(self.measurements):
            found = f"{len(self.latents)} modalities, but {len(self.measurements)} in measurements"
            raise InputError("latents", found=found, expected="as many")
        if min(self.latents) < 1 or not all(self.measurements):
            raise InputError("latents", found=f"{self.latents}", expected="at least one, and a measurement, a modality")

    @property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Columns of each modality's latents."""
        ends = [sum(self.latents[: m + 1]) for m in range(len(self.latents))]
        return tuple(tuple(range(end - size, end)) for end, size in zip(ends, self.latents, strict=True))

    @property
    def between(self) -> tuple[tuple[bool, ...], ...]:
        """Whether latents i and j < i belong to different modalities (d, d): the gates that cost."""
        owner = [m for m, size in enumerate(self.latents) for _ in range(size)]
        return tuple(tuple(j < i and owner[i] != owner[j] for j in range(len(owner))) for i in range(len(owner)))


@dataclasses.dataclass(frozen=True)
class Weights:
    """What the terms of the loss weigh.

    Attributes:
        reconstruction: Of the mean squared error.
        divergence: Of the divergence of the posterior from the prior, in nats a row.
        sparsity: Of each open gate between modalities: an edge stays if it saves ``sparsity / divergence`` nats a row.
        agreement: Of the squared distances between a modality's codes from different measurements.
    """

    reconstruction: float = 2.0
    divergence: float = 1e-2
    sparsity: float = 1e-3
    agreement: float = 1e-2


class Codes(NamedTuple):
    """What encoders say of rows, without posterior noise.

    Attributes:
        z: Latents of all modalities, the mean over a modality's measurements (n, d).
        specific: Noises of each measurement, flat over modalities (measurements, n, s).
        disagreement: Mean over rows of the squared distances between codes of the same latents, summed over pairs.
    """

    z: Float[Array, "n d"]
    specific: Float[Array, "k n s"]
    disagreement: Float[Array, ""]


class MultimodalVAE(nn.Module):
    """Encoders, decoders and the law of the latents.

    Attributes:
        spec: Sizes.
    """

    spec: MultimodalSpec

    def setup(self) -> None:
        """Networks of every measurement, in the order of modalities."""
        spec, sizes = (
            self.spec,
            [
                (latents, columns)
                for latents, modality in zip(self.spec.latents, self.spec.measurements, strict=True)
                for columns in modality
            ],
        )
        total = sum(spec.latents)
        self.encoders = ParallelMLPs([(*spec.hidden, size + spec.specific) for size, _ in sizes], nn.elu)
        self.decoders = ParallelMLPs([(*spec.hidden[::-1], columns) for _, columns in sizes], nn.leaky_relu)
        self.flow = GatedFlow(total)
        # Adam moves every number at one pace; gates have further to go than weights.
        self.gate_logits = GATE_PACE * self.param("gates", nn.initializers.constant(OPEN / GATE_PACE), (total, total))
        self.log_scale = self.param("log_scale", nn.initializers.constant(-1.0), (total,))
        self.specific_log_scale = self.param("specific_log_scale", nn.initializers.constant(-1.0), (len(sizes),))

    def encode(self, x: Measurements) -> Codes:
        """Posterior means."""
        encoded, blocks, specific, disagreement = iter(self.encoders(jax.tree.leaves(x))), [], [], 0.0
        for size, modality in zip(self.spec.latents, x, strict=True):
            outputs = [next(encoded) for _ in modality]
            codes = jnp.stack([output[:, :size] for output in outputs])
            centre = jnp.mean(codes, axis=0)
            blocks.append(centre)
            specific += [output[:, size:] for output in outputs]
            # The sum over pairs is the number of codes times the sum of squared distances from their mean.
            disagreement += len(outputs) * jnp.mean(jnp.sum((codes - centre) ** 2, axis=(0, 2)))
        return Codes(jnp.concatenate(blocks, axis=1), jnp.stack(specific), jnp.asarray(disagreement))

    def decode(self, z: Float[Array, "n d"], specific: Float[Array, "k n s"]) -> Measurements:
        """Measurements of latents."""
        blocks = zip(self.spec.blocks, self.spec.measurements, strict=True)
        owners = [z[:, block[0] : block[-1] + 1] for block, modality in blocks for _ in modality]
        inputs = [jnp.concatenate(pair, axis=1) for pair in zip(owners, specific, strict=True)]
        decoded = iter(self.decoders(inputs))
        return tuple(tuple(next(decoded) for _ in modality) for modality in self.spec.measurements)

    def noises(
        self, z: Float[Array, "n d"], gates: Float[Array, "*n d d"] | None = None
    ) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """Exogenous noises of latents and logarithms of their derivatives; by default through the likelier gates."""
        if not self.spec.causal:
            return z, jnp.zeros_like(z)
        return self.flow(z, (self.gate_logits > 0).astype(z.dtype) if gates is None else gates)

    def __call__(self, x: Measurements, key: Key[Array, ""]) -> tuple[Array, dict[str, Array]]:
        """The terms of the loss, without weights.

        Args:
            x: Standardised measurements.
            key: Draws posterior noise and gates.

        Returns:
            The mean squared error over all columns, and ``divergence`` (nats a row), ``open_gates`` (expected number
            between modalities) and ``disagreement``.
        """
        codes = self.encode(x)
        noise_key, specific_key, gate_key = jax.random.split(key, 3)
        z = codes.z + jnp.exp(self.log_scale) * jax.random.normal(noise_key, codes.z.shape, codes.z.dtype)
        scale = jnp.exp(self.specific_log_scale)[:, None, None]
        specific = codes.specific + scale * jax.random.normal(specific_key, codes.specific.shape, z.dtype)
        decoded = self.decode(z, specific)
        errors = [jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(decoded), strict=True)]
        error = sum(errors) / sum(leaf.size for leaf in jax.tree.leaves(x))
        density = flow_log_density(*self.noises(z, sample_gates(gate_key, self.gate_logits, len(z))))
        # E log q of a Gaussian of known scale, about which log p is averaged by one draw.
        entropy = jnp.sum(self.log_scale + 0.5 + 0.5 * jnp.log(2.0 * jnp.pi))
        divergence = -entropy - jnp.mean(density)
        own = 0.5 * (codes.specific**2 + scale**2 - 1.0) - jnp.log(scale)
        divergence += jnp.sum(own) / len(z)
        between = jnp.asarray(self.spec.between)
        open_gates = jnp.sum(jnp.where(between, jax.nn.sigmoid(self.gate_logits), 0.0))
        return error, {"divergence": divergence, "open_gates": open_gates, "disagreement": codes.disagreement}


@lru_cache
def multimodal_objective(spec: MultimodalSpec, weights: Weights) -> Objective:
    """The weighted loss; the same object for the same arguments, so that programs are kept.

    Batches are :data:`Measurements`; metrics are the terms that :class:`MultimodalVAE` returns, and ``error``.
    """
    module = MultimodalVAE(spec)

    def init(key: Key[Array, ""], batch: Measurements) -> PyTree:
        return module.init(key, jax.tree.map(lambda leaf: leaf[:2], batch), key)

    def loss(params: PyTree, key: Key[Array, ""], batch: Measurements) -> tuple[Array, dict[str, Array]]:
        error, terms = module.apply(params, batch, key)
        total = (
            weights.reconstruction * error
            + weights.divergence * terms["divergence"]
            + weights.agreement * terms["disagreement"]
        )
        if spec.causal:
            total += weights.sparsity * terms["open_gates"]
        return total, {"error": error, **terms}

    return Objective(init, loss)


def open_gates(params: PyTree) -> Float[Array, "d d"]:
    """Probability that each gate is open; entry (i, j) lets latent j into the map of latent i, and counts if j < i."""
    return jnp.tril(jax.nn.sigmoid(GATE_PACE * params["params"]["gates"]), -1)
