"""The evidence lower bound of a NumPyro model with one latent site of finite support, as an exact sum."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro import handlers


class FiniteELBO:
    """``sum_s q(s) [log p(s, data) - log q(s)]`` where the site ``"u"`` is the row's index of a point.

    It has the ``loss`` of NumPyro's own ELBO classes, and needs no random numbers: there is no enumeration of
    discrete sites in NumPyro without its extra dependency ``funsor``, and one site needs none. Scales
    (``numpyro.handlers.scale``) count.
    """

    def loss(
        self, key: Any, params: dict, model: Callable, guide: Callable, *args: Any, **kwargs: Any
    ) -> Float[Array, ""]:
        """The negative bound, summed over rows.

        Args:
            key: Unused.
            params: Values of NumPyro parameter sites, if there are any.
            model: Sites ``"u"`` and observed ones, all with one value a row.
            guide: Site ``"u"`` alone.
            *args: Given to both.
            **kwargs: Given to both.
        """
        del key

        def sites(function: Callable, index: Any) -> dict[str, dict]:
            known = handlers.substitute(function, {**params, "u": index})
            trace = handlers.trace(known).get_trace(*args, **kwargs)
            return {name: site for name, site in trace.items() if site["type"] == "sample"}

        # The guide's site does not depend on its value: any will show its distribution.
        site = sites(guide, 0)["u"]
        rows, points = site["fn"].logits.shape

        def at(point: Array) -> tuple[Array, Array]:
            index = jnp.full(rows, point)
            joint = sum(_log_prob(found) for found in sites(model, index).values())
            return joint, _log_prob({**site, "value": index})

        joint, log_q = jax.vmap(at)(jnp.arange(points))
        weights = jnp.exp(jax.nn.log_softmax(site["fn"].logits)).T
        return -jnp.sum(weights * (joint - log_q))


def _log_prob(site: dict) -> Array:
    value = site["fn"].log_prob(site["value"])
    return value if site["scale"] is None else site["scale"] * value
