"""Are the instruments strong? Tests of the first stage, the regression of x on (z, c)."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.iv.distributions import TestResult, f_result
from causalrep.iv.reduced_form import reduced_form
from causalrep.linalg import spd_solve


def first_stage_f(
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: str = "homoskedastic",
    clusters: Int[Array, " n"] | None = None,
    parameter: int = 0,
) -> TestResult:
    """F statistic that the excluded instruments have no part in the first stage of one regressor.

    Args:
        x, z, c: Endogenous regressors (n, p), excluded instruments (n, k), controls with the constant (n, q).
        covariance: ``"homoskedastic"`` (classical F), ``"HC0"``, ``"HC1"`` or ``"cluster"``: Wald statistic over k.
        clusters: Integer codes in 0..n-1 for ``"cluster"``.
        parameter: Which column of x.
    """
    k = z.shape[1]
    regressor = x[:, parameter]
    form = reduced_form(regressor, x[:, :0], z, c, covariance=covariance, clusters=clusters)
    pi = form.coefficients[:, 0]
    statistic = pi @ spd_solve(form.covariance[0, :, 0, :], pi) / k
    return f_result(jnp.asarray(statistic), k, form.df_den)
