"""Façades of nonlinear IV-like regression: in a kernel's space, and with a network."""

import dataclasses
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.summary import Summary
from causalrep.base.validation import as_matrix, check_choice, check_count, check_range
from causalrep.errors import InputError
from causalrep.iv.ivl.kernel import kernel_ivl, select_kernel_ivl
from causalrep.iv.ivl.neural import neural_ivl, neural_ivl_predict
from causalrep.iv.ivl.objective import Form
from causalrep.iv.nonlinear.base import NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData, check_penalties
from causalrep.iv.nonlinear.kiv import KernelFit, default_penalties, kernel_predict
from causalrep.iv.nonlinear.neural_estimators import NeuralIVEstimator
from causalrep.precision import float64

HELD_OUT = 0.2
LOWERS_BIAS = (
    "IVL lowers the confounding bias of regression by an amount the data do not reveal; what is left is not sampling "
    "error"
)
NOTE = (
    "IVL lowers the confounding bias of regression; it does not remove it. Under augmentation it rests on the "
    "symmetry: the structural function must not change along the augmentation."
)

_fit = jax.jit(kernel_ivl, static_argnames="instrument_penalty")
_select = jax.jit(select_kernel_ivl, static_argnames=("held_out", "instrument_penalty"))
_predict = jax.jit(kernel_predict)


class _Caution:
    """What IVL may claim, in the summary, in place of the assumptions of an instrumental-variable estimator."""

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects between the treatments' quartiles, with what they rest on."""
        found = super().summary(alpha)
        return dataclasses.replace(found, notes=[*found.notes[:-1], NOTE])


class KernelIVL(_Caution, NonlinearIVEstimator):
    """Kernel IV-like regression: kernel ridge regression that trusts what the instruments move more than the rest.

    Meant for outcome-invariant data augmentation: fit on the augmented treatment, the augmentation's parameters as
    ``Z`` and the treatment as it was as ``T_score``. Its cost is cubic in the rows, for each candidate: up to about two
    thousand; above, see :class:`NeuralIVL`.

    Args:
        alpha: The penalty on the ordinary risk, above 0 (to infinity: kernel ridge regression), or ``"cv"``: the
            candidate with the least error on a held-out fifth of the rows.
        alpha_range: Ends of the candidates, on a logarithmic scale.
        candidates: Candidates for alpha, and for the ridge penalty, which is always chosen so.
        penalty_range: Ends of the ridge penalty's candidates; equal ends fix it.
        instrument_penalty: Of the kernel ridge regression on the instruments.
        center: Subtract the outcome's mean before the fit and add it back.
        seed: Of the random order of the rows.

    Attributes:
        alpha_: The penalty used.
        penalty_: The ridge penalty used.
        fit_: The :class:`~causalrep.iv.nonlinear.kiv.KernelFit`.

    There is no interval: IVL lowers the confounding bias by an amount that the data do not reveal.

    Source: Akbar et al. (2025), arXiv 2510.25128, section 3, in a kernel's space.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> c, noise = rng.normal(size=(2, 400))
    >>> t = 2 * c + noise
    >>> y = np.abs(t) + 5 * c
    >>> g = rng.choice([-1.0, 1.0], size=400)  # the mean outcome of -t is that of t
    >>> model = KernelIVL(alpha=0.1, candidates=5).fit(y, g * t, Z=g, T_score=t)
    >>> bool(abs(model.effect(T0=-2.0, T1=2.0)) < 4.0)  # the truth is 0, regression says 8
    True
    """

    _title = "Kernel IV-like regression"
    _no_interval = LOWERS_BIAS

    def __init__(
        self,
        alpha: float | Literal["cv"] = 1.0,
        *,
        alpha_range: tuple[float, float] = (1e-3, 1e3),
        candidates: int = 10,
        penalty_range: tuple[float, float] = (1e-6, 1e-1),
        instrument_penalty: float = 1e-3,
        center: bool = True,
        seed: int = 0,
    ):
        self.alpha = alpha
        self.alpha_range = alpha_range
        self.candidates = candidates
        self.penalty_range = penalty_range
        self.instrument_penalty = instrument_penalty
        self.center = center
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any = None, Z: Any = None, T_score: Any = None) -> Self:
        """Fit the function.

        Args:
            Y: Outcome (n,).
            T: Treatments (n, p); the augmented ones under augmentation.
            X: Exogenous controls (n, q).
            Z: Instruments, or the augmentation's parameters (n, k).
            T_score: Treatments on which candidates are scored (n, p): the un-augmented ones. Default ``T``.

        Raises:
            InputError: If an argument is wrong; the message names it.
        """
        self._score_on = None
        if T_score is not None:
            rows, columns = as_matrix("T", T)[0].shape
            self._score_on = as_matrix("T_score", T_score, rows=rows)[0]
            if self._score_on.shape[1] != columns:
                raise InputError("T_score", found=f"{self._score_on.shape[1]} columns", expected=f"{columns}, as in T")
        try:
            return super().fit(Y, T, X=X, Z=Z)
        finally:
            del self._score_on

    def _check_hyperparameters(self) -> None:
        if isinstance(self.alpha, str):
            check_choice("alpha", self.alpha, ("cv",))
        else:
            check_range("alpha", self.alpha, above=0)
        low = check_range("alpha_range[0]", self.alpha_range[0], above=0)
        check_range("alpha_range[1]", self.alpha_range[1], at_least=low)
        check_penalties(self.candidates, self.penalty_range)
        check_range("instrument_penalty", self.instrument_penalty, above=0)

    def _fit(self, data: NonlinearData) -> None:
        score = data.inputs if self._score_on is None else np.column_stack([self._score_on, data.x])
        arrays = self._shuffled(self.seed, data.y, data.inputs, data.exogenous, score)
        self.offset_ = float(np.mean(data.y)) if self.center else 0.0
        with float64():
            y, x, z, score = (jnp.asarray(a) for a in arrays)
            y = y - self.offset_
            ends = (self.alpha_range, self.penalty_range)
            alphas, penalties = (default_penalties(self.candidates if b > a else 1, a, b) for a, b in ends)
            if not isinstance(self.alpha, str):
                alphas = jnp.asarray([float(self.alpha)])
            options = {"instrument_penalty": float(self.instrument_penalty)}
            alpha, penalty, _ = _select(
                y, x, z, alphas, penalties, held_out=round(HELD_OUT * len(y)), x_score=score, **options
            )
            self.fit_: KernelFit = jax.tree.map(np.asarray, _fit(y, x, z, alpha=alpha, penalty=penalty, **options))
        self.alpha_, self.penalty_ = float(alpha), float(penalty)

    def _function(self, inputs: np.ndarray) -> np.ndarray:
        with float64():
            return np.asarray(_predict(self.fit_, jnp.asarray(inputs))) + self.offset_

    def _facts(self) -> list[tuple[str, str]]:
        how = ", selected by CV" if isinstance(self.alpha, str) else ""
        return [("Penalty alpha", f"{self.alpha_:.4g}{how}"), ("Ridge penalty", f"{self.penalty_:.3g}")]


class NeuralIVL(_Caution, NeuralIVEstimator):
    """Neural IV-like regression: a perceptron trained on ``r^T P r / n + alpha mean r^2``.

    P projects the residuals r of a mini-batch on the instruments, or on the augmentation's parameters.

    Args:
        alpha: The penalty on the ordinary risk, at least 0; 0 is the generalised method of moments.
        form: ``"paper"``, or ``"legacy_gmm"``, ``mean(P r^2) + alpha mean r^2``, as the released code computes.
        hidden: Hidden widths.
        epochs: Passes over the rows.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        seeds: Initialisations trained together; the answer is their mean function.
        seed: Root of all randomness.

    There is no interval; see :class:`NeuralIVEstimator`.

    Source: Akbar et al. (2025), arXiv 2510.25128, section 3 and equation 16.
    """

    _title = "Neural IV-like regression"
    _fit_method, _predict_method = staticmethod(neural_ivl), staticmethod(neural_ivl_predict)

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        form: Form = "paper",
        hidden: tuple[int, ...] = (64, 64),
        epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 3e-3,
        seeds: int = 1,
        seed: int = 0,
    ):
        self.alpha = alpha
        self.form = form
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seeds = seeds
        self.seed = seed

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        check_range("alpha", self.alpha, at_least=0)
        check_choice("form", self.form, ("paper", "legacy_gmm"))
        check_count("epochs", self.epochs)
        check_count("batch_size", self.batch_size)
        if not isinstance(self.hidden, tuple | list) or not self.hidden:
            raise InputError("hidden", found=repr(self.hidden), expected="a tuple of widths, such as (64, 64)")
        for width in self.hidden:
            check_count("hidden", width)

    def _options(self, data: NonlinearData) -> dict[str, Any]:
        return {
            "alpha": float(self.alpha),
            "form": self.form,
            "hidden": tuple(self.hidden),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": float(self.learning_rate),
        }

    def _predict_options(self, data: NonlinearData) -> dict[str, Any]:
        return {"hidden": tuple(self.hidden)}
