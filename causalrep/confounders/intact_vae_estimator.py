"""Intact-VAE with scikit-learn's habits."""

from functools import lru_cache, partial
from typing import Any, Self

import jax
import numpy as np
import pandas as pd

from causalrep.base.summary import Summary
from causalrep.base.validation import as_matrix, check_counts, check_range, check_seed, check_widths
from causalrep.confounders.intact_vae import (
    IntactVAEFit,
    IntactVAEModel,
    IntactVAETraining,
    intact_vae,
    intact_vae_outcomes,
)
from causalrep.effects import EffectEstimator
from causalrep.effects.design import EffectDesign
from causalrep.effects.scores import Average
from causalrep.errors import InputError, NoIntervalError
from causalrep.keys import root
from causalrep.training.trained import refuse_divergence

NO_INTERVAL = "Intact-VAE has no interval: regularisation and early stopping leave a bias of unknown size."


class IntactVAE(EffectEstimator):
    """Effects adjusted for a prognostic score, the least that the outcome depends on, inferred from covariates.

    **What it rests on.** Effects are identified where the covariates hold a prognostic score, that is, where none of
    the confounding is hidden; the authors themselves call the theory of their first preprint, which claimed more,
    flawed. If a confounder is hidden it adjusts for what of it the covariates show, and for no more: compare with an
    estimator that adjusts for ``X`` directly.

    Args:
        score: Dimension of the prognostic score.
        hidden: Widths of the hidden layers.
        beta: Weight of the divergence from the prior.
        epochs: Passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        validation_share: Share of the rows that select the parameters.
        draws: Draws of the score for a unit.
        seed: Of all randomness.

    Attributes:
        intact_vae_: The :class:`~causalrep.confounders.IntactVAEFit`.

    There is no interval: regularisation and early stopping leave a bias of unknown size.

    Source: Wu and Fukumizu (2021), arXiv 2101.06662, as corrected in "beta-Intact-VAE" (ICLR 2022).

    >>> import jax
    >>> from causalrep.data import hidden_confounder
    >>> s = hidden_confounder(jax.random.key(0), n=1500, strength=0.0)  # nothing is hidden
    >>> model = IntactVAE(epochs=60, learning_rate=3e-3).fit(s.y, s.t, X=s.x)
    >>> bool(1.5 < model.ate() < 2.5)  # in truth 2
    True
    """

    _title = "Intact-VAE: effect adjusted for an inferred prognostic score"
    _rows_per_arm = 10

    def __init__(
        self,
        *,
        score: int = 1,
        hidden: tuple[int, ...] = (64, 64),
        beta: float = 1.0,
        epochs: int = 200,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        validation_share: float = 0.2,
        draws: int = 100,
        seed: int = 0,
    ):
        self.score = score
        self.hidden = hidden
        self.beta = beta
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_share = validation_share
        self.draws = draws
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any) -> Self:
        """Fit the model and estimate the effect.

        Args:
            Y: Outcome (n,).
            T: Treatment (n,), 0 or 1.
            X: Covariates (n, d).

        Raises:
            InputError: If an argument is wrong.
            DivergenceError: If training met a loss that is not finite.
        """
        check_counts(score=self.score, epochs=self.epochs, batch_size=self.batch_size, draws=self.draws)
        check_seed(self.seed)
        check_range("beta", self.beta, above=0)
        check_range("learning_rate", self.learning_rate, above=0)
        check_range("weight_decay", self.weight_decay, at_least=0)
        check_range("validation_share", self.validation_share, above=0, at_most=0.9)
        return super().fit(Y, T, X=X)

    def _estimate(self, design: EffectDesign) -> None:
        self._model = IntactVAEModel(self.score, check_widths("hidden", self.hidden), float(self.beta))
        training = IntactVAETraining(
            self.epochs,
            self.batch_size,
            float(self.learning_rate),
            float(self.weight_decay),
            float(self.validation_share),
        )
        data = (values.astype(np.float32) for values in (design.x, design.t, design.y))
        with jax.enable_x64(False):
            program = _program(self._model, training)
            self.intact_vae_: IntactVAEFit = jax.device_get(program(root(self.seed), *data))
        refuse_divergence(self.intact_vae_, self)
        effects, unknown = self._effect(design.x), np.full(len(design.y), np.nan)
        self.ate_ = Average(effects.mean(), np.float64(np.nan), unknown)
        self.att_ = Average(effects[design.t == 1].mean(), np.float64(np.nan), unknown)

    def effect(self, X: Any = None) -> np.ndarray:
        """Expected effect at each row of ``X`` (m,), given the covariates alone; at the rows of ``fit`` by default."""
        fitted = self.design_.x
        x = fitted if X is None else as_matrix("X", X)[0]
        if x.shape[1] != fitted.shape[1]:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{fitted.shape[1]}, as in fit")
        return self._effect(x)

    def _effect(self, x: np.ndarray) -> np.ndarray:
        with jax.enable_x64(False):
            key = root(self.seed + 1)
            outcomes = _outcomes(key, self._model, self.intact_vae_, x.astype(np.float32), self.draws)
            return np.asarray(outcomes.mu1 - outcomes.mu0, np.float64)

    def _interval(self, average: Average, alpha: float) -> tuple[float, float]:
        raise NoIntervalError(NO_INTERVAL)

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects, the facts of the fit and the assumptions it rests on; no intervals."""
        table = pd.DataFrame({"estimate": {"ATE": self.ate(), "ATT": self.att()}})
        facts = [
            *self._summary_facts(),
            ("Score", f"{self.score} dimensions"),
            ("Held-out objective", f"{float(self.intact_vae_.loss):.4g} nats a row"),
        ]
        notes = [
            "NOT identified if a confounder is hidden: it rests on a prognostic score of the covariates given. Compare "
            "with an estimator that adjusts for X directly.",
            NO_INTERVAL,
        ]
        return Summary(self._title, facts, table, notes)


@lru_cache(maxsize=64)
def _program(model: IntactVAEModel, training: IntactVAETraining):
    return jax.jit(partial(intact_vae, model=model, training=training))


@partial(jax.jit, static_argnums=(1, 4))
def _outcomes(key: jax.Array, model: IntactVAEModel, found: IntactVAEFit, x: jax.Array, draws: int):
    return intact_vae_outcomes(key, model, found, x, draws=draws)
