"""What the networks of this room share once they are trained."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from causalrep.effects.networks.fitting import NetworkFit
from causalrep.effects.networks.units import inputs, outcomes


class Heads(NamedTuple):
    """A network's output.

    Attributes:
        arms: Standardised outcomes under control and treatment (n, 2).
        phi: The representation that both outcomes share (n, k).
        logit: Log odds of treatment (n,); None if the network has no propensity head.
    """

    arms: Float[Array, "n 2"]
    phi: Float[Array, "n k"]
    logit: Float[Array, " n"] | None = None


class NetworkLearner:
    """Base of the learners of ``tau(x)`` with one network; a subclass has ``network`` and ``fit(data, key)``.

    It fits the protocol of :class:`~causalrep.effects.meta.MetaLearner`: ``fit`` without a key uses ``seed``.
    """

    network: nn.Module

    @property
    def learners(self) -> tuple[Any, ...]:
        """No regression besides its own network."""
        return ()

    def outcomes(self, found: NetworkFit, x: Float[Array, "m d"]) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """Expected outcomes without and with treatment."""
        arms = self._apply(found, x).arms
        return outcomes(found.scaling, arms[:, 0]), outcomes(found.scaling, arms[:, 1])

    def predict(self, found: NetworkFit, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Estimated effects."""
        mu0, mu1 = self.outcomes(found, x)
        return mu1 - mu0

    def _apply(self, found: NetworkFit, x: Float[Array, "m d"]) -> Heads:
        return self.network.apply(found.params, inputs(found.scaling, x))


class PropensityLearner(NetworkLearner):
    """A :class:`NetworkLearner` whose network also says who is treated."""

    def propensity(self, found: NetworkFit, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Probability of treatment."""
        return jax.nn.sigmoid(self._apply(found, x).logit)
