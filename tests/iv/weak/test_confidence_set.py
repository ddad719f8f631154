"""The set type: shapes, membership, algebra."""

import math
import pickle

import pytest

from causalrep.errors import InputError
from causalrep.iv.weak.confidence_set import ConfidenceSet

INF = math.inf


@pytest.mark.parametrize(
    ("intervals", "kind", "bounded", "length", "text"),
    [
        ((), "empty", True, 0.0, "∅"),
        (((1.0, 2.5),), "interval", True, 1.5, "[1, 2.5]"),
        (((-INF, -0.3), (1.2, INF)), "rays", False, INF, "(-inf, -0.3] ∪ [1.2, inf)"),
        (((-INF, INF),), "line", False, INF, "(-inf, inf)"),
        (((0.0, INF),), "ray", False, INF, "[0, inf)"),
        (((0.0, 1.0), (2.0, 3.0)), "union", True, 2.0, "[0, 1] ∪ [2, 3]"),
        (((-INF, 0.0), (1.0, 2.0), (3.0, INF)), "union", False, INF, "(-inf, 0] ∪ [1, 2] ∪ [3, inf)"),
    ],
)
def test_shapes(intervals, kind, bounded, length, text):
    s = ConfidenceSet(intervals)
    assert (s.kind, s.is_bounded, s.length, str(s)) == (kind, bounded, length, text)
    assert s.complement().complement() == s
    assert s.union(s.complement()).kind == "line"
    assert pickle.loads(pickle.dumps(s)) == s


def test_membership_includes_the_ends():
    s = ConfidenceSet(((-INF, -0.3), (1.2, INF)))
    assert -0.3 in s
    assert s.contains(1.2)
    assert 0.0 not in s


def test_overlaps_merge_and_intersections_cut():
    s = ConfidenceSet(((2.0, 3.0), (0.0, 1.0), (0.5, 2.0)))
    assert s.intervals == ((0.0, 3.0),)
    assert s.intersection(ConfidenceSet(((-INF, 1.0), (2.5, INF)))).intervals == ((0.0, 1.0), (2.5, 3.0))
    assert s.shift(1.0).hull == (1.0, 4.0)


@pytest.mark.parametrize("bad", [(2.0, 1.0), (math.nan, 1.0)])
def test_bad_ends_are_refused(bad):
    with pytest.raises(InputError, match="intervals"):
        ConfidenceSet((bad,))
