"""The contract catches what it is for: permanent mutants, one for each part, each an estimator with one fault."""

import dataclasses

import numpy as np
import pytest

from causalrep.effects import IPW, Matching, TLearner
from causalrep.errors import CausalrepError
from causalrep.iv import TwoStageLeastSquares
from causalrep.latent import BetaVAE
from tests.contract import test_columns, test_kinds, test_life, test_networks, test_rows, test_units
from tests.contract.catalogue import draw
from tests.contract.networks import ALL, NETWORKS
from tests.contract.recipes import CLOSED
from tests.contract.support import framed, named, quiet


class RawRank(TwoStageLeastSquares):
    """Leaves out instruments whose spread is nothing beside the largest column's: the decision depends on units."""

    def fit(self, Y, T, *, X=None, Z=None, clusters=None):
        spread = np.std(Z, axis=0)
        return super().fit(
            Y, T, X=X, Z=np.asarray(Z)[:, spread > 1e-6 * max(spread.max(), np.std(X))], clusters=clusters
        )


class FirstComes(Matching):
    """Breaks ties, here near ones, by the order of the rows."""

    def fit(self, Y, T, *, X=None, W=None):
        x = np.asarray(X, float)
        return super().fit(Y, T, X=x + 0.2 * np.arange(len(x))[:, None] / len(x), W=W)


class ByPosition(TLearner):
    """Takes columns after ``fit`` as they come."""

    def effect(self, X=None):
        return super().effect(None if X is None else np.asarray(X))


class NoIndex(IPW):
    """Pairs rows by position, whatever their indexes say."""

    def fit(self, Y, T, *, X=None, W=None):
        return super().fit(np.asarray(Y), np.asarray(T), X=np.asarray(X), W=W)


class Coerces(IPW):
    """Reads whatever NumPy can make a number of."""

    def fit(self, Y, T, *, X=None, W=None):
        return super().fit(np.asarray(Y, float), np.asarray(T, float), X=np.asarray(X, float), W=W)


class Keeps(TLearner):
    """Keeps the caller's array and looks at it again."""

    def fit(self, Y, T, *, X=None, W=None, folds=None):
        self.kept_ = X
        return super().fit(Y, T, X=X, W=W, folds=folds)

    def ate(self):
        return float(np.mean(super().effect(np.asarray(self.kept_))))


class Accumulates(IPW):
    """A second ``fit`` is not a first one."""

    def fit(self, Y, T, *, X=None, W=None):
        super().fit(Y, T, X=X, W=W)
        self.count_ = getattr(self, "count_", 0) + 1 if "count_" in vars(self) else 1
        return self

    def ate(self):
        return super().ate() * self.count_


class Unchecked(IPW):
    """Takes any hyperparameter."""

    def _check_domains(self):
        return None


class RawScale(BetaVAE):
    """A network that is fed columns in the user's units."""

    def _train(self, x, codes, objective, scaling=None):
        super()._train(x, codes, objective, np.eye(x.shape[1]))


def under(monkeypatch, name, mutant):
    """Put a mutant in the place of an estimator."""
    make = ALL[name].make
    recipe = dataclasses.replace(ALL[name], make=lambda: mutant(**make().get_params(deep=False)))
    for recipes in (CLOSED, NETWORKS, ALL):
        if name in recipes:
            monkeypatch.setitem(recipes, name, recipe)
    for module in (test_units, test_rows, test_kinds, test_life, test_networks):
        monkeypatch.setattr(module, "baseline", lambda name, recipe, seed=0: _fresh(recipe, seed))


def _fresh(recipe, seed):

    data = draw(recipe, seed)
    with quiet():
        model = recipe.fit(data)
        return model, recipe.answers(model, data)


def units(name):
    return test_units.test_units_change_what_algebra_says.hypothesis.inner_test(name, test_units.DOLLARS, [0.0] * 8)


def columns(name):
    fits = {}

    def fit(name):

        recipe, data = ALL[name], draw(ALL[name])
        return fits.setdefault(
            name, recipe.fit({a: framed(a, v) if a in recipe.numeric else v for a, v in data.items()})
        )

    test_columns.test_columns_are_matched_by_name(name, "X", fit)


def masked(name):
    test_kinds.test_what_is_no_number_is_refused_by_name(name, "X")


def refuses_wrong_hyperparameters(name):
    for value in Unchecked._domains["clip"].wrong():
        with named("clip"):
            ALL[name].make().set_params(clip=value)._check_domains()


MUTANTS = {
    "units, closed form": ("TwoStageLeastSquares", RawRank, units),
    "units, network": ("BetaVAE", RawScale, test_networks.test_units_and_a_second_fit),
    "rows": ("Matching", FirstComes, lambda name: test_rows.test_the_order_of_rows_does_not_matter(name, "sorted")),
    "columns": ("TLearner", ByPosition, columns),
    "alignment": ("IPW", NoIndex, test_rows.test_indexes_must_agree),
    "kinds": ("IPW", Coerces, masked),
    "ownership": (
        "TLearner",
        Keeps,
        lambda name: test_life.test_later_changes_of_the_data_change_nothing(name, "arrays"),
    ),
    "life": ("IPW", Accumulates, test_life.test_clones_and_second_fits),
    "domains": ("IPW", Unchecked, refuses_wrong_hyperparameters),
}


@pytest.mark.parametrize("part", MUTANTS)
def test_a_mutant_is_caught(part, monkeypatch):
    name, mutant, check = MUTANTS[part]
    under(monkeypatch, name, mutant)
    with pytest.raises((AssertionError, pytest.fail.Exception, CausalrepError)):
        check(name)


@pytest.mark.parametrize("part", MUTANTS)
def test_the_original_is_not(part, monkeypatch):
    name, mutant, check = MUTANTS[part]
    under(monkeypatch, name, mutant.__bases__[0])
    check(name)
