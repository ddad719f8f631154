"""Every public estimator is in the contract."""

from tests.contract.catalogue import estimators
from tests.contract.networks import ALL, ELSEWHERE


def test_every_estimator_has_a_recipe():
    missing = sorted(set(estimators()) - set(ALL) - set(ELSEWHERE))
    unknown = sorted(set(ALL) - set(estimators()))
    assert not unknown, f"recipes of {unknown}, which are not exported"
    assert not missing, f"{missing} are exported and have no recipe in tests/contract: the contract does not cover them"
