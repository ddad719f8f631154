"""Confidence sets that stay valid however weak the instruments are, by inverting the tests of ``weak_tests``."""

from typing import Any

import jax
import numpy as np
from scipy import stats

from causalrep.errors import InputError
from causalrep.iv.confidence_set import ConfidenceSet
from causalrep.iv.door import IVData, check_iv_data
from causalrep.iv.inversion import as_confidence_set, level_region
from causalrep.iv.reduced_form import COVARIANCES, moments
from causalrep.precision import in_float64
from causalrep.validation import check_choice, check_range

_moments = jax.jit(moments)
_level_region = jax.jit(level_region, static_argnames="parameter")


@in_float64
def anderson_rubin_set(
    y: Any,
    x: Any,
    z: Any,
    c: Any = None,
    *,
    alpha: float = 0.05,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    distribution: str = "F",
    parameter: int | str = 0,
) -> ConfidenceSet:
    """Values of a coefficient that the Anderson-Rubin test accepts."""
    data, index = _enter(y, x, z, c, alpha, covariance, clusters, parameter)
    check_choice("distribution", distribution, ("F", "chi2"))
    labels = {"level": 1 - alpha, "method": "Anderson-Rubin", "parameter": data.names[index]}
    dof = _dof(data)
    df = data.z.shape[1] - data.x.shape[1] + 1
    critical = stats.chi2.isf(alpha, df) if distribution == "chi2" else df * stats.f.isf(alpha, df, dof)
    m = _moments(data.y, data.x, data.z, data.c)
    return as_confidence_set(_level_region(m.projected, m.residual / dof, critical, parameter=index), **labels)


def _enter(
    y: Any, x: Any, z: Any, c: Any, alpha: float, covariance: str, clusters: Any, parameter: int | str
) -> tuple[IVData, int]:
    check_range("alpha", alpha, above=0, below=1)
    check_choice("covariance", covariance, COVARIANCES)
    if (covariance == "cluster") != (clusters is not None):
        raise InputError(
            "clusters",
            found="none" if clusters is None else f"labels with covariance={covariance!r}",
            expected="labels exactly when covariance='cluster'",
        )
    data = check_iv_data(y, x, z, c, clusters)
    p = data.x.shape[1]
    if isinstance(parameter, str):
        if parameter not in data.names:
            raise InputError("parameter", found=repr(parameter), expected=f"one of {data.names}")
        index = data.names.index(parameter)
    elif isinstance(parameter, bool) or not isinstance(parameter, int | np.integer) or not 0 <= parameter < p:
        raise InputError("parameter", found=repr(parameter), expected=f"a name or a position below {p}")
    else:
        index = int(parameter)
    if covariance != "homoskedastic" and p > 1:
        raise InputError(
            "covariance",
            found=f"{covariance!r} with {p} endogenous regressors",
            expected="'homoskedastic', or one endogenous regressor",
        )
    return data, index


def _dof(data: IVData) -> int:
    return len(data.y) - data.z.shape[1] - (0 if data.c is None else data.c.shape[1])
