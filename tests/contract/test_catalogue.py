"""Every public estimator is in the contract."""

from causalrep.base.estimator import Estimator
from tests.contract.catalogue import estimators
from tests.contract.networks import ALL, ELSEWHERE


def test_every_estimator_has_a_recipe():
    # Regressions, fit(x, y, w), are no estimators: they take arrays that others have checked.
    public = {one.__name__ for one in estimators() if issubclass(one, Estimator)}
    missing, unknown = sorted(public - set(ALL) - set(ELSEWHERE)), sorted(set(ALL) - public)
    assert not unknown, f"recipes of {unknown}, which are not exported"
    assert not missing, f"{missing} are exported and have no recipe in tests/contract: the contract does not cover them"
