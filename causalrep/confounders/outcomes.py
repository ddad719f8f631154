"""Expected outcomes in both arms, and helpers of the estimators that predict them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.effects.scores import Average
from causalrep.errors import InputError


class PotentialOutcomes(NamedTuple):
    """Expected outcomes without and with treatment, each (n,)."""

    mu0: Float[Array, " n"]
    mu1: Float[Array, " n"]

    @property
    def effect(self) -> Float[Array, " n"]:
        """``mu1 - mu0``."""
        return self.mu1 - self.mu0


def own_arm(t: Float[Array, " n"], untreated: Array, treated: Array) -> Array:
    """The value of each row's own arm; ``t`` is (n,), the other two scalars, (n,) or (n, k)."""
    chosen = t == 1
    return jnp.where(chosen[:, None] if jnp.ndim(treated) == 2 else chosen, treated, untreated)


def averages_without_errors(effects: np.ndarray, t: np.ndarray) -> tuple[Average, Average]:
    """Average effect over all rows and over the treated rows, for estimators that have no standard errors."""
    unknown = np.float64(np.nan), np.full(len(t), np.nan)
    return Average(effects.mean(), *unknown), Average(effects[t == 1].mean(), *unknown)


def check_binary_outcome(y: np.ndarray, outcome: str) -> None:
    """Refuse outcomes other than 0 and 1 where the model of the outcome is ``"bernoulli"``."""
    if outcome == "bernoulli" and not set(np.unique(y)) <= {0.0, 1.0}:
        raise InputError("Y", found="values other than 0 and 1", expected="0 and 1, as outcome='bernoulli' says")
