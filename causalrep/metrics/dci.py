"""DCI: disentanglement, completeness and informativeness of codes (Eastwood and Williams 2018)."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.linalg import lasso
from causalrep.metrics.correlation import halves


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


def dci(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], penalty: float = 0.01) -> DCI:
    """DCI with the lasso: the importance of a code is the size of its coefficient, all columns standardized.

    The regression is linear, so codes count as uninformative about factors that are nonlinear in them. For another
    regressor, such as boosted trees, pass its importances to :func:`dci_from_importance`.

    Args:
        z: True factors.
        z_hat: Codes.
        penalty: Penalty of the lasso, in units of a correlation.
    """
    (z_fit, codes_fit), (z_score, codes_score) = halves(z, z_hat)
    x, y = _standardize(codes_fit, codes_fit), _standardize(z_fit, z_fit)
    coefficients = lasso(x, y, penalty)
    predicted, truth = _standardize(codes_score, codes_fit) @ coefficients, _standardize(z_score, z_fit)
    spread = jnp.sum((truth - jnp.mean(truth, axis=0)) ** 2, axis=0)
    scores = 1.0 - jnp.sum((truth - predicted) ** 2, axis=0) / jnp.where(spread > 0, spread, 1.0)
    disentanglement, completeness = dci_from_importance(jnp.abs(coefficients))
    return DCI(disentanglement, completeness, jnp.mean(scores))


def dci_from_importance(importance: Float[Array, "k d"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Disentanglement and completeness of a table of importances.

    Args:
        importance: Non-negative importance of code i (row) for factor j (column).

    Returns:
        ``sum_i rho_i (1 - H(row i) / log d)`` and ``sum_j rho_j (1 - H(column j) / log k)``, where H is the entropy of
        the normalized row or column and rho its share of all importance.
    """
    return _concentration(importance), _concentration(importance.T)


def _concentration(table: Float[Array, "a b"]) -> Float[Array, ""]:
    rows = jnp.sum(table, axis=1)
    shares = table / jnp.where(rows > 0, rows, 1.0)[:, None]
    entropy = -jnp.sum(jnp.where(shares > 0, shares * jnp.log(jnp.where(shares > 0, shares, 1.0)), 0.0), axis=1)
    total = jnp.sum(rows)
    weights = rows / jnp.where(total > 0, total, 1.0)
    return jnp.sum(weights * (1.0 - entropy / jnp.log(table.shape[1])))


def _standardize(x: Float[Array, "n d"], reference: Float[Array, "m d"]) -> Float[Array, "n d"]:
    scale = jnp.std(reference, axis=0)
    return (x - jnp.mean(reference, axis=0)) / jnp.where(scale > 0, scale, 1.0)
