"""Disentanglement scores from mutual information or from single codes: MIG, modularity, SAP.

Sources: Chen et al. (2018) for MIG, Ridgeway and Mozer (2018) for modularity, Kumar et al. (2018) for SAP.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.base.checks import as_codes, as_numbers, as_rows
from causalrep.base.validation import check_count
from causalrep.linalg import standardizer, varies
from causalrep.metrics.correlation import FEWEST_ROWS, correlations, halves
from causalrep.metrics.dci import check_several
from causalrep.precision import full_products, keep_float64

SVM_C = 0.01
NEWTON_STEPS = 30


@keep_float64
@full_products
def mig(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], bins: int = 20) -> Float[Array, ""]:
    """Mutual information gap (MIG): the lead of a factor's most informative code over the second, over its entropy.

    Args:
        factors: True factors. Up to ``bins`` equally spaced levels stay distinct; continuous factors are binned.
        z_hat: Codes, at least two, cut into bins of equal width.
        bins: Number of bins.

    Returns:
        The mean over factors, in [0, 1]; numerator and denominator are in nats. A constant factor counts 0.

    Raises:
        InputError: If there is one code, numbers of rows differ, values are not finite or ``bins`` is below two.

    >>> factors = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> round(float(mig(factors, 1e-3 * factors)), 4)
    1.0
    """
    factors, z_hat = _checked(factors, z_hat, bins)
    check_several(z_hat=z_hat)
    top = jnp.sort(_mutual_information(factors, z_hat, bins), axis=1)
    own = _entropy(factors, bins)
    return jnp.mean((top[:, -1] - top[:, -2]) / jnp.where(own > 0, own, 1.0))


@keep_float64
@full_products
def modularity(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], bins: int = 20) -> Float[Array, ""]:
    """Modularity: whether each code is informative about one factor only.

    ``1 - sum_{j not best} I_j^2 / (I_best^2 (d - 1))``, averaged over the codes that are informative about any factor.

    Args:
        factors: True factors, at least two.
        z_hat: Codes.
        bins: Number of bins.

    Raises:
        InputError: If there is one factor, numbers of rows differ, values are not finite or ``bins`` is below two.

    >>> factors = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> round(float(modularity(factors, 5 * factors)), 4)
    1.0
    """
    factors, z_hat = _checked(factors, z_hat, bins)
    check_several(factors=factors)
    squared = _mutual_information(factors, z_hat, bins) ** 2
    best = jnp.max(squared, axis=0)
    # A code that is independent of every factor has information of the size of rounding.
    informed = best > (100 * float(jnp.finfo(best.dtype).eps)) ** 2
    score = 1.0 - (jnp.sum(squared, axis=0) - best) / (jnp.where(informed, best, 1.0) * (len(squared) - 1))
    return jnp.sum(jnp.where(informed, score, 0.0)) / jnp.maximum(jnp.sum(informed), 1)


@keep_float64
@full_products
def sap(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], levels: int | None = None) -> Float[Array, ""]:
    """Separated attribute predictability (SAP): the lead of a factor's best single code over the second best.

    Args:
        factors: True factors.
        z_hat: Codes, at least two.
        levels: ``None`` for continuous factors, whose predictability is the squared correlation. For factors coded 0 to
            ``levels - 1`` it is the held-out accuracy of a balanced linear support vector machine on one standardized
            code (C = 0.01, one class against the rest), fitted on even rows and scored on odd ones.

    Returns:
        The mean over factors of the best minus the second-best predictability.

    Raises:
        InputError: If there is one code, numbers of rows differ, values are not finite, or codes of factors are not
            whole numbers from 0 to ``levels - 1``.

    >>> factors = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> round(float(sap(factors, 1e-3 * factors)), 4)
    1.0
    """
    numbers, z_hat = as_rows(2, 2, least=FEWEST_ROWS, factors=factors, z_hat=z_hat)
    check_several(z_hat=z_hat)
    if levels is None:
        scores = correlations(numbers, z_hat) ** 2
    else:
        check_count("levels", levels, at_least=2)
        scores = _svm_accuracy(as_codes("factors", numbers, levels=levels), z_hat, int(levels))
    top = jnp.sort(scores, axis=1)
    return jnp.mean(top[:, -1] - top[:, -2])


@keep_float64
@full_products
def mutual_information(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], bins: int = 20) -> Float[Array, "d k"]:
    """Mutual information of every factor with every code, both cut into bins of equal width, in nats.

    Raises:
        InputError: If numbers of rows differ, values are not finite or ``bins`` is below two.

    >>> x = jnp.array([[0.0], [0.0], [1.0], [1.0]])
    >>> round(float(mutual_information(x, x)[0, 0]), 4)  # log 2
    0.6931
    """
    factors, z_hat = _checked(factors, z_hat, bins)
    return _mutual_information(factors, z_hat, bins)


@keep_float64
@full_products
def entropy(factors: Float[Array, "n d"], bins: int = 20) -> Float[Array, " d"]:
    """Entropy of every column, cut into bins of equal width, in nats.

    >>> round(float(entropy(jnp.array([[0.0], [0.0], [1.0], [1.0]]))[0]), 4)
    0.6931
    """
    check_count("bins", bins, at_least=2)
    return _entropy(as_numbers("factors", factors, ndim=2), bins)


def _checked(factors: Any, z_hat: Any, bins: int) -> list[Array]:
    check_count("bins", bins, at_least=2)
    return as_rows(2, 2, least=2, factors=factors, z_hat=z_hat)


@partial(jax.jit, static_argnames="bins")
def _mutual_information(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], bins: int) -> Float[Array, "d k"]:
    rows, columns = (jax.nn.one_hot(binned(block, bins), bins, dtype=block.dtype) for block in (factors, z_hat))
    joint = jnp.einsum("ndi,nkj->dkij", rows, columns) / len(factors)
    independent = joint.sum(axis=3, keepdims=True) * joint.sum(axis=2, keepdims=True)
    present = joint > 0
    ratio = jnp.where(present, joint, 1.0) / jnp.where(present, independent, 1.0)
    return jnp.sum(joint * jnp.log(ratio), axis=(2, 3))


def _entropy(factors: Float[Array, "n d"], bins: int) -> Float[Array, " d"]:
    return jnp.diagonal(_mutual_information(factors, factors, bins))


def binned(x: Float[Array, "n d"], bins: int) -> Int[Array, "n d"]:
    """Numbers 0 to ``bins - 1`` of the bins of equal width between each column's least and largest value."""
    low, high = jnp.min(x, axis=0), jnp.max(x, axis=0)
    varying = varies(x)
    width = jnp.where(varying, high - low, 1.0) / bins
    # A level on a boundary belongs to the bin above it, whatever the rounding of the division.
    slack = 8 * bins * jnp.finfo(x.dtype).eps
    number = jnp.clip(jnp.floor((x - low) / width + slack), 0, bins - 1).astype(jnp.int32)
    return jnp.where(varying, number, 0)


def _svm_accuracy(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], levels: int) -> Float[Array, "d k"]:
    (fit, codes), (truth, new) = halves(factors, z_hat)
    # The penalty C is for a code of standard deviation 1: in raw units a small code would not be used at all.
    scaled = standardizer(codes)
    codes, new = scaled(codes), scaled(new)

    def accuracy(label: Array, true_label: Array, code: Array, new_code: Array) -> Array:
        members = jax.nn.one_hot(label, levels, axis=0, dtype=code.dtype)  # (levels, n)
        count = jnp.sum(members, axis=1, keepdims=True)
        # As in liblinear: a row of the class weighs n / (levels count), a row of the rest weighs 1.
        balance = len(label) / (levels * jnp.where(count > 0, count, 1.0))
        weights = SVM_C * jnp.where(members > 0, balance, 1.0)
        slope, intercept = jax.vmap(_svm, in_axes=(None, 0, 0), out_axes=1)(code, 2.0 * members - 1.0, weights)
        decision = slope * new_code[:, None] + intercept
        return jnp.mean(jnp.argmax(decision, axis=1) == true_label)

    of_codes = jax.vmap(accuracy, in_axes=(None, None, 1, 1))
    return jax.vmap(of_codes, in_axes=(1, 1, None, None))(fit, truth, codes, new)


def _svm(x: Float[Array, " n"], sign: Float[Array, " n"], weight: Float[Array, " n"]) -> Float[Array, " 2"]:
    """Slope and intercept that minimize ``(a^2 + b^2)/2 + sum_i weight_i max(0, 1 - sign_i (a x_i + b))^2``.

    Newton's method suffices: the loss is convex and piecewise quadratic in two parameters.
    """
    design = jnp.column_stack([x, jnp.ones_like(x)])

    def step(line: Array, _: None) -> tuple[Array, None]:
        slack = jnp.maximum(0.0, 1.0 - sign * (design @ line))
        gradient = line - 2.0 * design.T @ (weight * sign * slack)
        active = weight * (slack > 0)
        hessian = jnp.eye(2, dtype=x.dtype) + 2.0 * (design * active[:, None]).T @ design
        return line - _solve_2x2(hessian, gradient), None

    return jax.lax.scan(step, jnp.zeros(2, x.dtype), None, length=NEWTON_STEPS)[0]


def _solve_2x2(a: Float[Array, "2 2"], b: Float[Array, " 2"]) -> Float[Array, " 2"]:
    determinant = a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
    return jnp.stack([a[1, 1] * b[0] - a[0, 1] * b[1], a[0, 0] * b[1] - a[1, 0] * b[0]]) / determinant
