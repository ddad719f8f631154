"""Sieve estimators of a structural function: two-stage least squares on a series basis, plain and with ridge."""

from functools import partial
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causalrep.base.domains import Choice, Domain, Optional, Range, Whole
from causalrep.base.validation import check_count, check_range
from causalrep.errors import InputError
from causalrep.inference.sandwich import Covariance
from causalrep.iv.linear.kclass import two_stage_least_squares
from causalrep.iv.nonlinear.base import Fitted, NonlinearIVEstimator
from causalrep.iv.nonlinear.bases import CUBIC, Basis, BasisKind, evaluate_basis, make_basis
from causalrep.iv.nonlinear.door import NonlinearData, shuffled
from causalrep.iv.nonlinear.kernel_fit import SHRUNK, candidate_penalties
from causalrep.iv.nonlinear.ridge import two_stage_ridge

_two_stage_least_squares = jax.jit(partial(two_stage_least_squares, covariance=Covariance("HC1")))
_two_stage_ridge = jax.jit(two_stage_ridge)
_evaluate = jax.jit(evaluate_basis)
# Splines need more terms, see _check_terms.
DOMAINS: dict[str, Domain] = {
    "terms": Whole(2),
    "instrument_terms": Optional(Whole(2)),
    "basis": Choice(*get_args(BasisKind)),
}


class SieveIV(NonlinearIVEstimator):
    """Sieve two-stage least squares: linear in a series basis, with intervals.

    Treatments (and controls) are expanded in a tensor product of B-splines or in polynomials, instruments (and
    controls) in a richer one, and two-stage least squares runs on them. Intervals are pointwise, robust to
    heteroskedasticity, and treat the basis as rich enough for its bias to be small beside the standard error
    (undersmoothing); add terms to see whether an answer depends on them.

    Args:
        terms: Number of one-dimensional functions per treatment and control: at least 4 for splines, 2 for polynomials.
        instrument_terms: Number of functions per instrument and control; default ``terms + 2``.
        basis: ``"spline"`` (cubic, knots at quantiles) or ``"polynomial"`` (up to a total degree of ``terms - 1``).

    Attributes:
        basis_: Basis of treatments and controls.
        coef_: Coefficients of the basis (J,).
        cov_: Covariance of ``coef_`` (J, J).
        instruments_: Number K of terms in the instruments' basis.

    Source: Newey and Powell (2003), "Instrumental Variable Estimation of Nonparametric Models"; inference: Chen and
    Christensen (2018), "Optimal sup-norm rates and uniform inference on nonlinear functionals of nonparametric IV
    regression".

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z, u, v = rng.normal(size=(3, 3000))
    >>> t = z + u + 0.3 * v
    >>> model = SieveIV(terms=4, basis="polynomial").fit(np.sin(t) + 2 * u, t, Z=z)
    >>> lower, upper = model.ate_interval(T0=-1.0, T1=1.0)
    >>> bool(lower < 2 * np.sin(1) < upper)
    True
    """

    _title = "Sieve two-stage least squares"
    _domains = DOMAINS

    def __init__(self, terms: int = 7, *, instrument_terms: int | None = None, basis: BasisKind = "spline"):
        self.terms = terms
        self.instrument_terms = instrument_terms
        self.basis = basis

    def _check_hyperparameters(self) -> None:
        _check_terms(self)

    def _fit(self, data: NonlinearData) -> Fitted:
        self.basis_, treatments, instruments = _features(self, data, most=len(data.y) - 1)
        _check_rank(treatments, instruments)
        self.instruments_ = instruments.shape[1]
        fit = _two_stage_least_squares(jnp.asarray(data.y), treatments, instruments, None)
        self.coef_, self.cov_ = np.asarray(fit.coef), np.asarray(fit.cov)
        return partial(_sieve, self.basis_, self.coef_), _sieve_facts(self.basis_, self.instruments_)

    def _interval(
        self, before: np.ndarray, after: np.ndarray, alpha: float, *, average: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        check_range("alpha", alpha, above=0, below=1)
        with self._computing():
            contrast = _terms(self.basis_, after) - _terms(self.basis_, before)
        contrast = contrast.mean(axis=0, keepdims=True) if average else contrast
        center = contrast @ self.coef_
        half = stats.norm.isf(alpha / 2) * np.sqrt(np.einsum("ij,jk,ik->i", contrast, self.cov_, contrast))
        return center - half, center + half


class RidgeSieveIV(NonlinearIVEstimator):
    """Sieve two-stage least squares with a ridge penalty at each stage, tuned by causal validation as in KIV.

    Stage 1 is fitted on one half of the rows and stage 2 on the other; each penalty is chosen on the half that its
    stage has not seen. The penalties allow richer bases than :class:`SieveIV` can fit. There is no interval, because
    the penalties leave a bias of the order of the sampling error.

    Args:
        terms: Number of one-dimensional functions per treatment and control: at least 4 for splines, 2 for polynomials.
        instrument_terms: Number of functions per instrument and control; default ``terms + 2``.
        basis: ``"spline"`` or ``"polynomial"``, as in :class:`SieveIV`.
        candidates: Number of penalties tried at each stage, all in one program.
        penalty_range: Lowest and highest penalty, on a logarithmic scale; equal ends fix the penalty.
        seed: Random seed of the halves.

    Attributes:
        basis_: Basis of treatments and controls.
        coef_: Coefficients of the basis (J,).
        penalties_: The penalties chosen, stage by stage.
        instruments_: Number K of terms in the instruments' basis.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z, u, v = rng.normal(size=(3, 3000))
    >>> t = z + u + 0.3 * v
    >>> model = RidgeSieveIV().fit(np.sin(t) + 2 * u, t, Z=z)
    >>> bool(abs(model.effect(T0=-1.0, T1=1.0) - 2 * np.sin(1)) < 0.5)
    True
    """

    _title = "Ridge sieve two-stage least squares"
    _no_interval = SHRUNK
    _domains = DOMAINS | {"candidates": Whole(), "penalty_range": Range(), "seed": Whole(None)}

    def __init__(
        self,
        terms: int = 8,
        *,
        instrument_terms: int | None = None,
        basis: BasisKind = "spline",
        candidates: int = 25,
        penalty_range: tuple[float, float] = (1e-9, 1.0),
        seed: int = 0,
    ):
        self.terms = terms
        self.instrument_terms = instrument_terms
        self.basis = basis
        self.candidates = candidates
        self.penalty_range = penalty_range
        self.seed = seed

    def _check_hyperparameters(self) -> None:
        _check_terms(self)

    def _fit(self, data: NonlinearData) -> Fitted:
        self.basis_, *features = _features(self, data)
        self.instruments_ = features[1].shape[1]
        offset = float(np.mean(data.y))
        blocks = shuffled(self.seed, *map(np.asarray, features), data.y - offset)
        half = len(data.y) // 2
        halves = [(jnp.asarray(block[:half]), jnp.asarray(block[half:])) for block in blocks]
        penalties = candidate_penalties(self.candidates, self.penalty_range)
        fit = _two_stage_ridge(*halves, penalties, penalties)
        self.coef_ = np.asarray(fit.coef)
        self.penalties_ = float(fit.first_penalty), float(fit.second_penalty)
        names = ("First-stage penalty", "Second-stage penalty")
        chosen = [(name, f"{value:.3g}") for name, value in zip(names, self.penalties_, strict=True)]
        facts = [*_sieve_facts(self.basis_, self.instruments_), *chosen]
        return partial(_sieve, self.basis_, self.coef_, offset=offset), facts


def _check_terms(estimator: "SieveIV | RidgeSieveIV") -> None:
    least = CUBIC + 1 if estimator.basis == "spline" else 2
    check_count("terms", estimator.terms, at_least=least)
    if estimator.instrument_terms is not None:
        check_count("instrument_terms", estimator.instrument_terms, at_least=least)


def _features(
    estimator: "SieveIV | RidgeSieveIV", data: NonlinearData, most: int | None = None
) -> tuple[Basis, jax.Array, jax.Array]:
    """The structural basis, its values at the data (n, J), and those of at most ``most`` instruments (n, K)."""
    inputs, exogenous = jnp.asarray(data.inputs), jnp.asarray(data.exogenous)
    basis = make_basis(inputs, estimator.terms, estimator.basis)
    instruments = make_basis(exogenous, estimator.instrument_terms or estimator.terms + 2, estimator.basis)
    if instruments.size < basis.size:
        raise InputError(
            "instrument_terms",
            found=f"{instruments.size} products of the instruments for {basis.size} of the treatments",
            expected="at least as many: raise instrument_terms or lower terms",
        )
    if most is not None and instruments.size > most:
        raise InputError(
            "instrument_terms",
            found=f"{instruments.size} products of the instruments for {len(inputs)} rows",
            expected="fewer terms than rows",
        )
    # Kept as NumPy arrays: unpickled in a process without 64-bit types, a JAX array would lose half of its digits.
    return jax.tree.map(np.asarray, basis), _evaluate(basis, inputs), _evaluate(instruments, exogenous)


def _terms(basis: Basis, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(_evaluate(basis, jnp.asarray(inputs)))


def _sieve(basis: Basis, coef: np.ndarray, inputs: np.ndarray, *, offset: float = 0.0) -> np.ndarray:
    """The structural function of either estimator."""
    return _terms(basis, inputs) @ coef + offset


def _sieve_facts(basis: Basis, instruments: int) -> list[tuple[str, str]]:
    return [("Basis", f"{basis.kind}, {basis.size} terms for {instruments} instruments")]


def _check_rank(treatments: jax.Array, instruments: jax.Array) -> None:
    """Refuse bases that are linearly dependent on these rows, or that the instruments do not identify."""
    needed = treatments.shape[1]
    if np.linalg.matrix_rank(np.asarray(treatments), rtol=1e-10) < needed:
        raise InputError(
            "terms",
            found=f"{needed} products that are linearly dependent on these rows",
            expected="fewer terms, or more distinct treatment values",
        )
    rank = int(np.linalg.matrix_rank(np.asarray(instruments), rtol=1e-10))
    if rank < needed:
        raise InputError(
            "Z",
            found=f"instruments whose basis has rank {rank} for {needed} products of the treatments",
            expected="instruments with more distinct values, or fewer terms",
        )
