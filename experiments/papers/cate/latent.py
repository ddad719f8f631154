"""CEVAE as a method of the IHDP tables: a fit and a prediction, both functions of arrays."""

import dataclasses
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Key

from causalrep.confounders import CEVAEModel, cevae, cevae_outcomes
from causalrep.effects.meta import EffectRows
from causalrep.training.rows import Schedule
from causalrep.training.trained import Trained

# The columns of IHDP's x that take two values, and the one whose values are 1 and 2.
_BINARY, _ONE_TWO = tuple(range(6, 25)), 13
_MODEL = CEVAEModel(binary=_BINARY)


class Fitted(NamedTuple):
    """A fit, and the key of the draws its predictions average."""

    fit: Trained
    key: Key[Array, ""]


@dataclasses.dataclass(frozen=True)
class CEVAELearner:
    """CEVAE at the authors' settings: networks as published, 100 epochs of ten passes each.

    Attributes:
        epochs: Passes over the training rows.
        draws: Draws of the confounder for a unit.
    """

    epochs: int = 1000
    draws: int = 100

    def fit(self, rows: EffectRows, key: Key[Array, ""]) -> Fitted:
        """Fit to rows that all count alike."""
        fit_key, draw_key = jax.random.split(key)
        schedule = Schedule(epochs=self.epochs)
        return Fitted(cevae(fit_key, _zero_one(rows.x), rows.t, rows.y, model=_MODEL, schedule=schedule), draw_key)

    def predict(self, fitted: Fitted, x: Float[Array, "n 25"]) -> Float[Array, " n"]:
        """Expected effect given the covariates alone."""
        return cevae_outcomes(fitted.key, _MODEL, fitted.fit, _zero_one(x), self.draws).effect.astype(x.dtype)


def _zero_one(x: Float[Array, "n 25"]) -> Float[Array, "n 25"]:
    return x.at[:, _ONE_TWO].add(-1.0)
