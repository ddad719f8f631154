"""Scans for association between phenotypes and the columns of a feature matrix."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.base.checks import as_rows
from causalrep.metrics.correlation import correlations
from causalrep.precision import keep_float64


class AssociationScan(NamedTuple):
    """The strongest correlation of each field with any feature, and its significance.

    Attributes:
        correlation: Largest absolute Pearson correlation with a feature (m,).
        p_value: Its two-sided p-value times the number of features, at most 1 (m,).
    """

    correlation: Float[Array, " m"]
    p_value: Float[Array, " m"]


@keep_float64
def association_scan(features: Float[Array, "n k"], fields: Float[Array, "n m"]) -> AssociationScan:
    """Pearson correlations of every field with every feature, Bonferroni-corrected within a field.

    A feature or field that does not vary has correlation 0. The p-values are those of Student's t with n - 2 degrees
    of freedom.

    Args:
        features: Features, for example latents or edges.
        fields: Fields, for example phenotypes.

    Raises:
        InputError: If there are fewer than three rows, numbers of rows differ or values are not finite.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([0.0, 1.0, 2.0, 3.0, 4.0])
    >>> association_scan(x[:, None], jnp.column_stack([2 * x + 1, jnp.ones(5)])).p_value.round(3).tolist()
    [0.0, 1.0]
    """
    features, fields = as_rows(2, 2, least=3, features=features, fields=fields)
    r = jnp.max(correlations(fields, features), axis=1)
    # P(|T| > t) = I(df / 2, 1/2, df / (df + t^2)), and df / (df + t^2) = 1 - r^2.
    p = jax.scipy.special.betainc((len(features) - 2) / 2.0, 0.5, jnp.clip(1.0 - r**2, 0.0, 1.0))
    return AssociationScan(r, jnp.minimum(p * features.shape[1], 1.0))
