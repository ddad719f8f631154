"""IV-like regression in the space of a kernel: kernel ridge regression takes the place of the projection.

With K and K_Z the kernel matrices of the treatment and the instruments, ``P = K_Z (K_Z + n l I)^-1`` smooths over the
instruments as the projection does in the linear model, and the function minimizes

    ``[(y - h)^T P (y - h) + alpha |y - h|^2] / (n (1 + alpha)) + penalty |h|^2``

over the kernel's space. Its weights solve ``(K + n penalty W^-1) a = y`` with ``W = (P + alpha I) / (1 + alpha)``; the
eigenvectors of K_Z give the inverse of W for every alpha. As alpha tends to infinity it becomes kernel ridge
regression.

Source: an extension that Akbar et al. (arXiv 2510.25128) leave open. The risk is that of their section 3; the linear
system is ours.
"""

from functools import partial
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.domains import Choice, Domain, Either, Flag, Range, Real, Whole
from causalrep.iv.ivl.selection import as_scoring_treatment
from causalrep.iv.nonlinear.base import Fitted, NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData, shuffled
from causalrep.iv.nonlinear.kernel_fit import KernelFit, candidate_penalties, evaluate_kernel
from causalrep.iv.nonlinear.kernels import gaussian_kernel, median_lengthscale
from causalrep.linalg import eigh, spd_solve

HELD_OUT = 0.2
LOWERS_BIAS = (
    "IVL lowers the confounding bias of regression by an amount the data do not reveal; what is left is not sampling "
    "error"
)
# What IVL may claim, in place of the assumptions of an instrumental-variable estimator.
SYMMETRY = (
    "IVL lowers the confounding bias of regression; it does not remove it. Under augmentation it rests on the "
    "symmetry: the structural function must not change along the augmentation."
)


def kernel_ivl(
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    alpha: Float[Array, ""] | float,
    penalty: Float[Array, ""] | float,
    instrument_penalty: float = 1e-3,
) -> KernelFit:
    """Kernel IVL at fixed penalties, by two dense factorizations, at a cost cubic in the rows.

    Args:
        y: Outcome.
        x: Treatment, the augmented one under augmentation, and controls.
        z: Instruments or the augmentation's parameters, and controls.
        alpha: Weight of the ordinary risk, above 0.
        penalty: Penalty of the function's squared norm, above 0.
        instrument_penalty: Penalty l of the regression on the instruments.
    """
    x_scale = median_lengthscale(x)
    eigenvalues, vectors = _smoother(z, instrument_penalty)
    weights = _solve(y, gaussian_kernel(x, x, x_scale), eigenvalues, vectors, alpha, penalty)
    return KernelFit(weights, x, x_scale, (jnp.asarray(alpha), jnp.asarray(penalty)), ())


def select_kernel_ivl(
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    alphas: Float[Array, " a"],
    penalties: Float[Array, " l"],
    *,
    held_out: int,
    x_score: Float[Array, "n d"] | None = None,
    instrument_penalty: float = 1e-3,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, "a l"]]:
    """The pair of penalties with the least squared error on held-out rows.

    Args:
        y: Outcome; rows in random order.
        x: Treatment of the fit.
        z: Instruments.
        alphas: Candidates for alpha.
        penalties: Candidates for the penalty.
        held_out: Number of rows, the last ones, that are held out.
        x_score: Treatment of the score, the un-augmented one under augmentation; default ``x``.
        instrument_penalty: See :func:`kernel_ivl`.

    Returns:
        The chosen alpha and penalty, and the error of every pair.
    """
    n = y.shape[0] - held_out
    x_scale = median_lengthscale(x)
    k = gaussian_kernel(x[:n], x[:n], x_scale)
    k_score = gaussian_kernel((x if x_score is None else x_score)[n:], x[:n], x_scale)
    eigenvalues, vectors = _smoother(z[:n], instrument_penalty)

    def error(pair):
        weights = _solve(y[:n], k, eigenvalues, vectors, *pair)
        return jnp.mean(jnp.square(y[n:] - k_score @ weights))

    # One pair after the other: a batch of n x n systems would fill the memory.
    grid = [values.reshape(-1) for values in jnp.meshgrid(alphas, penalties, indexing="ij")]
    errors = jax.lax.map(error, tuple(grid))
    best = jnp.argmin(errors)
    return grid[0][best], grid[1][best], errors.reshape(alphas.shape[0], penalties.shape[0])


def _smoother(z: Float[Array, "n k"], penalty: float) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Eigenvalues of P, in [0, 1), and its eigenvectors."""
    values, vectors = eigh(gaussian_kernel(z, z, median_lengthscale(z)))
    values = jnp.maximum(values, 0.0)
    return values / (values + z.shape[0] * penalty), vectors


def _solve(y, k, eigenvalues, vectors, alpha, penalty) -> Float[Array, " n"]:
    # W^-1 has the eigenvectors of P and the eigenvalues (1 + alpha) / (eigenvalue + alpha).
    inverse = (vectors * ((1.0 + alpha) / (eigenvalues + alpha))) @ vectors.T
    return spd_solve(k + y.shape[0] * penalty * inverse, y)


class KernelIVL(NonlinearIVEstimator):
    """Kernel IV-like regression: kernel ridge regression that gives variation by the instruments more weight.

    It is meant for outcome-invariant data augmentation: fit on the augmented treatment, with the parameters of the
    augmentation as ``Z`` and the original treatment as ``T_score``. Its cost is cubic in the rows for each candidate.
    For more than about 2,000 rows see :class:`NeuralIVL`.

    Args:
        alpha: Weight of the ordinary risk, above 0 (kernel ridge regression as it tends to infinity), or ``"cv"``: the
            candidate with the least error on a held-out fifth of the rows.
        alpha_range: Lowest and highest candidate for alpha, on a logarithmic scale.
        candidates: Number of candidates for alpha and for the ridge penalty, which is always selected by CV.
        penalty_range: Lowest and highest candidate for the ridge penalty; equal ends fix it.
        instrument_penalty: Penalty of the kernel ridge regression on the instruments.
        center: Subtract the outcome's mean before the fit and add it back after.
        seed: Random seed of the order of the rows.

    Attributes:
        alpha_: The weight used.
        penalty_: The ridge penalty used.
        fit_: The :class:`~causalrep.iv.nonlinear.kernel_fit.KernelFit`.

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
    _assumptions = SYMMETRY
    _domains: ClassVar[dict[str, Domain]] = {
        "alpha": Either(Real(above=0), Choice("cv")),
        "alpha_range": Range(),
        "candidates": Whole(),
        "penalty_range": Range(),
        "instrument_penalty": Real(above=0),
        "center": Flag(),
        "seed": Whole(None),
    }

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
            T_score: Treatments on which candidates are scored (n, p), the un-augmented ones; default ``T``.

        Raises:
            InputError: If an argument is wrong; the message names it.
        """
        self._check_domains()
        self._score_on = as_scoring_treatment(T, T_score)
        try:
            return super().fit(Y, T, X=X, Z=Z)
        finally:
            del self._score_on

    def _fit(self, data: NonlinearData) -> Fitted:
        score = data.inputs if self._score_on is None else np.column_stack([self._score_on, data.x])
        y, x, z, score = map(jnp.asarray, shuffled(self.seed, data.y, data.inputs, data.exogenous, score))
        offset = float(np.mean(data.y)) if self.center else 0.0
        y = y - offset
        penalties = candidate_penalties(self.candidates, self.penalty_range)
        if isinstance(self.alpha, str):
            alphas = candidate_penalties(self.candidates, self.alpha_range)
        else:
            alphas = jnp.asarray([float(self.alpha)])
        options = {"instrument_penalty": float(self.instrument_penalty)}
        alpha, penalty, _ = _select(
            y, x, z, alphas, penalties, held_out=round(HELD_OUT * len(y)), x_score=score, **options
        )
        self.fit_: KernelFit = jax.tree.map(np.asarray, _fit(y, x, z, alpha=alpha, penalty=penalty, **options))
        self.alpha_, self.penalty_ = float(alpha), float(penalty)
        how = ", selected by CV" if isinstance(self.alpha, str) else ""
        facts = [("Penalty alpha", f"{self.alpha_:.4g}{how}"), ("Ridge penalty", f"{self.penalty_:.3g}")]
        return partial(evaluate_kernel, self.fit_, offset), facts


_fit = jax.jit(kernel_ivl, static_argnames="instrument_penalty")
_select = jax.jit(select_kernel_ivl, static_argnames=("held_out", "instrument_penalty"))
