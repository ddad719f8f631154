"""Neural estimators of a structural function: DeepIV, DFIV and DeepGMM, several seeds as one program."""

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np

from causalrep.base.validation import check_count, check_range
from causalrep.errors import DivergenceError, DivergenceWarning, InputError
from causalrep.iv.nonlinear.base import NonlinearIVEstimator
from causalrep.iv.nonlinear.deep_gmm import deep_gmm, deep_gmm_predict
from causalrep.iv.nonlinear.deep_iv import deep_iv, deep_iv_predict
from causalrep.iv.nonlinear.dfiv import FeatureWidths, dfiv, dfiv_predict
from causalrep.iv.nonlinear.door import NonlinearData
from causalrep.iv.nonlinear.training import NeuralFit
from causalrep.keys import root

Static = tuple[tuple[str, Any], ...]


@lru_cache(maxsize=64)
def _program(method: Callable, static: Static) -> Callable:
    """One compiled program a method and its hyperparameters: many seeds, on one data set."""
    return jax.jit(jax.vmap(partial(method, **dict(static)), in_axes=(0, None, None, None)))


@lru_cache(maxsize=64)
def _predictor(method: Callable, static: Static) -> Callable:
    return jax.jit(jax.vmap(partial(method, **dict(static)), in_axes=(0, None)))


class NeuralIVEstimator(NonlinearIVEstimator):
    """What the neural estimators share: seeds trained together, the mean of their functions as the answer.

    Attributes:
        fit_: The :class:`~causalrep.iv.nonlinear.training.NeuralFit` of the seeds that ended well, stacked.
        losses_: Their selection criteria.
    """

    _no_interval = (
        "the networks' regularisation and early stopping leave a bias of unknown size; seeds differ by initialisation "
        "alone, so their spread is not sampling error"
    )
    # The pure functions, and by _options and _predict_options their static arguments; a subclass supplies all four.
    _fit_method: Callable[..., NeuralFit]
    _predict_method: Callable[..., jax.Array]

    def _options(self, data: NonlinearData) -> dict[str, Any]:
        raise TypeError(f"{type(self).__name__} must define _options(data)")

    def _predict_options(self, data: NonlinearData) -> dict[str, Any]:
        raise TypeError(f"{type(self).__name__} must define _predict_options(data)")

    def _check_hyperparameters(self) -> None:
        check_count("seeds", self.seeds)
        check_range("learning_rate", self.learning_rate, above=0)

    def _fit(self, data: NonlinearData) -> None:
        order_seed, fit_key = self.seed, jax.random.fold_in(root(self.seed), 1)
        y, inputs, exogenous = self._shuffled(order_seed, data.y, data.inputs, data.exogenous)
        run = _program(type(self)._fit_method, tuple(self._options(data).items()))
        keys = jax.random.split(fit_key, self.seeds)
        found: NeuralFit = jax.device_get(run(keys, *(a.astype(np.float32) for a in (y, inputs, exogenous))))
        self.fit_ = self._without_diverged(found)
        self.losses_ = self.fit_.loss
        self._predict_static = tuple(self._predict_options(data).items())

    def _without_diverged(self, found: NeuralFit) -> NeuralFit:
        if not found.diverged.any():
            return found
        bad = np.flatnonzero(found.diverged)
        steps = ", ".join(f"seed {seed} at update {found.first_bad_step[seed]}" for seed in bad)
        sentence = f"{self!r}: the loss or its gradient was not finite ({steps})."
        if len(bad) < len(found.diverged):
            warnings.warn(f"{sentence} The other seeds are used.", DivergenceWarning, stacklevel=5)
            return jax.tree.map(lambda leaf: leaf[~found.diverged], found)
        raise DivergenceError(
            f"{sentence} Lower learning_rate, or look for extreme values in the data. The last finite parameters are "
            "in the error's attribute params.",
            step=int(found.first_bad_step[bad[0]]),
            params=found.params,
        )

    def _function(self, inputs: np.ndarray) -> np.ndarray:
        return self.predict_each(inputs).mean(axis=0)

    def predict_each(self, inputs: np.ndarray) -> np.ndarray:
        """The structural function of every seed (S, n), at rows of treatments, then controls."""
        predict = _predictor(type(self)._predict_method, self._predict_static)
        return np.asarray(predict(self.fit_, np.asarray(inputs, np.float32)), np.float64)

    def _facts(self) -> list[tuple[str, str]]:
        losses = ", ".join(f"{loss:.4g}" for loss in np.atleast_1d(self.losses_)[:5])
        return [("Seeds", str(len(self.losses_))), ("Selection criterion", losses)]


class DeepGMM(NeuralIVEstimator):
    """DeepGMM: a structural network against a critic that looks for violated moments.

    Args:
        hidden: Hidden widths of the structural network.
        critic_hidden: Hidden widths of the critic.
        epochs: Passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Of the structural network.
        critic_speed: The critic's learning rate over that.
        validation_share: Share of the rows that select the parameters, by the least violation of the moments over a
            ball of the instruments' kernel space.
        seeds: Initialisations trained together; the answer is their mean function.
        seed: Root of all randomness.

    There is no interval; see :class:`NeuralIVEstimator`.

    Source: Bennett, Kallus, Schnabel (2019), "Deep Generalized Method of Moments for Instrumental Variable Analysis"
    (arXiv 1905.12495).
    """

    _title = "DeepGMM"
    _fit_method, _predict_method = staticmethod(deep_gmm), staticmethod(deep_gmm_predict)

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (20, 3),
        critic_hidden: tuple[int, ...] = (20,),
        epochs: int = 3000,
        batch_size: int = 1024,
        learning_rate: float = 5e-4,
        critic_speed: float = 5.0,
        validation_share: float = 0.5,
        seeds: int = 1,
        seed: int = 0,
    ):
        self.hidden = hidden
        self.critic_hidden = critic_hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.critic_speed = critic_speed
        self.validation_share = validation_share
        self.seeds = seeds
        self.seed = seed

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        check_widths("hidden", self.hidden)
        check_widths("critic_hidden", self.critic_hidden)
        check_count("epochs", self.epochs)
        check_count("batch_size", self.batch_size)
        check_range("critic_speed", self.critic_speed, above=0)
        check_range("validation_share", self.validation_share, above=0, at_most=0.9)

    def _options(self, data: NonlinearData) -> dict[str, Any]:
        return self._predict_options(data) | {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": float(self.learning_rate),
            "critic_speed": float(self.critic_speed),
            "validation_share": float(self.validation_share),
        }

    def _predict_options(self, data: NonlinearData) -> dict[str, Any]:
        return {"hidden": tuple(self.hidden), "critic_hidden": tuple(self.critic_hidden)}


class DeepIV(NeuralIVEstimator):
    """DeepIV: a mixture density network of the treatment, then a network fitted through samples from it.

    Args:
        hidden: Hidden widths of both networks.
        components: Gaussians of the mixture.
        samples: Treatments in each of the two independent sets drawn for a row and step.
        epochs: Passes over the training rows, at each stage.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        dropout: Share of hidden units dropped while training; default ``min(1000 / (1000 + n), .5)``.
        validation_share: Share of the rows that select the parameters of each stage.
        seeds: Initialisations trained together; the answer is their mean function.
        seed: Root of all randomness.

    There is no interval; see :class:`NeuralIVEstimator`.

    Source: Hartford, Lewis, Leyton-Brown, Taddy (2017), "Deep IV: A Flexible Approach for Counterfactual Prediction".
    """

    _title = "DeepIV"
    _fit_method, _predict_method = staticmethod(deep_iv), staticmethod(deep_iv_predict)

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (128, 64, 32),
        components: int = 10,
        samples: int = 2,
        epochs: int = 300,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        dropout: float | None = None,
        validation_share: float = 0.2,
        seeds: int = 1,
        seed: int = 0,
    ):
        self.hidden = hidden
        self.components = components
        self.samples = samples
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.validation_share = validation_share
        self.seeds = seeds
        self.seed = seed

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        check_widths("hidden", self.hidden)
        for argument in ("components", "samples", "epochs", "batch_size"):
            check_count(argument, getattr(self, argument))
        if self.dropout is not None:
            check_range("dropout", self.dropout, at_least=0, below=1)
        check_range("validation_share", self.validation_share, above=0, at_most=0.9)

    def _options(self, data: NonlinearData) -> dict[str, Any]:
        return {
            "treatments": data.t.shape[1],
            "hidden": tuple(self.hidden),
            "components": self.components,
            "samples": self.samples,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": float(self.learning_rate),
            "dropout": None if self.dropout is None else float(self.dropout),
            "validation_share": float(self.validation_share),
        }

    def _predict_options(self, data: NonlinearData) -> dict[str, Any]:
        return {"hidden": tuple(self.hidden)}


class DFIV(NeuralIVEstimator):
    """DFIV: two-stage least squares on features that networks learn for both stages.

    Args:
        treatment: Widths of the treatment's network; the last one is its number of features.
        instrument: The same for the network of instruments and controls.
        covariate: The same for the network of controls, if there are any.
        first_penalty: Ridge penalty of the first stage, per row, on standardised data.
        second_penalty: That of the second stage.
        updates: Updates of the treatment's network.
        inner_steps: Updates of the other networks for each of them.
        learning_rate: Of Adam.
        seeds: Initialisations trained together; the answer is their mean function.
        seed: Root of all randomness.

    There is no interval; see :class:`NeuralIVEstimator`.

    Source: Xu, Chen, Srinivasan, de Freitas, Doucet, Gretton (2021), "Learning Deep Features in Instrumental Variable
    Regression" (arXiv 2010.07154).
    """

    _title = "Deep feature instrumental variable regression"
    _fit_method, _predict_method = staticmethod(dfiv), staticmethod(dfiv_predict)

    def __init__(
        self,
        *,
        treatment: tuple[int, ...] = FeatureWidths().treatment,
        instrument: tuple[int, ...] = FeatureWidths().instrument,
        covariate: tuple[int, ...] = FeatureWidths().covariate,
        first_penalty: float = 0.1,
        second_penalty: float = 0.1,
        updates: int = 100,
        inner_steps: int = 20,
        learning_rate: float = 1e-3,
        seeds: int = 1,
        seed: int = 0,
    ):
        self.treatment = treatment
        self.instrument = instrument
        self.covariate = covariate
        self.first_penalty = first_penalty
        self.second_penalty = second_penalty
        self.updates = updates
        self.inner_steps = inner_steps
        self.learning_rate = learning_rate
        self.seeds = seeds
        self.seed = seed

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        for argument in ("treatment", "instrument", "covariate"):
            check_widths(argument, getattr(self, argument))
        for argument in ("updates", "inner_steps"):
            check_count(argument, getattr(self, argument))
        for argument in ("first_penalty", "second_penalty"):
            check_range(argument, getattr(self, argument), above=0)

    def _options(self, data: NonlinearData) -> dict[str, Any]:
        return self._predict_options(data) | {
            "first_penalty": float(self.first_penalty),
            "second_penalty": float(self.second_penalty),
            "updates": self.updates,
            "inner_steps": self.inner_steps,
            "learning_rate": float(self.learning_rate),
        }

    def _predict_options(self, data: NonlinearData) -> dict[str, Any]:
        widths = FeatureWidths(tuple(self.treatment), tuple(self.instrument), tuple(self.covariate))
        return {"treatments": data.t.shape[1], "widths": widths}


def check_widths(argument: str, widths: object) -> None:
    """Refuse what is not a non-empty tuple of layer widths."""
    right = isinstance(widths, tuple | list) and len(widths) > 0
    if not right or any(isinstance(w, bool) or not isinstance(w, int) or w < 1 for w in widths):
        raise InputError(argument, found=repr(widths), expected="a tuple of layer widths, for example (64, 32)")
