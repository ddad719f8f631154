"""Disentanglement scores that hold factors fixed (FactorVAE, beta-VAE, IRS), and a score of recombined codes.

Their sources draw new images with a factor held fixed; here rows of a given sample that share the factor's level are
drawn instead, so that the scores apply to any table of codes and discrete factors.

Sources: Kim and Mnih (2018), Higgins et al. (2017), Suter et al. (2019); Lippe et al. (2022) for triplets.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.base.checks import as_codes, as_rows, is_concrete
from causalrep.base.validation import check_count, check_range, check_rows
from causalrep.linalg import standardized, standardizer, varies
from causalrep.metrics.correlation import FEWEST_ROWS, affine_slope, halves
from causalrep.metrics.dci import check_several
from causalrep.precision import full_products, keep_float64

RIDGE = 1e-4
LOGISTIC_STEPS = 2000


@keep_float64
@full_products
def factor_vae_score(
    key: Array, factors: Int[Array, "n d"], z_hat: Float[Array, "n k"], *, batch: int = 64, votes: int = 1000
) -> Float[Array, ""]:
    """FactorVAE score: does the code that varies least reveal which factor was held fixed?

    A vote draws a factor and ``batch`` rows that share its level, and names the code of least normalized variance. The
    majority over half of the votes maps codes to factors; the score is the accuracy of this map on the other half.

    Args:
        key: Random key.
        factors: Levels of the true factors, at least two factors, as whole numbers.
        z_hat: Codes. Constant ones are ignored.
        batch: Rows per vote, drawn with replacement, at least two.
        votes: Number of votes of both halves together, at least two.

    Raises:
        InputError: If there is one factor, its levels are not whole numbers, numbers of rows differ, or a count is too
            small.

    >>> rows = jax.random.randint(jax.random.key(0), (500, 2), 0, 4)
    >>> float(factor_vae_score(jax.random.key(1), rows, rows * jnp.array([1e-3, 1e3]), votes=50))
    1.0
    """
    factors, z_hat = _checked(factors, z_hat, batch, votes)
    fixed, rows = _matched_rows(key, factors, votes, batch)
    # Of standardized codes the variance is that relative to all rows.
    local = jnp.var(standardized(z_hat)[rows], axis=1)
    code = jnp.argmin(jnp.where(varies(z_hat), local, jnp.inf), axis=1)
    half = votes // 2
    counts = jnp.zeros((z_hat.shape[1], factors.shape[1])).at[code[:half], fixed[:half]].add(1.0)
    return jnp.mean(jnp.argmax(counts, axis=1)[code[half:]] == fixed[half:])


@keep_float64
@full_products
def beta_vae_score(
    key: Array, factors: Int[Array, "n d"], z_hat: Float[Array, "n k"], *, batch: int = 64, votes: int = 1000
) -> Float[Array, ""]:
    """beta-VAE score: does the mean absolute difference of codes reveal which factor the pairs of rows share?

    Args:
        key: Random key.
        factors: Levels of the true factors, at least two factors, as whole numbers.
        z_hat: Codes.
        batch: Pairs of rows per vote, at least two.
        votes: Number of votes; half of them train a multinomial logistic regression, the other half score it.

    Raises:
        InputError: As for :func:`factor_vae_score`.

    >>> rows = jax.random.randint(jax.random.key(0), (500, 2), 0, 4)
    >>> float(beta_vae_score(jax.random.key(1), rows, rows * jnp.array([1e-3, 1e3]), votes=50))
    1.0
    """
    factors, z_hat = _checked(factors, z_hat, batch, votes)
    fixed, rows = _matched_rows(key, factors, votes, 2 * batch)
    codes = standardized(z_hat)[rows]
    features = jnp.mean(jnp.abs(codes[:, :batch] - codes[:, batch:]), axis=1)
    half = votes // 2
    decision = _logistic(features[:half], fixed[:half], factors.shape[1], features[half:])
    return jnp.mean(jnp.argmax(decision, axis=1) == fixed[half:])


@keep_float64
@full_products
def irs(
    factors: Int[Array, "n d"], z_hat: Float[Array, "n k"], levels: int, quantile: float = 0.99
) -> Float[Array, ""]:
    """Interventional robustness score: with its factor held fixed, how little does each code move?

    Args:
        factors: Levels 0 to ``levels - 1`` of the true factors.
        z_hat: Codes.
        levels: Number of levels; a factor may use fewer.
        quantile: Quantile of the absolute deviations, used in place of their maximum.

    Returns:
        A number in [0, 1]. The score of a code is one minus the least ratio, over factors, of its deviation given the
        factor to its overall deviation; codes are averaged with weights proportional to the overall deviation. By its
        definition the score depends on the units of the codes relative to each other: standardize codes that are not
        of one kind.

    Raises:
        InputError: If the factors are not whole numbers from 0 to ``levels - 1``, numbers of rows differ, values are
            not finite, or ``quantile`` is not in (0, 1].

    >>> square = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> float(irs(square, 2.0 * square, 2))
    1.0
    """
    check_count("levels", levels)
    if is_concrete(quantile):
        quantile = check_range("quantile", quantile, above=0, at_most=1)
    numbers, z_hat = as_rows(2, 2, least=2, factors=factors, z_hat=z_hat)
    factors = as_codes("factors", numbers, levels=levels)
    z_hat = jnp.where(varies(z_hat), z_hat, 0.0)
    overall = jnp.quantile(jnp.abs(z_hat - jnp.mean(z_hat, axis=0)), quantile, axis=0)

    def at_level(factor: Array, level: Array) -> tuple[Array, Array]:
        inside = (factor == level)[:, None]
        count = jnp.sum(inside)
        mean = jnp.sum(jnp.where(inside, z_hat, 0.0), axis=0) / jnp.maximum(count, 1)
        deviation = jnp.nanquantile(jnp.where(inside, jnp.abs(z_hat - mean), jnp.nan), quantile, axis=0)
        return jnp.where(count > 0, deviation, 0.0), count > 0

    def given(factor: Array) -> Array:
        deviations, present = jax.vmap(at_level, in_axes=(None, 0))(factor, jnp.arange(levels))
        return jnp.sum(deviations, axis=0) / jnp.sum(present)

    ratios = jax.vmap(given, in_axes=1)(factors) / jnp.where(overall > 0, overall, 1.0)
    robust = 1.0 - jnp.min(ratios, axis=0)
    total = jnp.sum(overall)
    return jnp.sum(robust * overall) / jnp.where(total > 0, total, 1.0)


@keep_float64
@full_products
def triplet_distance(
    key: Array, z: Float[Array, "n d"], z_hat: Float[Array, "n k"], owner: Int[Array, " k"], *, triplets: int = 1000
) -> Float[Array, " d"]:
    """Do the codes of two rows recombine as their factors do?

    A triplet takes a random set of factors from one row and the other factors from a second row, and the codes that
    belong to them likewise. A linear map from codes to factors, fitted on even rows, predicts the factors of the
    recombined codes of odd rows. This is our counterpart, for tables, of the triplet evaluation of CITRIS, which
    decodes an image and predicts its factors by a network.

    Args:
        key: Random key.
        z: True factors.
        z_hat: Codes.
        owner: For each code the factor that it belongs to.
        triplets: Number of triplets.

    Returns:
        For each factor the mean absolute distance of the predicted from the true factor, relative to the mean distance
        between two unrelated rows: 0 is perfect, near 1 is no better than a guess; 0 for a constant factor too.

    Raises:
        InputError: If numbers of rows differ, values are not finite, or ``owner`` does not name a factor per code.

    >>> z = jax.random.normal(jax.random.key(0), (100, 2))
    >>> triplet_distance(jax.random.key(1), z, 1e-3 * z, jnp.arange(2)).round(3).tolist()
    [0.0, 0.0]
    """
    check_count("triplets", triplets)
    z, z_hat = as_rows(2, 2, least=FEWEST_ROWS, z=z, z_hat=z_hat)
    owner = as_codes("owner", owner, levels=z.shape[1])
    check_rows("owner", len(owner), rows=z_hat.shape[1], of="the columns of z_hat")
    (z_fit, codes_fit), (truth, codes) = halves(z, z_hat)
    of_z, of_codes = standardizer(z_fit), standardizer(codes_fit)
    truth, codes = of_z(truth), of_codes(codes)
    slope = affine_slope(of_codes(codes_fit), of_z(z_fit))
    rows_key, set_key = jax.random.split(key)
    one, two = jax.random.randint(rows_key, (2, triplets), 0, len(truth))
    first = jax.random.bernoulli(set_key, 0.5, (triplets, z.shape[1]))
    wanted = jnp.where(first, truth[one], truth[two])
    read = jnp.where(first[:, owner], codes[one], codes[two]) @ slope
    unrelated = jnp.mean(jnp.abs(truth[one] - truth[two]), axis=0)
    return jnp.mean(jnp.abs(read - wanted), axis=0) / jnp.where(unrelated > 0, unrelated, 1.0)


def _checked(factors: Any, z_hat: Any, batch: int, votes: int) -> tuple[Int[Array, "n d"], Float[Array, "n k"]]:
    check_count("batch", batch, at_least=2)
    check_count("votes", votes, at_least=2)
    numbers, z_hat = as_rows(2, 2, least=2, factors=factors, z_hat=z_hat)
    check_several(factors=numbers)
    codes = as_codes("factors", numbers, missing=True)
    return codes, z_hat


def _matched_rows(
    key: Array, factors: Int[Array, "n d"], votes: int, batch: int
) -> tuple[Int[Array, " votes"], Int[Array, "votes batch"]]:
    """For each vote a factor, and rows that share its level with a row drawn at random."""

    def vote(key: Array) -> tuple[Array, Array]:
        factor_key, row_key, rows_key = jax.random.split(key, 3)
        fixed = jax.random.randint(factor_key, (), 0, factors.shape[1])
        levels = jnp.take(factors, fixed, axis=1)
        same = levels == levels[jax.random.randint(row_key, (), 0, len(factors))]
        # The r-th of the matching rows for random r: the first position with r matches up to it.
        rank = jax.random.randint(rows_key, (batch,), 1, jnp.sum(same) + 1)
        return fixed, jnp.searchsorted(jnp.cumsum(same), rank)

    return jax.lax.map(vote, jax.random.split(key, votes), batch_size=100)


def _logistic(
    x: Float[Array, "n k"], label: Int[Array, " n"], classes: int, new: Float[Array, "m k"]
) -> Float[Array, "m classes"]:
    """Decision values of a multinomial logistic regression with a slight ridge, by accelerated gradient descent."""
    # linalg.logistic_regression is binary: its Newton steps would need a Hessian over all pairs of classes here.
    scaled = standardizer(x)
    x, new = (jnp.column_stack([scaled(block), jnp.ones(len(block), x.dtype)]) for block in (x, new))
    one_hot = jax.nn.one_hot(label, classes, dtype=x.dtype)
    # The step size is the inverse of a bound on the curvature: the Hessian of the softmax is at most x'x / (2n).
    rate = 1.0 / (0.5 * jnp.linalg.norm(x.T @ x / len(x), ord="fro") + RIDGE)

    def step(state: tuple[Array, Array], number: Array) -> tuple[tuple[Array, Array], None]:
        weights, previous = state
        ahead = weights + number / (number + 3.0) * (weights - previous)
        gradient = x.T @ (jax.nn.softmax(x @ ahead) - one_hot) / len(x) + RIDGE * ahead
        return (ahead - rate * gradient, weights), None

    zeros = jnp.zeros((x.shape[1], classes), x.dtype)
    (weights, _), _ = jax.lax.scan(step, (zeros, zeros), jnp.arange(LOGISTIC_STEPS, dtype=x.dtype))
    return new @ weights
