"""The methods of the treatment-effect tables: one pure function each, from rows to an effect for every row.

To add a method, add an entry to :data:`METHODS`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.effects import KernelRidge, LeastSquares, Logistic, NearestNeighbours, Ridge, meta
from causalrep.effects.networks import CFRLearner, DragonLearner
from causalrep.effects.scores import aipw_ate, cross_fit_nuisances

FOLDS = 5
Method = Callable[[meta.EffectRows], Float[Array, " n"]]


def traced(*arrays: Any) -> tuple[Array, ...]:
    """Data as values of the compiled program: as its constants, XLA would compute with them while compiling."""
    return jax.lax.optimization_barrier(tuple(jnp.asarray(array) for array in arrays))


def zero(data: meta.EffectRows) -> Float[Array, " n"]:
    """No effect on anyone."""
    return jnp.zeros_like(data.y)


def difference_in_means(data: meta.EffectRows) -> Float[Array, " n"]:
    """The same effect for all: mean of the treated minus mean of the controls."""
    treated, controls = data.w * data.t, data.w * (1 - data.t)
    gap = treated @ data.y / jnp.sum(treated) - controls @ data.y / jnp.sum(controls)
    return jnp.full_like(data.y, gap)


def aipw(data: meta.EffectRows) -> Float[Array, " n"]:
    """The same effect for all: the cross-fitted doubly robust average."""
    nuisances = cross_fit_nuisances(Ridge(), Logistic(), data.xw, data.t, data.y, data.w, data.folds, FOLDS)
    return jnp.full_like(data.y, aipw_ate(data.t, data.y, data.w, nuisances).value)


def learned(learner: meta.MetaLearner) -> Method:
    """A meta-learner's estimates for all rows, fitted to those with weight."""
    return lambda data: learner.predict(learner.fit(data), data.x)


_kernel = KernelRidge()
METHODS: Mapping[str, Method] = {
    "Zero effect": zero,
    "Difference in means": difference_in_means,
    "AIPW": aipw,
    "OLS-1": learned(meta.S(LeastSquares())),
    "OLS-2": learned(meta.T(LeastSquares())),
    "Ridge T": learned(meta.T()),
    "Ridge X": learned(meta.X()),
    "Ridge R": learned(meta.R()),
    "Ridge DR": learned(meta.DR()),
    "5-NN T": learned(meta.T(NearestNeighbours(5, standardize=False))),
    "Kernel S": learned(meta.S(_kernel)),
    "Kernel T": learned(meta.T(_kernel)),
    "Kernel X": learned(meta.X(_kernel, _kernel)),
    "Kernel R": learned(meta.R(_kernel, _kernel)),
    # The scores are heavy-tailed: a kernel fitted to them, rather than a line, follows single units.
    "Kernel DR": learned(meta.DR(_kernel)),
    "Logistic S": learned(meta.S(Logistic(penalty=0.0))),
    "Logistic T": learned(meta.T(Logistic(penalty=0.0))),
    # Rows without weight take places in the mini-batches; cate/ihdp_neural trains on gathered rows instead.
    "TARNet": learned(CFRLearner()),
    "CFR MMD": learned(CFRLearner(alpha=0.3, discrepancy="linear")),
    "DragonNet + t-reg": learned(DragonLearner()),
}
LINEAR = ("Zero effect", "Difference in means", "AIPW", "OLS-1", "OLS-2", "Ridge T", "Ridge X", "Ridge R", "Ridge DR")
KERNEL = ("5-NN T", "Kernel S", "Kernel T", "Kernel X", "Kernel R", "Kernel DR")
LOGISTIC = ("Logistic S", "Logistic T")
NEURAL = ("TARNet", "CFR MMD", "DragonNet + t-reg")
