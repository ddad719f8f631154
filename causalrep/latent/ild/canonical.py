"""The canonical form of an ILD model: a counterfactually equivalent one whose intervened latents come last.

Two models are counterfactually equivalent if they give the same counterfactual for every x, d and d'. The paper proves
by construction that a canonical one exists; this module is that construction.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.latent.ild.model import Affine, ILDModel
from causalrep.latent.ild.scm import intervention_set, latent_to_noise, noise_to_latent, scm_of_maps


class CanonicalForm(NamedTuple):
    """A canonical model, and how it was derived.

    Attributes:
        model: A counterfactually equivalent model with the same distributions. Its first domain's mechanism is the
            identity, and so are all but the last ``intervened`` components of the other domains' mechanisms.
        order: The original latents in the canonical order.
        intervened: Number of latents whose mechanisms differ between domains, |I(F)|.
    """

    model: ILDModel
    order: Int[Array, " m"]
    intervened: Int[Array, ""]


def canonical_form(model: ILDModel, tolerance: float = 1e-9) -> CanonicalForm:
    """The canonical form of a model with shared mixing.

    First ``g1 = g o f_1`` and ``f1_d = f_1^{-1} o f_d``, which makes the first mechanism the identity, and with it
    every component that no domain intervenes on; then the intervened components move to the end, in their order.

    Args:
        model: Any model with a leaky ReLU mixing that has no inner map yet.
        tolerance: Mechanisms that differ by at most this count as equal.
    """
    moved = intervention_set(model.scm, tolerance)
    # A stable sort of booleans: the latents without intervention first, both groups in their order.
    order = jnp.argsort(moved, stable=True)
    maps, shifts = noise_to_latent(model.scm), model.scm.shifts
    first = Affine(maps[0], shifts[0])
    back = latent_to_noise(model.scm)[0]
    relative = jnp.einsum("ji,dik->djk", back, maps)
    offsets = jnp.einsum("ji,di->dj", back, shifts - shifts[0])
    scm = scm_of_maps(_reordered(relative, order), offsets[:, order])
    inner = Affine(first.matrix[:, order], first.shift)
    mixing: Any = model.mixing
    return CanonicalForm(ILDModel(scm, mixing._replace(inner=inner)), order, jnp.sum(moved))


def _reordered(maps: Float[Array, "domains m m"], order: Int[Array, " m"]) -> Float[Array, "domains m m"]:
    # Still lower triangular: no component without intervention depends on one that moved behind it.
    return maps[:, order][:, :, order]
