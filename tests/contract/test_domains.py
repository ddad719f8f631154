"""Part 8 of the contract: each hyperparameter has a domain, checked by name before the data are looked at."""

from typing import Any

import numpy as np
import pytest

from causalrep.base.estimator import Estimator
from causalrep.errors import InputError
from tests.contract.catalogue import estimators, example, parameters

ESTIMATORS = estimators()
FACADES = [one for one in ESTIMATORS if issubclass(one, Estimator)]
EVERY = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: one.__name__)
EVERY_FACADE = pytest.mark.parametrize("estimator", FACADES, ids=lambda one: one.__name__)


class Untouched:
    """Data at which nobody may look."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the data were looked at: {name}")

    __len__ = __iter__ = __array__ = __getitem__ = __eq__ = property(lambda self: self.data)
    __hash__ = None


def check(estimator: type, /, **changes: Any) -> Any:
    """An instance whose domains were checked: by the constructor of a regression, else as the first step of ``fit``."""
    model = example(estimator, **changes)
    if isinstance(model, Estimator):
        model._check_domains()
    return model


def scalars(value: Any) -> Any:
    """The value with NumPy's scalars for Python's."""
    kinds = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
    if type(value) is tuple:
        return tuple(map(scalars, value))
    return kinds[type(value)](value) if type(value) in kinds else value


def python_only(value: Any) -> bool:
    return all(map(python_only, value)) if isinstance(value, tuple) else not isinstance(value, np.generic)


def test_rooms_export_estimators():
    assert len(ESTIMATORS) > 50


@EVERY
def test_each_argument_has_a_domain(estimator):
    assert set(estimator._domains) == set(parameters(estimator.__init__))


@EVERY
def test_defaults_are_in_their_domains(estimator):
    check(estimator)


@EVERY
def test_wrong_values_are_refused_by_name(estimator):
    for argument, domain in estimator._domains.items():
        wrong = domain.wrong()
        assert wrong
        for value in wrong:
            with pytest.raises(InputError) as caught:
                check(estimator, **{argument: value})
            # schedule.steps, penalty_range[0] and the like say where in the argument.
            assert caught.value.argument.split(".")[0].split("[")[0] == argument, f"{argument}={value!r}"


@EVERY
def test_scalars_of_numpy_are_numbers(estimator):
    defaults = {name: getattr(example(estimator), name) for name in parameters(estimator.__init__)}
    model = check(estimator, **{name: scalars(value) for name, value in defaults.items()})
    for name, value in defaults.items():
        assert getattr(model, name) == value
        assert python_only(getattr(model, name)), name


@EVERY_FACADE
def test_fit_checks_before_it_looks_at_the_data(estimator):
    arguments = [name for name, p in parameters(estimator.fit).items() if p.default is p.empty]
    for argument, domain in estimator._domains.items():
        model = example(estimator, **{argument: domain.wrong()[0]})
        with pytest.raises(InputError) as caught:
            model.fit(**{name: Untouched() for name in arguments})
        assert caught.value.argument.startswith(argument)
