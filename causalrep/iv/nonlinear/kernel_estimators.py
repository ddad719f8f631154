"""Kernel estimators of a structural function: KIV and the kernel maximum moment restriction."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.validation import check_choice, check_count
from causalrep.iv.nonlinear.base import NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData, check_penalties
from causalrep.iv.nonlinear.kiv import (
    KernelFit,
    default_penalties,
    kernel_iv,
    kernel_predict,
    nystroem_kernel_iv,
)
from causalrep.iv.nonlinear.mmr import kernel_mmr, nystroem_kernel_mmr
from causalrep.precision import float64

Approximation = Literal["auto", "exact", "nystroem"]
SHRUNK = "the penalties leave a bias of the order of the sampling error, which a bootstrap repeats instead of measuring"
# Rows from which "auto" takes Nystroem features: above, the exact method's cubic cost is felt.
EXACT_UP_TO = 2000

# Compiled once per process, input shape and landmarks, whichever instance calls.
_kernel_iv = jax.jit(kernel_iv)
_nystroem_kernel_iv = jax.jit(nystroem_kernel_iv, static_argnames="landmarks")
_kernel_mmr = jax.jit(kernel_mmr)
_nystroem_kernel_mmr = jax.jit(nystroem_kernel_mmr, static_argnames="landmarks")
_predict = jax.jit(kernel_predict)


class KernelEstimator(NonlinearIVEstimator):
    """What the kernel estimators share: lengthscales by the median distance, penalties, Nystroem features.

    Args:
        candidates: Penalties tried at each stage, all in one program.
        penalty_range: Their ends, on a logarithmic scale; equal ends fix the penalty.
        approximation: ``"exact"`` (cost cubic in the rows), ``"nystroem"`` (linear), or ``"auto"``: exact up to
            2,000 rows.
        landmarks: Rows that span the Nystroem approximation.
        center: Subtract the outcome's mean before the fit and add it back after: the penalties shrink towards it
            rather than towards zero.
        seed: Of the random order of the rows, which makes the halves and the landmarks.

    Attributes:
        fit_: The :class:`~causalrep.iv.nonlinear.kiv.KernelFit`.
        approximation_: ``"exact"`` or ``"nystroem"``.
        penalties_: The penalties chosen, stage by stage.
    """

    _no_interval = SHRUNK
    _stages: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        candidates: int = 25,
        penalty_range: tuple[float, float] = (1e-9, 1.0),
        approximation: Approximation = "auto",
        landmarks: int = 300,
        center: bool = True,
        seed: int = 0,
    ):
        self.candidates = candidates
        self.penalty_range = penalty_range
        self.approximation = approximation
        self.landmarks = landmarks
        self.center = center
        self.seed = seed

    def _check_hyperparameters(self) -> None:
        check_penalties(self.candidates, self.penalty_range)
        check_count("landmarks", self.landmarks)
        check_choice("approximation", self.approximation, ("auto", "exact", "nystroem"))

    def _fit(self, data: NonlinearData) -> None:
        y, inputs, exogenous = self._shuffled(self.seed, data.y, data.inputs, data.exogenous)
        self.offset_ = float(np.mean(y)) if self.center else 0.0
        exact = self.approximation == "exact" or (self.approximation == "auto" and len(y) <= EXACT_UP_TO)
        self.approximation_ = "exact" if exact else "nystroem"
        with float64():
            low, high = self.penalty_range
            penalties = default_penalties(self.candidates if high > low else 1, low, high)
            arrays = [jnp.asarray(a) for a in (y - self.offset_, inputs, exogenous)]
            solve = self._exact if exact else partial(self._nystroem, landmarks=min(self.landmarks, len(y) // 2))
            self.fit_: KernelFit = jax.tree.map(np.asarray, solve(*arrays, penalties))
        self.penalties_ = tuple(float(penalty) for penalty in self.fit_.penalties)

    def _function(self, inputs: np.ndarray) -> np.ndarray:
        with float64():
            return np.asarray(_predict(self.fit_, jnp.asarray(inputs))) + self.offset_

    def _facts(self) -> list[tuple[str, str]]:
        chosen = [(name, f"{value:.3g}") for name, value in zip(self._stages, self.penalties_, strict=True)]
        size = f"Nystroem, {len(self.fit_.centres)} landmarks" if self.approximation_ == "nystroem" else "exact"
        return [("Kernels", f"Gaussian, median lengthscales, {size}"), *chosen]


class KernelIV(KernelEstimator):
    """Kernel instrumental variable regression (KIV): two-stage least squares in kernel spaces.

    Stage 1, on one half of the rows, estimates the conditional mean embedding of the treatment given instruments and
    controls; stage 2, on the other half, is a kernel ridge regression on it. Each stage's penalty is tuned on the
    other's half (causal validation).

    See :class:`KernelEstimator` for the arguments and fitted attributes. There is no interval, because the penalties
    leave a bias of the order of the sampling error.

    Source: Singh, Sahani, Gretton (2019), "Kernel Instrumental Variable Regression", NeurIPS (arXiv 1906.00232).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z, u, v = rng.normal(size=(3, 500))
    >>> t = z + u + 0.3 * v
    >>> model = KernelIV().fit(np.sin(t) + 2 * u, t, Z=z)
    >>> bool(abs(model.effect(T0=-1.0, T1=1.0) - 2 * np.sin(1)) < 0.7)
    True
    """

    _title = "Kernel instrumental variable regression"
    _stages = ("First-stage penalty", "Second-stage penalty")

    def _exact(self, y, inputs, exogenous, penalties):
        return _kernel_iv(y, inputs, exogenous, penalties, penalties)

    def _nystroem(self, y, inputs, exogenous, penalties, *, landmarks):
        return _nystroem_kernel_iv(y, inputs, exogenous, penalties, penalties, landmarks=landmarks)


class KernelMMR(KernelEstimator):
    """Maximum moment restriction in a kernel space (MMR-IV): one stage, no sample split in the final fit.

    The function minimises the largest violation of ``E[(Y - h(T, X)) g(Z, X)] = 0`` over the unit ball of the
    instruments' kernel space, plus a ridge penalty. The penalty is the largest whose held-out violation lies within one
    standard error of the least.

    See :class:`KernelEstimator` for the arguments and fitted attributes. There is no interval, because the penalties
    leave a bias of the order of the sampling error.

    Source: Zhang, Imaizumi, Schoelkopf, Muandet (2020), "Maximum Moment Restriction for Instrumental Variable
    Regression" (arXiv 2010.07684).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z, u, v = rng.normal(size=(3, 500))
    >>> t = z + u + 0.3 * v
    >>> model = KernelMMR(penalty_range=(1e-4, 1e-4)).fit(np.sin(t) + 2 * u, t, Z=z)
    >>> bool(abs(model.effect(T0=-1.0, T1=1.0) - 2 * np.sin(1)) < 0.7)
    True
    """

    _title = "Kernel maximum moment restriction"
    _stages = ("Penalty",)

    def _exact(self, y, inputs, exogenous, penalties):
        return _kernel_mmr(y, inputs, exogenous, penalties)

    def _nystroem(self, y, inputs, exogenous, penalties, *, landmarks):
        return _nystroem_kernel_mmr(y, inputs, exogenous, penalties, landmarks=landmarks)
