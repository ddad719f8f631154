"""PersonaX's model: causal latents of several modalities, each measured several times (Li et al., ICLR 2026).

Latents z_m of modality m have parents in any modality; its measurement k is ``x_m^(k) = g_mk(z_m, eta_m^(k))`` with
noise eta of its own. Encoders return (z_m, eta) and decoders take it; a
:class:`~causalrep.nn.flows.autoregressive.GatedFlow` is the distribution of all z, with a price on its gates between
modalities.

What is ours: the paper's code computes a deterministic autoencoder's loss, which decreases without bound as the latents
shrink; here it is the variational bound, with posterior noise of one learned scale per latent. The code's map from
latents to noises never transforms half of the dimensions, and thresholds edges so that no gradient reaches them; here
it is a monotone flow with an exact determinant and sampled gates. Only the abstract and the code of the paper were
available.
"""

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from causalrep.errors import InputError
from causalrep.nn import ParallelMLPs
from causalrep.nn.flows.autoregressive import GatedFlow, flow_log_density, sample_gates

GATE_PACE = 20.0  # how much faster than weights the logits of gates change
OPEN = 2.0  # logits of the gates at the start
Measurements = tuple[tuple[Float[Array, "n p"], ...], ...]


@dataclasses.dataclass(frozen=True)
class MultimodalSpec:
    """The sizes of a model.

    Attributes:
        latents: Number of latents of each modality; a causal order runs through them.
        measurements: For each modality the number of columns of each of its measurements.
        specific: Number of noises of each measurement.
        hidden: Widths of the encoders' hidden layers; the decoders have them in reverse.
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
            raise InputError(
                "latents", found=f"{self.latents}", expected="at least one latent and one measurement per modality"
            )

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


class Codes(NamedTuple):
    """The encoders' output for rows, without posterior noise.

    Attributes:
        z: Latents of all modalities, the mean over a modality's measurements (n, d).
        specific: Noises of each measurement, flat over modalities (measurements, n, s).
        disagreement: Mean over rows of the squared distances between codes of the same latents, summed over pairs.
    """

    z: Float[Array, "n d"]
    specific: Float[Array, "k n s"]
    disagreement: Float[Array, ""]


class MultimodalVAE(nn.Module):
    """Encoders, decoders and the distribution of the latents.

    Attributes:
        spec: Sizes of the model.
    """

    spec: MultimodalSpec

    def setup(self) -> None:
        """Networks of every measurement, the gated flow, and posterior scales."""
        spec = self.spec
        # Numbers of latents and columns of every measurement, in the order of modalities.
        sizes = [
            (latents, columns)
            for latents, modality in zip(spec.latents, spec.measurements, strict=True)
            for columns in modality
        ]
        total = sum(spec.latents)
        self.encoders = ParallelMLPs([(*spec.hidden, size + spec.specific) for size, _ in sizes], nn.elu)
        self.decoders = ParallelMLPs([(*spec.hidden[::-1], columns) for _, columns in sizes], nn.leaky_relu)
        self.flow = GatedFlow(total)
        # Adam changes all parameters at the same pace, and gates have further to go than weights: hence the factor.
        self.gate_logits = GATE_PACE * self.param("gates", nn.initializers.constant(OPEN / GATE_PACE), (total, total))
        self.log_scale = self.param("log_scale", nn.initializers.constant(-1.0), (total,))
        self.specific_log_scale = self.param("specific_log_scale", nn.initializers.constant(-1.0), (len(sizes),))

    def encode(self, x: Measurements) -> Codes:
        """Posterior means of rows."""
        encoded, blocks, specific, disagreement = iter(self.encoders(jax.tree.leaves(x))), [], [], 0.0
        for size, modality in zip(self.spec.latents, x, strict=True):
            outputs = [next(encoded) for _ in modality]
            codes = jnp.stack([output[:, :size] for output in outputs])
            center = jnp.mean(codes, axis=0)
            blocks.append(center)
            specific += [output[:, size:] for output in outputs]
            # The sum over pairs is the number of codes times the sum of squared distances from their mean.
            disagreement += len(outputs) * jnp.mean(jnp.sum((codes - center) ** 2, axis=(0, 2)))
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
        """Exogenous noises of latents and logarithms of their derivatives, by default with the likelier gates."""
        if not self.spec.causal:
            return z, jnp.zeros_like(z)
        return self.flow(z, (self.gate_logits > 0).astype(z.dtype) if gates is None else gates)

    def __call__(self, x: Measurements, key: Key[Array, ""]) -> tuple[Array, dict[str, Array]]:
        """The terms of the loss, without weights.

        Args:
            x: Standardized measurements.
            key: Random key of the posterior noise and the gates.

        Returns:
            The mean squared error over all columns, and ``divergence`` (nats per row), ``open_gates`` (expected
            number between modalities) and ``disagreement``.
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
        # KL = E log q(z | x) - E log p(z): the first has a closed form, -entropy; the second is averaged over one draw.
        entropy = jnp.sum(self.log_scale + 0.5 + 0.5 * jnp.log(2.0 * jnp.pi))
        divergence = -entropy - jnp.mean(density)
        # The measurements' noises have Gaussian posteriors and a standard normal prior: a closed form.
        own = 0.5 * (codes.specific**2 + scale**2 - 1.0) - jnp.log(scale)
        divergence += jnp.sum(own) / len(z)
        between = jnp.asarray(self.spec.between)
        open_gates = jnp.sum(jnp.where(between, jax.nn.sigmoid(self.gate_logits), 0.0))
        return error, {"divergence": divergence, "open_gates": open_gates, "disagreement": codes.disagreement}


def open_gates(params: PyTree) -> Float[Array, "d d"]:
    """Probability that each gate is open; entry (i, j) is latent j's gate to the map of latent i, zero unless j < i."""
    return jnp.tril(jax.nn.sigmoid(GATE_PACE * params["params"]["gates"]), -1)
