"""Scores of counterfactual images without ground truth, by the answers of classifiers (Monteiro et al. 2023)."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.base.checks import as_codes
from causalrep.base.validation import check_count, check_rows

Images = Float[Array, "n height width channels"]
Codes = Int[Array, " n"]
Counterfactual = Callable[[Images, Codes, Codes], Images]
Classifier = Callable[[Images], Codes]


class CounterfactualAccuracy(NamedTuple):
    """Shares of images; the best possible values are the accuracies of the classifiers on real images.

    Attributes:
        composition: Share whose class is preserved when the domain stays, ``x_{d -> d}``.
        reversibility: Share whose class is preserved by the round trip ``x_{d -> d' -> d}``.
        effectiveness: Share whose counterfactual ``x_{d -> d'}`` is recognized as domain d'.
        preservation: Share whose class is preserved in ``x_{d -> d'}``.
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
    """Averages over the images and, with equal weight, over all target domains, their own included.

    Always compare with the identity map (no change): it is perfect except for its effectiveness, ``1 / domains``.

    Args:
        counterfactual: ``(x, domain, target) -> x`` in the target domain.
        domain_of: Classifier of domains.
        class_of: Classifier of classes.
        x: Images that neither classifier was trained on.
        domain: Their domains, from 0.
        label: Their classes.
        domains: Number of domains.
        released_cycle: Compute reversibility from ``x_{d' -> d}`` of the *original* image, as the released code of ILD
            does, instead of from the cycle.

    Raises:
        InputError: If numbers of rows differ, or a domain is not one of ``domains``.

    >>> x = jnp.arange(4.0).reshape(4, 1, 1, 1)
    >>> parity = lambda images: images[:, 0, 0, 0].astype(int) % 2
    >>> same = counterfactual_accuracy(lambda x, d, t: x, parity, parity, x, parity(x), parity(x), 2)
    >>> float(same.preservation), float(same.effectiveness)
    (1.0, 0.5)
    """
    check_count("domains", domains)
    domain, label = as_codes("domain", domain, levels=domains), as_codes("label", label, missing=True)
    for name, values in {"domain": domain, "label": label}.items():
        check_rows(name, len(values), rows=len(x), of="x")
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
