"""Families of ILD models: which mechanisms may differ between domains.

* ``dense``: all of them, freely; k is ignored. The baseline without sparsity.
* ``relax-can``: the last k. The first m - k components are learned and shared by all domains. Recommended.
* ``can``: the last k. The first m - k components are the identity plus a shared shift, and the first domain's last k
  the identity plus a shift of its own: as expressive as ``relax-can``, and harder to optimize.
* ``independent``: all of them, freely, and every domain has a mixing of its own.
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.base.validation import check_choice, check_count, check_range
from causalrep.errors import InputError
from causalrep.keys import derive
from causalrep.latent.ild.model import ILDModel, Mixing
from causalrep.latent.ild.scm import LatentSCM
from causalrep.nn.flows.coupling import FlowMixing, init_flow

Kind = Literal["dense", "relax-can", "can", "independent"]
KINDS = ("dense", "relax-can", "can", "independent")


class ILDParams(NamedTuple):
    """Parameters of a model; rows of L, S and b that the domains share have a first axis of length 1.

    Attributes:
        shared_weights: Shared rows of L (1, shared, m); entries on and above the diagonal are ignored.
        shared_scales: Shared diagonal of S (1, shared), or its logarithm.
        shared_shifts: Shared part of b (1, shared).
        weights: Domain-specific rows of L (domains, k, m).
        scales: Domain-specific diagonal of S (domains, k), or its logarithm.
        shifts: Domain-specific part of b (domains, k).
        matrix: G (e, m, m); None if a flow or networks mix.
        mixing_shift: c (e, m); None if a flow or networks mix.
        flow: The mixing of a family with ``depth`` above 0.
    """

    shared_weights: Float[Array, "1 shared m"]
    shared_scales: Float[Array, "1 shared"]
    shared_shifts: Float[Array, "1 shared"]
    weights: Float[Array, "domains k m"]
    scales: Float[Array, "domains k"]
    shifts: Float[Array, "domains k"]
    matrix: Float[Array, "e m m"]
    mixing_shift: Float[Array, "e m"]
    flow: FlowMixing | None = None


@dataclasses.dataclass(frozen=True)
class ILDFamily:
    """A family of models of one size.

    Attributes:
        kind: Which mechanisms may differ; see the text of the module.
        domains: Number of domains.
        latents: m, also the number of observed variables.
        k: Latents whose mechanisms differ between domains; ignored by ``"dense"`` and ``"independent"``.
        monotone: ``S = exp(.)``, so that every mechanism increases in its own noise, as the theory assumes. ``False``
            leaves the sign of S free, as the released code does; a sign that differs between domains flips that
            component of the counterfactual.
        slope: Slope of the leaky ReLU below zero.
        depth: Blocks of a RealNVP mixing; 0 for the leaky ReLU between linear maps.
    """

    kind: Kind
    domains: int
    latents: int
    k: int = 1
    monotone: bool = True
    slope: float = 0.5
    depth: int = 0

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        check_count("domains", self.domains, at_least=2)
        check_count("latents", self.latents, at_least=2)
        check_range("slope", self.slope, above=0, at_most=1)
        check_count("depth", self.depth, at_least=0)
        if self.depth and self.kind == "independent":
            raise InputError("kind", found="'independent'", expected="a family with one mixing, as a RealNVP needs")
        if self.kind in ("relax-can", "can") and not 1 <= self.k < self.latents:
            raise InputError("k", found=str(self.k), expected=f"1 to {self.latents - 1}, fewer than the latents")

    @property
    def specific(self) -> int:
        """Number of latents with domain-specific mechanisms."""
        return self.k if self.kind in ("relax-can", "can") else self.latents

    def init(self, key: Key[Array, ""], spread: float = 1.0) -> ILDParams:
        """Random parameters with G = I and c = 0, or with a flow that starts as a permutation.

        Args:
            key: Random key.
            spread: Standard deviation of the entries of L, S (its logarithm if monotone) and b; the paper's is 1.
        """
        d, m, own = self.domains, self.latents, self.specific
        mixings = d if self.kind == "independent" else 1
        keys = jax.random.split(key, 6)
        shapes = ((1, m - own, m), (1, m - own), (1, m - own), (d, own, m), (d, own), (d, own))
        drawn = [spread * jax.random.normal(one, shape) for one, shape in zip(keys, shapes, strict=True)]
        mechanisms: dict[str, Any] = dict(zip(ILDParams._fields, drawn))
        if self.depth:
            flow = init_flow(derive(key, "flow"), m, self.depth)
            return ILDParams(**mechanisms, matrix=None, mixing_shift=None, flow=flow)
        matrix = jnp.tile(jnp.eye(m), (mixings, 1, 1))
        return ILDParams(**mechanisms, matrix=matrix, mixing_shift=jnp.zeros((mixings, m)))

    def model(self, params: ILDParams) -> ILDModel:
        """The model that parameters stand for."""
        mixing: Any = params.flow if self.depth else Mixing(params.matrix, params.mixing_shift, self.slope)
        return ILDModel(self.scm(params), mixing)

    def scm(self, params: ILDParams) -> LatentSCM:
        """The latent mechanisms alone."""
        weights = self._rows(params.shared_weights, params.weights)
        scales = self._rows(params.shared_scales, params.scales)
        shifts = self._rows(params.shared_shifts, params.shifts)
        weights, scales = jnp.tril(weights, -1), jnp.exp(scales) if self.monotone else scales
        if self.kind == "can":
            # Shared rows are the identity, and so are all rows of the first domain, without loss of generality.
            free = (jnp.arange(self.domains) > 0)[:, None] & (jnp.arange(self.latents) >= self.latents - self.k)
            weights, scales = jnp.where(free[:, :, None], weights, 0.0), jnp.where(free, scales, 1.0)
        return LatentSCM(weights, scales, shifts)

    def _rows(self, shared: Array, own: Array) -> Array:
        return jnp.concatenate([jnp.broadcast_to(shared, (self.domains, *shared.shape[1:])), own], axis=1)
