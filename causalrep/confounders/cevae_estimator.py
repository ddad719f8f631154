"""CEVAE with scikit-learn's habits."""

from functools import lru_cache, partial
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.summary import Summary
from causalrep.base.validation import as_matrix, check_choice, check_counts, check_range, check_seed
from causalrep.confounders.cevae import CEVAEFit, CEVAEModel, CEVAETraining, cevae, cevae_outcomes
from causalrep.effects import EffectEstimator
from causalrep.effects.design import EffectDesign
from causalrep.effects.scores import Average
from causalrep.errors import InputError, NoIntervalError
from causalrep.keys import root
from causalrep.training.trained import refuse_divergence


class CEVAE(EffectEstimator):
    """Effects adjusted for a hidden confounder that the covariates are proxies of.

    **What it rests on.** Every column of ``X`` must be a noisy view of the confounder, independent of the others given
    it. Even then the effect is identified only where the joint law of proxies, treatment and outcome determines that of
    the confounder, which networks this flexible do not ensure: in simulations CEVAE often gives what adjusting for
    ``X`` directly gives (docs/unobserved-confounders.md). Compare with it.

    Args:
        binary: Columns of ``X`` that are 0 or 1, by position; default those that hold nothing else.
        outcome: ``"gaussian"``, or ``"bernoulli"`` for outcomes 0 and 1.
        latents: Dimension of the confounder.
        hidden: Width of all hidden layers.
        epochs: Passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        validation_share: Share of the rows that select the parameters.
        draws: Draws of the confounder for a unit.
        seed: Root of all randomness.

    Attributes:
        cevae_: The :class:`~causalrep.confounders.cevae.CEVAEFit`.

    There is no interval: regularisation and early stopping leave a bias of unknown size.

    Source: Louizos, Shalit, Mooij, Sontag, Socher and Welling (2017), NeurIPS.

    >>> import jax
    >>> from causalrep.data import noisy_copies
    >>> s = noisy_copies(jax.random.key(0), n=2000, proxies=5)
    >>> model = CEVAE(latents=3, hidden=32, epochs=30, draws=20).fit(s.y, s.t, X=s.x)
    >>> naive = s.y[s.t == 1].mean() - s.y[s.t == 0].mean()
    >>> bool(model.ate() < naive)  # in truth 1
    True
    """

    _title = "CEVAE: effect adjusted for a confounder seen through proxies"
    _rows_per_arm = 10

    def __init__(
        self,
        *,
        binary: tuple[int, ...] | None = None,
        outcome: Literal["gaussian", "bernoulli"] = "gaussian",
        latents: int = 20,
        hidden: int = 200,
        epochs: int = 100,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        validation_share: float = 0.3,
        draws: int = 100,
        seed: int = 0,
    ):
        self.binary = binary
        self.outcome = outcome
        self.latents = latents
        self.hidden = hidden
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
            X: Proxies of the hidden confounder (n, d).

        Raises:
            InputError: If an argument is wrong.
            DivergenceError: If training met a loss that is not finite.
        """
        names = ("latents", "hidden", "epochs", "batch_size", "draws")
        check_counts(**{name: getattr(self, name) for name in names})
        check_seed(self.seed)
        check_choice("outcome", self.outcome, ("gaussian", "bernoulli"))
        check_range("learning_rate", self.learning_rate, above=0)
        check_range("weight_decay", self.weight_decay, at_least=0)
        check_range("validation_share", self.validation_share, above=0, at_most=0.9)
        return super().fit(Y, T, X=X)

    def _estimate(self, design: EffectDesign) -> None:
        if self.outcome == "bernoulli" and not set(np.unique(design.y)) <= {0.0, 1.0}:
            raise InputError("Y", found="values other than 0 and 1", expected="0 and 1, as outcome='bernoulli' says")
        self._model = CEVAEModel(self._binary(design.x), self.latents, self.hidden, self.outcome)
        training = CEVAETraining(
            self.epochs,
            self.batch_size,
            float(self.learning_rate),
            float(self.weight_decay),
            float(self.validation_share),
        )
        data = (values.astype(np.float32) for values in (design.x, design.t, design.y))
        with jax.enable_x64(False):
            self.cevae_: CEVAEFit = jax.device_get(_program(self._model, training)(root(self.seed), *data))
        refuse_divergence(self.cevae_, self)
        effects, unknown = self._effect(design.x), np.full(len(design.y), np.nan)
        self.ate_ = Average(effects.mean(), np.float64(np.nan), unknown)
        self.att_ = Average(effects[design.t == 1].mean(), np.float64(np.nan), unknown)

    def _binary(self, x: np.ndarray) -> tuple[int, ...]:
        only = tuple(int(j) for j in np.flatnonzero(((x == 0) | (x == 1)).all(axis=0)))
        if self.binary is None:
            return only
        chosen = self.binary if isinstance(self.binary, tuple | list) else (self.binary,)
        wrong = [j for j in chosen if j not in only]
        if wrong:
            raise InputError("binary", found=f"columns {wrong}", expected=f"columns of 0 and 1 alone: {list(only)}")
        return tuple(chosen)

    def effect(self, X: Any = None) -> np.ndarray:
        """Expected effect at each row of ``X`` (m,), given the proxies alone; at the rows of ``fit`` by default."""
        x = self.design_.x if X is None else as_matrix("X", X)[0]
        expected = self.design_.x.shape[1]
        if x.shape[1] != expected:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{expected}, as in fit")
        return self._effect(x)

    def _effect(self, x: np.ndarray) -> np.ndarray:
        with jax.enable_x64(False):
            key, x = root(self.seed + 1), x.astype(np.float32)
            outcomes = _outcomes(key, self._model, self.cevae_, x, self.draws)
            return np.asarray(outcomes.mu1 - outcomes.mu0, np.float64)

    def _interval(self, average: Average, alpha: float) -> tuple[float, float]:
        raise NoIntervalError("CEVAE has no interval: regularisation and early stopping leave a bias of unknown size.")

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects, the facts of the fit and the assumptions it rests on; no intervals."""
        table = pd.DataFrame({"estimate": {"ATE": self.ate(), "ATT": self.att()}})
        facts = [
            *self._summary_facts(),
            ("Binary proxies", f"{len(self._model.binary)} of {self.design_.x.shape[1]}"),
            ("Held-out objective", f"{float(self.cevae_.loss):.4g} nats a row"),
        ]
        notes = [
            "NOT identified without proxies that determine the hidden confounder's law; nothing here tests that they "
            "do. Compare with an estimator that adjusts for X directly.",
            "No interval: regularisation and early stopping leave a bias of unknown size.",
        ]
        return Summary(self._title, facts, table, notes)


@lru_cache(maxsize=64)
def _program(model: CEVAEModel, training: CEVAETraining):
    return jax.jit(partial(cevae, model=model, training=training))


@partial(jax.jit, static_argnums=(1, 4))
def _outcomes(key: jax.Array, model: CEVAEModel, found: CEVAEFit, x: jnp.ndarray, draws: int):
    return cevae_outcomes(key, model, found, x, draws)
