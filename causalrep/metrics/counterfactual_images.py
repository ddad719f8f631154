"""Scores of counterfactual pictures, whose truth nobody saw: what classifiers make of them (Monteiro et al. 2023)."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Images = Float[Array, "n height width channels"]
Codes = Int[Array, " n"]
Counterfactual = Callable[[Images, Codes, Codes], Images]
Classifier = Callable[[Images], Codes]


class CounterfactualAccuracy(NamedTuple):
    """Shares of pictures, all wanted near what the classifiers reach on real pictures.

    Attributes:
        composition: Class kept when nothing is changed, ``x_{d -> d}``.
        reversibility: Class kept on the way there and back, ``x_{d -> d' -> d}``.
        effectiveness: Domain of ``x_{d -> d'}`` recognised as d'.
        preservation: Class kept in ``x_{d -> d'}``.
    """

    composition: Float[Array, ""]
    reversibility: Float[Array, ""]
    effectiveness: Float[Array, ""]
    preservation: Float[Array, ""]


def counterfactual_accuracy(
    counterfactual: Counterfactual,
    domain_of: Classifier,
    class_of: Classifier,
    x: Images,
    domain: Codes,
    label: Codes,
    domains: int,
    *,
    released_cycle: bool = False,
) -> CounterfactualAccuracy:
    """Averages over the pictures and, with equal weight, over all target domains, their own included.

    The identity map is perfect but for its effectiveness, one in ``domains``: print it beside.

    Args:
        counterfactual: ``(x, domain, target) -> x`` in the target domain.
        domain_of: Classifier of domains.
        class_of: Classifier of classes.
        x: Pictures that trained neither.
        domain: Their domains, from 0.
        label: Their classes.
        domains: Number of domains.
        released_cycle: Score ``x_{d' -> d}`` of the *original* picture as reversibility, as the released code of ILD
            does, instead of the cycle.
    """
    kept, reversed_, reached = [], [], []
    for number in range(domains):
        target = jnp.full_like(domain, number)
        there = counterfactual(x, domain, target)
        back = counterfactual(x if released_cycle else there, target, domain)
        reached.append(jnp.mean(domain_of(there) == target))
        kept.append(jnp.mean(class_of(there) == label))
        reversed_.append(jnp.mean(class_of(back) == label))
    same = jnp.mean(class_of(counterfactual(x, domain, domain)) == label)
    return CounterfactualAccuracy(same, *(jnp.mean(jnp.stack(values)) for values in (reversed_, reached, kept)))
