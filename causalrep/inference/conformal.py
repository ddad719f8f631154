"""Weighted split conformal prediction: intervals that cover under a covariate shift, however bad the regression is.

Source: Tibshirani, Barber, Candès and Ramdas (2019), NeurIPS, for the weights; Lei and Candès (2021), JRSS B 83(5), for
their use with treatment effects.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.checks import as_alike, as_numbers, is_concrete
from causalrep.base.validation import check_range
from causalrep.errors import InputError
from causalrep.precision import keep_float64


@keep_float64
def conformal_quantile(
    scores: Float[Array, " n"],
    weights: Float[Array, " n"],
    test_weights: Float[Array, " m"],
    alpha: float | Float[Array, ""],
) -> Float[Array, " m"]:
    """The ``1 - alpha`` quantile of the calibration scores with a point mass at infinity for the test unit.

    Args:
        scores: Nonconformity scores of the calibration rows.
        weights: Likelihood ratios of these rows, test to calibration population; 0 leaves a row out. All ones give
            ordinary split conformal prediction.
        test_weights: Likelihood ratios at the test points.
        alpha: Miscoverage rate.

    Returns:
        The quantile for each test point (m,), infinite if the point's own weight exceeds ``alpha`` of the total.

    Raises:
        InputError: If scores are missing, weights negative or missing, shapes differ, or ``alpha`` is not in (0, 1).

    >>> import jax.numpy as jnp
    >>> scores, ones = jnp.arange(1.0, 10.0), jnp.ones(9)
    >>> conformal_quantile(scores, ones, jnp.ones(1), 0.1).tolist()
    [9.0]
    """
    scores, weights = as_alike(infinite=True, scores=scores, weights=weights)
    test_weights = as_numbers("test_weights", test_weights)
    if scores.ndim != 1:
        raise InputError("scores", found=f"shape {scores.shape}", expected="one score per calibration row")
    for name, values in {"weights": weights, "test_weights": test_weights}.items():
        if is_concrete(values) and not ((known := np.asarray(values)) >= 0).all() & np.isfinite(known).all():
            raise InputError(name, found="negative or infinite values", expected="finite weights of at least 0")
    if is_concrete(alpha) and np.ndim(alpha) == 0:
        check_range("alpha", float(alpha), above=0, below=1)
    order = jnp.argsort(scores)
    cumulative = jnp.cumsum(weights[order])
    total = cumulative[-1] + test_weights
    # Rounding must not push a level that is met exactly to the next score.
    level = (1.0 - alpha) * total * (1.0 - 8 * jnp.finfo(scores.dtype).eps)
    rank = jnp.searchsorted(cumulative, level)
    n = scores.shape[0]
    return jnp.where(rank < n, scores[order][jnp.minimum(rank, n - 1)], jnp.inf)
