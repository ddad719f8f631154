"""The wild cluster bootstrap as a method of the estimators for which it is valid: OLS and 2SLS."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from causalrep.base.validation import check_choice, check_count, check_range, check_seed
from causalrep.errors import InputError
from causalrep.inference.wild_bootstrap import wild_cluster_bootstrap, wild_cluster_interval
from causalrep.iv.design import Design
from causalrep.keys import root

_STATIC = ("n_clusters", "index", "draws", "weights")
_bootstrap = jax.jit(wild_cluster_bootstrap, static_argnames=_STATIC)
_interval = jax.jit(wild_cluster_interval, static_argnames=_STATIC)


class WildBootstrapResult(NamedTuple):
    """Test and interval for one treatment's coefficient.

    Attributes:
        treatment: Name of the treatment.
        null: The value tested.
        statistic: The cluster-robust t statistic.
        p_value: Bootstrap p-value.
        lower: Lower end of the interval; may be -inf with weak instruments.
        upper: Upper end; may be inf.
    """

    treatment: str
    null: float
    statistic: float
    p_value: float
    lower: float
    upper: float


class WildBootstrapInference:
    """The method :meth:`wild_bootstrap` of fitted linear estimators; it reads their fitted attributes."""

    # The estimator that these methods belong to has these.
    design_: Design
    covariance: str
    coef_: Any
    stderr_: Any
    _check_fitted: Any
    _computing: Any

    def wild_bootstrap(
        self,
        treatment: str | int = 0,
        *,
        null: float = 0.0,
        alpha: float = 0.05,
        draws: int = 999,
        weights: str = "rademacher",
        seed: int = 0,
    ) -> WildBootstrapResult:
        """Wild cluster bootstrap test and interval, for few clusters (below about 30).

        Residuals impose the null (Cameron, Gelbach and Miller 2008); with instruments they are the restricted
        efficient ones of Davidson and MacKinnon (2010). See :mod:`causalrep.inference.wild_bootstrap`.

        Args:
            treatment: Name or position of the treatment.
            null: The value to test.
            alpha: 1 - level of the interval.
            draws: Bootstrap samples.
            weights: ``"rademacher"``, or ``"webb"`` for fewer than about ten clusters.
            seed: Random seed of the draws.

        Raises:
            InputError: If the estimator was not fitted with ``covariance="cluster"``, or an argument is
                wrong.
        """
        self._check_fitted()
        design = self.design_
        if design.clusters is None:
            raise InputError("covariance", found=repr(self.covariance), expected="'cluster', with clusters in fit")
        index = design.treatment_index(treatment)
        check_count("draws", draws)
        check_seed(seed)
        check_choice("weights", weights, ("rademacher", "webb"))
        alpha = check_range("alpha", alpha, above=0, below=1)
        null = check_range("null", null)
        with self._computing():
            *data, codes = jax.tree.map(jnp.asarray, design.system)
            key = root(seed)
            common = {"n_clusters": design.n_clusters, "index": index, "draws": int(draws), "weights": weights}
            test = _bootstrap(key, *data, codes, null=null, **common)
            if not jnp.isfinite(test.statistic):
                raise InputError(
                    "Y",
                    found=f"an outcome without variation under the null {null:g}",
                    expected="an outcome that the null, the controls and the constant do not determine",
                )
            scale = {"estimate": self.coef_[index], "stderr": self.stderr_[index]}
            lower, upper = _interval(key, *data, codes, alpha=alpha, **scale, **common)
            name = design.treatments[index]
            return WildBootstrapResult(
                name, null, float(test.statistic), float(test.p_value), float(lower), float(upper)
            )
