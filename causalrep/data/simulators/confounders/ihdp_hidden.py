"""IHDP with one of its covariates, the mother's age, turned into a hidden confounder."""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from causalrep.data.simulators.confounders.hidden import HiddenConfounderSample, with_outcomes
from causalrep.data.tables.ihdp import (
    CONTINUOUS,
    EFFECT_ON_TREATED,
    REPLICATIONS,
    SHIFT,
    covariates,
    draw_coefficients,
    replication_stream,
)
from causalrep.data.tables.types import check_numbers


class HiddenIHDP(NamedTuple):
    """IHDP's covariates without the mother's age, and response surfaces in which that age is a confounder.

    Attributes:
        x: The other covariates (747, 24).
        u: The mother's age, standardized (747,).
        propensity: Probability of treatment, ``sigmoid(-1 + 1.5 u + 0.5 birth weight)`` (747,).
        mu0: Expected outcome without treatment (R, 747).
        linear: Expected outcome with treatment, up to a constant that makes the effect on the treated 4 (R, 747).
    """

    x: np.ndarray
    u: np.ndarray
    propensity: np.ndarray
    mu0: np.ndarray
    linear: np.ndarray


def ihdp_hidden(replications: Sequence[int] | None = None) -> HiddenIHDP:
    """A semi-synthetic test of hidden confounding: NPCI's setting A with the mother's age hidden.

    Treatment depends on the mother's age and the birth weight. Intercept and slopes are those of the IHDP replication,
    except that the slope of the mother's age is 0.4 in all of them. The simulation is our own. The mother's age has an
    R^2 of 0.485 on the remaining covariates, so it is not independent of them, as many models of a hidden confounder
    assume. Draw samples with :func:`draw_ihdp_hidden`.

    Args:
        replications: Replication numbers, from 1 to 1000; by default 1 to 100.

    Raises:
        DataError: If the package ``econml`` is not installed or ships another table.
        InputError: If a replication is not between 1 and 1000.
    """
    numbers = check_numbers("replications", replications, largest=REPLICATIONS, default=range(1, 101))
    x, _ = covariates()
    hidden, weight = CONTINUOUS.index("momage"), CONTINUOUS.index("bw")
    mu0, linear = [], []
    for number in numbers:
        intercept, beta = draw_coefficients(replication_stream(number), x.shape[1])
        beta = np.where(np.arange(len(beta)) == hidden, 0.4, beta)
        mu0.append(np.exp(intercept + (x + SHIFT) @ beta))
        linear.append(intercept + x @ beta)
    propensity = 1 / (1 + np.exp(1.0 - 1.5 * x[:, hidden] - 0.5 * x[:, weight]))
    return HiddenIHDP(np.delete(x, hidden, axis=1), x[:, hidden], propensity, np.stack(mu0), np.stack(linear))


def draw_ihdp_hidden(
    key: Key[Array, ""],
    x: Float[Array, "n d"],
    u: Float[Array, " n"],
    propensity: Float[Array, " n"],
    mu0: Float[Array, " n"],
    linear: Float[Array, " n"],
) -> HiddenConfounderSample:
    """Treatment, and outcomes with unit noise, of one replication of :func:`ihdp_hidden`.

    Args:
        key: Random key.
        x: Field ``x`` of :class:`HiddenIHDP`.
        u: Field ``u``.
        propensity: Field ``propensity``.
        mu0: Row i of ``mu0``, for replication i.
        linear: Row i of ``linear``.

    >>> from causalrep.keys import root
    >>> d = ihdp_hidden([1])
    >>> draw_ihdp_hidden(root(0), d.x, d.u, d.propensity, d.mu0[0], d.linear[0]).y.shape
    (747,)
    """
    # Loaded tables are float64; JAX's precision decides here.
    x, u, propensity, mu0, linear = (jnp.asarray(values) for values in (x, u, propensity, mu0, linear))
    chex.assert_equal_shape([u, propensity, mu0, linear])
    t_key, noise_key = jax.random.split(key)
    t = jax.random.bernoulli(t_key, propensity).astype(x.dtype)
    # omega = mean(linear - mu0 | t = 1) - 4, so that the effect on the treated is 4.
    omega = jnp.sum(t * (linear - mu0)) / jnp.sum(t) - EFFECT_ON_TREATED
    return with_outcomes(x, t, u, mu0, linear - omega, noise=jax.random.normal(noise_key, (2, len(t)), x.dtype))
