"""DCI: disentanglement, completeness and informativeness of codes (Eastwood and Williams 2018)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.checks import as_numbers, as_rows, is_concrete
from causalrep.base.validation import check_range
from causalrep.errors import InputError
from causalrep.linalg import lasso, standardizer
from causalrep.metrics.correlation import FEWEST_ROWS, halves
from causalrep.metrics.predictability import held_out_r2
from causalrep.precision import full_products, keep_float64


class DCI(NamedTuple):
    """The three scores; 1 is best for each.

    Attributes:
        disentanglement: Whether each code matters to one factor only.
        completeness: Whether each factor needs one code only.
        informativeness: Held-out R^2 of the factors given all codes, mean over factors.
    """

    disentanglement: Float[Array, ""]
    completeness: Float[Array, ""]
    informativeness: Float[Array, ""]


@keep_float64
@full_products
def dci(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], penalty: float = 0.01) -> DCI:
    """DCI with the lasso: the importance of a code is the size of its coefficient, all columns standardized.

    The regression is linear, so codes count as uninformative about factors that are nonlinear in them. For another
    regressor, such as boosted trees, pass its importances to :func:`dci_from_importance`.

    Args:
        z: True factors, at least two, and at least four rows. One that is constant up to rounding has R^2 0.
        z_hat: Codes, at least two.
        penalty: Penalty of the lasso, in units of a correlation, at least 0.

    Raises:
        InputError: If there are fewer than two factors or codes, numbers of rows differ or values are not finite.

    >>> import jax
    >>> z = jax.random.normal(jax.random.key(0), (1000, 2))
    >>> [round(float(score), 1) for score in dci(z, z * jnp.array([1e3, 1e-3]))]
    [1.0, 1.0, 1.0]
    """
    z, z_hat = as_rows(2, 2, least=FEWEST_ROWS, z=z, z_hat=z_hat)
    check_several(z=z, z_hat=z_hat)
    if is_concrete(penalty):
        check_range("penalty", float(penalty), at_least=0)
    (z_fit, codes_fit), (z_score, codes_score) = halves(z, z_hat)
    of_z, of_codes = standardizer(z_fit), standardizer(codes_fit)
    coefficients = lasso(of_codes(codes_fit), of_z(z_fit), penalty)
    scores = held_out_r2(of_z(z_score), of_codes(codes_score) @ coefficients)
    importance = jnp.abs(coefficients)
    return DCI(_concentration(importance), _concentration(importance.T), jnp.mean(scores))


@keep_float64
def dci_from_importance(importance: Float[Array, "k d"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Disentanglement and completeness of a table of importances.

    Args:
        importance: Non-negative importance of code i (row) for factor j (column), at least two of each.

    Returns:
        ``sum_i rho_i (1 - H(row i) / log d)`` and ``sum_j rho_j (1 - H(column j) / log k)``, where H is the entropy of
        the normalized row or column and rho its share of all importance.

    Raises:
        InputError: If there is one code or one factor, or an importance is negative or not finite.

    >>> [float(score) for score in dci_from_importance(jnp.eye(3))]
    [1.0, 1.0]
    """
    importance = as_numbers("importance", importance, ndim=2)
    if min(importance.shape) < 2:
        raise InputError("importance", found=f"shape {importance.shape}", expected="at least two codes and two factors")
    if is_concrete(importance) and (np.asarray(importance) < 0).any():
        raise InputError("importance", found="negative entries", expected="at least 0")
    return _concentration(importance), _concentration(importance.T)


def check_several(**blocks: Float[Array, "n _"]) -> None:
    """Refuse single columns: with one there is nothing that a code could be confused with."""
    for name, block in blocks.items():
        if block.shape[1] < 2:
            raise InputError(name, found="one column", expected="at least two: a single one has no rival")


def _concentration(table: Float[Array, "a b"]) -> Float[Array, ""]:
    rows = jnp.sum(table, axis=1)
    shares = table / jnp.where(rows > 0, rows, 1.0)[:, None]
    entropy = -jnp.sum(jnp.where(shares > 0, shares * jnp.log(jnp.where(shares > 0, shares, 1.0)), 0.0), axis=1)
    total = jnp.sum(rows)
    weights = rows / jnp.where(total > 0, total, 1.0)
    return jnp.sum(weights * (1.0 - entropy / jnp.log(table.shape[1])))
