"""Disentanglement scores from mutual information or from single codes: MIG, modularity, SAP.

Sources: Chen et al. (2018) for MIG, Ridgeway and Mozer (2018) for modularity, Kumar et al. (2018) for SAP.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.metrics.correlation import correlations, halves

SVM_C = 0.01
NEWTON_STEPS = 30


def mig(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], bins: int = 20) -> Float[Array, ""]:
    """Mutual information gap (MIG): the lead of a factor's most informative code over the second, over its entropy.

    Args:
        factors: True factors. Up to ``bins`` equally spaced levels stay distinct; continuous factors are binned.
        z_hat: Codes, cut into bins of equal width.
        bins: Number of bins.

    Returns:
        The mean over factors, in [0, 1]; numerator and denominator are in nats.
    """
    information = mutual_information(factors, z_hat, bins)
    top = jnp.sort(information, axis=1)
    own = entropy(factors, bins)
    return jnp.mean((top[:, -1] - top[:, -2]) / jnp.where(own > 0, own, 1.0))


def modularity(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], bins: int = 20) -> Float[Array, ""]:
    """Modularity: whether each code is informative about one factor only.

    ``1 - sum_{j not best} I_j^2 / (I_best^2 (d - 1))``, averaged over the codes that are informative about any factor.

    Args:
        factors: True factors, at least two.
        z_hat: Codes.
        bins: Number of bins.
    """
    squared = mutual_information(factors, z_hat, bins) ** 2
    best = jnp.max(squared, axis=0)
    informed = best > 0
    score = 1.0 - (jnp.sum(squared, axis=0) - best) / (jnp.where(informed, best, 1.0) * (len(squared) - 1))
    return jnp.sum(jnp.where(informed, score, 0.0)) / jnp.maximum(jnp.sum(informed), 1)


def sap(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], levels: int | None = None) -> Float[Array, ""]:
    """Separated attribute predictability (SAP): the lead of a factor's best single code over the second best.

    Args:
        factors: True factors.
        z_hat: Codes.
        levels: ``None`` for continuous factors, whose predictability is the squared correlation. For factors coded 0 to
            ``levels - 1`` it is the held-out accuracy of a balanced linear support vector machine on one code
            (C = 0.01, one class against the rest), fitted on even rows and scored on odd ones.

    Returns:
        The mean over factors of the best minus the second-best predictability.
    """
    scores = correlations(factors, z_hat) ** 2 if levels is None else _svm_accuracy(factors, z_hat, levels)
    top = jnp.sort(scores, axis=1)
    return jnp.mean(top[:, -1] - top[:, -2])


def mutual_information(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], bins: int = 20) -> Float[Array, "d k"]:
    """Mutual information of every factor with every code, both cut into bins of equal width, in nats."""
    rows, columns = (jax.nn.one_hot(binned(block, bins), bins, dtype=block.dtype) for block in (factors, z_hat))
    joint = jnp.einsum("ndi,nkj->dkij", rows, columns) / len(factors)
    independent = joint.sum(axis=3, keepdims=True) * joint.sum(axis=2, keepdims=True)
    present = joint > 0
    ratio = jnp.where(present, joint, 1.0) / jnp.where(present, independent, 1.0)
    return jnp.sum(joint * jnp.log(ratio), axis=(2, 3))


def entropy(factors: Float[Array, "n d"], bins: int = 20) -> Float[Array, " d"]:
    """Entropy of every column, cut into bins of equal width, in nats."""
    return jnp.diagonal(mutual_information(factors, factors, bins))


def binned(x: Float[Array, "n d"], bins: int) -> Int[Array, "n d"]:
    """Numbers 0 to ``bins - 1`` of the bins of equal width between each column's least and largest value."""
    low, high = jnp.min(x, axis=0), jnp.max(x, axis=0)
    width = jnp.where(high > low, high - low, 1.0) / bins
    # A level on a boundary belongs to the bin above it, whatever the rounding of the division.
    slack = 8 * bins * jnp.finfo(x.dtype).eps
    return jnp.clip(jnp.floor((x - low) / width + slack), 0, bins - 1).astype(jnp.int32)


def _svm_accuracy(factors: Float[Array, "n d"], z_hat: Float[Array, "n k"], levels: int) -> Float[Array, "d k"]:
    (fit, codes), (truth, new) = halves(factors.astype(jnp.int32), z_hat)

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
