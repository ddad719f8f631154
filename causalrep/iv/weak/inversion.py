"""From tests to sets of accepted values, in closed form if one exists.

With one coefficient of interest and homoskedastic errors, every statistic is a function of
``t(b)``, the (profiled) Anderson-Rubin quadratic ratio, so a set is ``{b : t(b) <= level}`` or a union of
such sets (Mikusheva 2010), and each of those solves a quadratic inequality.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from causalrep.iv.weak.conditional import conditional_p_value
from causalrep.iv.weak.confidence_set import ConfidenceSet

EMPTY, INTERVAL, RAYS, LINE, LEFT_RAY, RIGHT_RAY = range(6)


class QuadraticRegion(NamedTuple):
    """The solution set of ``a2 b^2 + a1 b + a0 <= 0``, in fixed shapes.

    Attributes:
        kind: EMPTY 0, INTERVAL 1 ``[low, high]``, RAYS 2 ``(-inf, low] u [high, inf)``, LINE 3,
            LEFT_RAY 4 ``(-inf, high]``, RIGHT_RAY 5 ``[low, inf)``.
        low, high: The roots in order; meaningless if the kind does not use them.
    """

    kind: Int[Array, "..."]
    low: Float[Array, "..."]
    high: Float[Array, "..."]


def quadratic_region(a2: Float[Array, "..."], a1: Float[Array, "..."], a0: Float[Array, "..."]) -> QuadraticRegion:
    """Solve ``a2 b^2 + a1 b + a0 <= 0``; elementwise, jittable, roots without cancellation.

    >>> region = quadratic_region(jnp.array([1., -1., 1., -1.]), jnp.zeros(4), jnp.array([-4., 4., 1., -1.]))
    >>> region.kind.tolist(), region.low[:2].tolist()
    ([1, 2, 0, 3], [-2.0, -2.0])
    """
    discriminant = a1 * a1 - 4 * a2 * a0
    real = discriminant >= 0
    root = jnp.sqrt(jnp.where(real, discriminant, 0.0))
    # The root without cancellation, q / a2, and the other by Vieta's formula, a0 / q.
    q = -(a1 + jnp.where(a1 >= 0, 1.0, -1.0) * root) / 2
    first = q / jnp.where(a2 != 0, a2, 1.0)
    second = jnp.where(q != 0, a0 / jnp.where(q != 0, q, 1.0), first)
    low, high = jnp.minimum(first, second), jnp.maximum(first, second)
    convex = jnp.where(real, INTERVAL, EMPTY)
    concave = jnp.where(real & (low < high), RAYS, LINE)
    linear = jnp.where(a1 > 0, LEFT_RAY, jnp.where(a1 < 0, RIGHT_RAY, jnp.where(a0 <= 0, LINE, EMPTY)))
    kind = jnp.where(a2 > 0, convex, jnp.where(a2 < 0, concave, linear))
    line_end = -a0 / jnp.where(a1 != 0, a1, 1.0)
    return QuadraticRegion(kind, jnp.where(a2 == 0, line_end, low), jnp.where(a2 == 0, line_end, high))


def level_region(
    projected: Float[Array, "m m"],
    covariance: Float[Array, "m m"],
    level: Float[Array, ""],
    parameter: int = 0,
) -> QuadraticRegion:
    """Values b of one coefficient with ``min_g (d' P d) / (d' S d) <= level``, d = (1, -b, -g).

    Profiling out the other coefficients g turns the quadratic form ``P - level * S`` into its Schur
    complement if the block of g is positive definite; otherwise some g satisfies the inequality for every b.

    Args:
        projected: ``w'Pw`` for w = [y x], (1 + p, 1 + p).
        covariance: ``S = w'Mw / (n - k - q)``.
        level: Critical value of the quadratic ratio.
        parameter: Which coefficient.
    """
    # t(b) <= level means that d' form d <= 0 for some g.
    form = projected - level * covariance
    m = form.shape[0]
    keep = np.array([0, 1 + parameter])
    others = np.array([j for j in range(1, m) if j != 1 + parameter], int)
    block = form[np.ix_(keep, keep)]
    definite = True
    if others.size:
        inner, cross = form[np.ix_(others, others)], form[np.ix_(others, keep)]
        definite = jnp.linalg.eigvalsh(inner)[0] > 0
        block = block - cross.T @ jnp.linalg.solve(inner, cross)
    region = quadratic_region(block[1, 1], -2 * block[0, 1], block[0, 0])
    return region._replace(kind=jnp.where(definite, region.kind, LINE))


def as_confidence_set(region: QuadraticRegion, **labels: Any) -> ConfidenceSet:
    """The confidence set of one region, outside ``jit``."""
    kind, low, high = int(region.kind), float(region.low), float(region.high)
    inf = float("inf")
    intervals = {
        EMPTY: (),
        INTERVAL: ((low, high),),
        RAYS: ((-inf, low), (high, inf)),
        LINE: ((-inf, inf),),
        LEFT_RAY: ((-inf, high),),
        RIGHT_RAY: ((low, inf),),
    }[kind]
    return ConfidenceSet(intervals, **labels)


def clr_level(
    smallest: Float[Array, ""], second: Float[Array, ""], alpha: Float[Array, ""], k: int
) -> Float[Array, ""]:
    """Level of t(b) below which the conditional likelihood-ratio test accepts, by bisection of its p-value.

    Both the statistic t - smallest and the strength smallest + second - t depend on b through t alone, and
    the p-value falls in t (Mikusheva 2010, lemma 1), so the accepted set is one level set.

    Args:
        smallest: Smallest eigenvalue of the whitened Gram matrix (0 if just identified).
        second: The eigenvalue after it: an upper bound of t(b).
        alpha: Size of the test.
        k: Number of instruments less the coefficients profiled out.

    Returns:
        The level; above ``second`` if every value is accepted.
    """

    def p_value(t: Float[Array, ""]) -> Float[Array, ""]:
        return conditional_p_value(t - smallest, smallest + second - t, k)

    def halve(_: int, bracket: tuple[Float[Array, ""], Float[Array, ""]]) -> tuple:
        low, high = bracket
        middle = (low + high) / 2
        accepted = p_value(middle) > alpha
        return jnp.where(accepted, middle, low), jnp.where(accepted, high, middle)

    low, high = jax.lax.fori_loop(0, 60, halve, (smallest, second))
    return jnp.where(p_value(second) > alpha, 2 * second + 1, (low + high) / 2)


def lm_levels(
    smallest: Float[Array, ""], largest: Float[Array, ""], critical: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The LM test of one coefficient accepts where t(b) <= first or t(b) >= second level.

    The statistic is ``(largest - t)(t - smallest) / (largest + smallest - t)``, so acceptance is a quadratic
    inequality in t. Its upper piece is the neighborhood of the least likely value, where the score vanishes too.
    """
    total = smallest + largest
    discriminant = (largest - smallest) ** 2 - 2 * critical * total + critical**2
    root = jnp.sqrt(jnp.maximum(discriminant, 0.0))
    everything = 2 * largest + 1
    low, high = (total + critical - root) / 2, (total + critical + root) / 2
    return jnp.where(discriminant < 0, everything, low), jnp.where(discriminant < 0, everything, high)
