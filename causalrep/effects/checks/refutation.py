"""Refutation: fit the same estimator to altered data in which the answer is known, and compare.

The checks and their names are those of the DoWhy library. Passing them does not show that an estimate is causal;
failing one shows that something is wrong with it.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import numpy as np
from scipy import stats

from causalrep.base.summary import z_value
from causalrep.base.validation import check_choice, check_count, check_range, check_seed
from causalrep.effects.base import EffectEstimator
from causalrep.errors import CausalrepWarning, InputError
from causalrep.keys import root

# An outcome with at most so many different values is one of classes.
MOST_CLASSES = 10
Check = Literal["placebo_treatment", "random_common_cause", "data_subset", "dummy_outcome"]


@dataclass(frozen=True)
class Refutation:
    """The result of one check.

    Attributes:
        check: Name of the check.
        estimate: The average effect on the original data.
        refuted: Average effects on the altered data (simulations,).
        expected: The value they should be close to: 0 for a placebo treatment or a dummy outcome, else the estimate.
        p_value: Two-sided p-value of the difference between the mean of ``refuted`` and ``expected``; a small one is a
            bad sign. The scale is the standard deviation of ``refuted`` where the answer should be 0, and the standard
            error of the estimate where the answer should stay the same.
    """

    check: str
    estimate: float
    refuted: np.ndarray
    expected: float
    p_value: float

    @property
    def mean(self) -> float:
        """Mean of the altered estimates."""
        return float(self.refuted.mean())

    def __str__(self) -> str:
        return (
            f"{self.check}: estimate {self.estimate:.4g}; on altered data {self.mean:.4g} +- "
            f"{self.refuted.std(ddof=1):.2g}, expected near {self.expected:.4g} (p = {self.p_value:.2g})"
        )


def refute(
    fitted: EffectEstimator,
    check: Check,
    *,
    simulations: int = 20,
    fraction: float = 0.8,
    seed: int = 0,
) -> Refutation:
    """Refit an estimator to altered copies of its own data.

    * ``"placebo_treatment"``: the treatment is permuted; the effect should be 0.
    * ``"random_common_cause"``: a standard normal covariate is added; the estimate should stay the same.
    * ``"data_subset"``: only a random fraction of the rows is kept; the estimate should stay the same.
    * ``"dummy_outcome"``: the outcome is replaced by noise of the same variance, or permuted if it has few different
      values; the effect should be 0.

    Args:
        fitted: An estimator after ``fit``.
        check: Name of the check.
        simulations: Number of altered copies.
        fraction: Share of rows in ``"data_subset"``.
        seed: Random seed of the alterations.

    Raises:
        InputError: If an argument is wrong; or for ``"dummy_outcome"`` with a classifier of more than ten classes,
            which noise cannot train.
    """
    if not isinstance(fitted, EffectEstimator):
        raise InputError("fitted", found=repr(fitted), expected="an effect estimator after fit")
    check_choice("check", check, get_args(Check))
    check_count("simulations", simulations, at_least=2)
    check_seed(seed)
    count = int(simulations)
    fraction = check_range("fraction", fraction, above=0, below=1)
    design, estimate = fitted.design_, fitted.ate()
    if check == "dummy_outcome" and _classifies_outcome(fitted) and len(np.unique(design.y)) > MOST_CLASSES:
        raise InputError(
            "check",
            found="'dummy_outcome' with a classifier of the outcome and many classes",
            expected="a regression of the outcome, since "
            "the dummy outcome is continuous noise; 'placebo_treatment' serves instead",
        )
    alter = _ALTERATIONS[check]
    key = root(seed)
    refuted = np.empty(count)
    for i in range(count):
        # NumPy's generator is seeded by a JAX key, so that one seed determines all randomness.
        words = np.asarray(jax.random.key_data(jax.random.fold_in(key, i)))
        y, t, x, w = alter(design, np.random.default_rng(words), fraction)
        copy = type(fitted)(**fitted.get_params(deep=False))
        with warnings.catch_warnings():
            # The first fit has already issued the same warnings.
            warnings.simplefilter("ignore", CausalrepWarning)
            refuted[i] = copy.fit(y, t, X=x, W=w).ate()
    stays = check in ("random_common_cause", "data_subset")
    expected, scale = (estimate, float(fitted.ate_.se)) if stays else (0.0, float(refuted.std(ddof=1)))
    p_value = float(2 * stats.norm.sf(abs(z_value(float(refuted.mean() - expected), scale))))
    return Refutation(check, estimate, refuted, expected, p_value)


def _classifies_outcome(fitted: EffectEstimator) -> bool:
    learner = getattr(fitted, "outcome", None)
    return hasattr(getattr(learner, "estimator", learner), "predict_proba")


def _given(design: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    d = design.x.shape[1]
    return (design.x if d else None), (design.xw[:, d:] if design.xw.shape[1] > d else None)


def _placebo(design, rng, fraction):
    return design.y, rng.permutation(design.t), *_given(design)


def _common_cause(design, rng, fraction):
    x, w = _given(design)
    noise = rng.standard_normal((len(design.y), 1))
    # The new covariate goes to X if the estimator was given X, since not all of them take W.
    return (
        (design.y, design.t, np.column_stack([x, noise]), w)
        if x is not None
        else (design.y, design.t, None, np.column_stack([w, noise]))
    )


def _subset(design, rng, fraction):
    rows = np.sort(rng.choice(len(design.y), int(fraction * len(design.y)), replace=False))
    x, w = _given(design)
    return design.y[rows], design.t[rows], None if x is None else x[rows], None if w is None else w[rows]


def _dummy_outcome(design, rng, fraction):
    if len(np.unique(design.y)) <= MOST_CLASSES:
        # Classes stay classes, so that a classifier or a logistic regression can be refitted.
        return rng.permutation(design.y), design.t, *_given(design)
    return design.y.std() * rng.standard_normal(len(design.y)), design.t, *_given(design)


_ALTERATIONS: dict[str, Callable] = {
    "placebo_treatment": _placebo,
    "random_common_cause": _common_cause,
    "data_subset": _subset,
    "dummy_outcome": _dummy_outcome,
}
