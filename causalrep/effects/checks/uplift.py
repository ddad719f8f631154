"""Uplift and Qini curves: what is gained by treating first the units that are expected to gain most?"""

from dataclasses import dataclass

import numpy as np

from causalrep.base.validation import as_vector, check_index_alignment
from causalrep.effects.design import check_treatment


@dataclass(frozen=True)
class UpliftCurve:
    """Gain from treating the top share of units, in the order of their estimated effects.

    Attributes:
        share: Share treated (m,), from 0 to 1; equal estimates are treated together.
        gain: Gain per unit of the whole population (m,), from 0 to the average effect.
        area: Area between the curve and the straight line of treating at random: 0 for an uninformative order.
        area_se: Standard error of the area for scores; NaN for the Qini curve, which has none here.
    """

    share: np.ndarray
    gain: np.ndarray
    area: float
    area_se: float


def uplift_curve(effect: np.ndarray, scores: np.ndarray) -> UpliftCurve:
    """The uplift curve from doubly robust scores: valid with confounded data, and efficient with randomized data.

    ``gain(q) = mean(scores of the top share q) * q``. The area is the mean of ``scores`` weighted by how far a unit's
    rank is above the middle, so it has a standard error.

    Args:
        effect: Estimated effects that order the units (n,), from other rows than the scores or cross-fitted.
        scores: Doubly robust scores (n,).

    Raises:
        InputError: If values are not finite, numbers of rows differ, or pandas indexes differ.

    >>> uplift_curve([2.0, 1.0], [4.0, 0.0]).gain.tolist()
    [0.0, 2.0, 2.0]
    """
    check_index_alignment(effect=effect, scores=scores)
    estimate, _ = as_vector("effect", effect)
    score, _ = as_vector("scores", scores, rows=len(estimate))
    n = len(score)
    order, ends = _order(estimate)
    gain = np.concatenate([[0.0], np.cumsum(score[order])[ends] / n])
    share = np.concatenate([[0.0], (ends + 1) / n])
    # A unit counts from where it is treated to the end: the share left after the middle of its group of ties.
    middle = (share[:-1] + share[1:]) / 2
    after = np.empty(n)
    after[order] = np.repeat(1 - middle, np.diff(np.concatenate([[-1], ends])))
    return UpliftCurve(share, gain, float(np.mean(score * (after - 0.5))), _area_se(score, after))


def qini_curve(effect: np.ndarray, Y: np.ndarray, T: np.ndarray) -> UpliftCurve:
    """Radcliffe's Qini curve for a randomized treatment: ``Y_1(q) - Y_0(q) n_1(q) / n_0(q)``, per unit.

    ``Y_a(q)`` is the sum of outcomes and ``n_a(q)`` the number of units of arm a in the top share q. Where the top
    share has no untreated unit, the second term is 0.

    Args:
        effect: Estimated effects (n,).
        Y: Outcome (n,).
        T: Treatment, 0 or 1, randomized (n,).

    Raises:
        InputError: If values are not finite, an arm is empty, numbers of rows differ, or pandas indexes differ.

    >>> qini_curve([2.0, 2.0, 1.0], [1.0, 0.0, 0.0], [1, 0, 1]).gain.round(3).tolist()
    [0.0, 0.333, 0.333]

    Source: Radcliffe (2007), "Using control groups to target on predicted lift".
    """
    check_index_alignment(effect=effect, Y=Y, T=T)
    estimate, _ = as_vector("effect", effect)
    y, _ = as_vector("Y", Y, rows=len(estimate))
    t, _ = as_vector("T", T, rows=len(estimate))
    check_treatment(t)
    n = len(y)
    order, ends = _order(estimate)
    sums = [np.cumsum((v * m)[order])[ends] for v, m in ((y, t), (y, 1 - t), (np.ones(n), t), (np.ones(n), 1 - t))]
    treated, untreated, n1, n0 = sums
    gain = treated - np.where(n0 > 0, untreated * n1 / np.maximum(n0, 1), 0.0)
    share, gain = np.concatenate([[0.0], (ends + 1) / n]), np.concatenate([[0.0], gain / n])
    area = float(np.trapezoid(gain, share) - gain[-1] / 2)
    return UpliftCurve(share, gain, area, float("nan"))


def _order(estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by falling estimate, and the position of the last row of each group of ties."""
    order = np.argsort(-estimate, kind="stable")
    values = estimate[order]
    return order, np.nonzero(np.append(values[1:] != values[:-1], True))[0]


def _area_se(score: np.ndarray, after: np.ndarray) -> float:
    """Standard error of the mean of ``score (after - 1/2)``, with ranks estimated from the same rows.

    ``area = E[s (F(x) - 1/2)]`` with the distribution function F of the order; estimating F by the ranks adds
    ``E[s 1{x > x_i}] + E[s 1{x = x_i}] / 2 - E[s F]`` to the influence of row i: a tie counts half.
    """
    n = len(score)
    _, group = np.unique(after, return_inverse=True)
    sums = np.bincount(group, weights=score)
    # Mean score of the rows ranked higher than row i, and half of those tied with it, whatever the order of the rows.
    above = ((np.cumsum(sums[::-1])[::-1] - sums / 2) / n)[group]
    direct, ranks = score * (after - 0.5), above
    influence = direct - direct.mean() + ranks - ranks.mean()
    return float(np.sqrt(np.mean(influence**2) / n))
