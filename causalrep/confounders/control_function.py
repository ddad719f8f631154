"""The control function: Heckman's two steps for a Gaussian confounder that selects into treatment.

    t = 1[a' (1, x, z) + v > 0],   y = b' (1, x) + t (d + g' x) + w,   (v, w) jointly normal given x and z

The part of w that v explains is a multiple of the generalized residual of the probit, ``E[v | x, z, t]``; with it as a
regressor, the treatment is unconfounded. Without excluded z the residual is a function of x and t that differs from a
linear one only by the curvature of the probit: the effect is identified by functional form, and weakly.

Source: Heckman (1979), "Sample Selection Bias as a Specification Error", Econometrica 47(1); the effect that varies
with x and one coefficient of the residual for both arms follow the endogenous switching model with equal slopes.
"""

import warnings
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from causalrep.base.domains import Domain, Whole
from causalrep.base.validation import as_excluded, check_index_alignment
from causalrep.effects import EffectEstimator, LeastSquares
from causalrep.effects.design import EffectDesign
from causalrep.effects.scores import Average
from causalrep.errors import IdentificationWarning, InputError
from causalrep.inference.bootstrap import bootstrap_weights, over_weights
from causalrep.keys import root
from causalrep.linalg import generalized_residual, probit_regression

# If no generalized residual is larger than this, the probit is certain of every unit: the covariates separate the arms.
SEPARATED = 1e-3


class SelectionFit(NamedTuple):
    """Both steps of the control function.

    Attributes:
        base: Effect at x = 0.
        slopes: Change of the effect with x (d,).
        selection: Coefficient of the probit's residual in the outcome: the covariance of v and w.
        probit: Coefficients of the treatment equation, intercept first.
        residual: ``E[v | x, z, t]`` (n,).
        converged: Whether the likelihood of the probit reached its maximum.
    """

    base: Float[Array, ""]
    slopes: Float[Array, " d"]
    selection: Float[Array, ""]
    probit: Float[Array, " q"]
    residual: Float[Array, " n"]
    converged: Bool[Array, ""]

    def effect(self, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """``d + g' x``."""
        return self.base + x @ self.slopes


def control_function(
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    w: Float[Array, " n"] | None = None,
    z: Float[Array, "n k"] | None = None,
) -> SelectionFit:
    """A probit of the treatment, then least squares of the outcome with the probit's residual among the regressors.

    Args:
        x: Covariates of both equations.
        t: Treatment, 0 or 1.
        y: Outcome.
        w: Weights; ones by default.
        z: Excluded covariates: in the treatment equation, not in the outcome.
    """
    w = jnp.ones_like(y) if w is None else w
    design = jnp.column_stack([jnp.ones_like(y), x, *([] if z is None else [z])])
    coefficients, index, converged = probit_regression(design, t, w / jnp.sum(w))
    residual = generalized_residual(index, t)
    # Slopes in the order of the columns: x (d), t, t x (d), the residual.
    slopes = LeastSquares().fit(jnp.column_stack([x, t, t[:, None] * x, residual]), y, w).slopes
    d = x.shape[1]
    return SelectionFit(slopes[d], slopes[d + 1 : 2 * d + 1], slopes[2 * d + 1], coefficients, residual, converged)


class ControlFunction(EffectEstimator):
    """Heckman's control function for a hidden Gaussian confounder of a binary treatment.

    Valid if the hidden causes of treatment and outcome are jointly normal and observed covariates enter linearly. Give
    covariates that move the treatment and not the outcome as ``Z``: without them the effect is identified by the
    curvature of the probit alone, and ``fit`` warns.

    Args:
        draws: Bootstrap samples, of both steps together, behind the intervals.
        seed: Random seed of the bootstrap.

    Attributes:
        selection_fit_: Both steps (:class:`SelectionFit`).

    Source: Heckman (1979), Econometrica 47(1).

    >>> import jax
    >>> from causalrep.data import hidden_confounder
    >>> s = hidden_confounder(jax.random.key(0), n=4000, latent="gaussian", treatment="probit", excluded=1.0)
    >>> model = ControlFunction().fit(s.y, s.t, X=s.x[:, [0, 1, 3, 4]], Z=s.x[:, 2])
    >>> low, high = model.ate_interval()
    >>> bool(low < 2 < high)
    True
    """

    _title = "Control function (Heckman's two steps)"
    _domains: ClassVar[dict[str, Domain]] = {"draws": Whole(2), "seed": Whole(None)}

    def __init__(self, *, draws: int = 200, seed: int = 0):
        self.draws = draws
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any, Z: Any = None) -> Self:
        """Estimate the effect of a binary treatment.

        Args:
            Y: Outcome (n,).
            T: Treatment (n,), 0 or 1.
            X: Covariates of treatment and outcome (n, d).
            Z: Covariates of the treatment alone (n, k).

        Raises:
            InputError: If an argument is wrong.

        Warns:
            IdentificationWarning: If there is no ``Z``.
        """
        self._check_domains()
        check_index_alignment(Y=Y, T=T, X=X, Z=Z)
        self._excluded = as_excluded(Z, X)
        super().fit(Y, T, X=X)
        if Z is None:
            warnings.warn(
                "No excluded covariate Z: the effect is identified by the shape of the normal distribution alone.",
                IdentificationWarning,
                stacklevel=2,
            )
        return self

    def _estimate(self, design: EffectDesign) -> None:
        x, t, y = (jnp.asarray(values) for values in (design.x, design.t, design.y))
        z = None if self._excluded is None else jnp.asarray(self._excluded)
        steps, drawn = _fit_and_bootstrap(root(self.seed), x, t, y, z, draws=self.draws)
        self.selection_fit_ = jax.tree.map(np.asarray, steps)
        effects = np.asarray(steps.effect(x))
        # The residual vanishes as the probit becomes certain of a unit's treatment.
        separated = np.abs(self.selection_fit_.residual).max() < SEPARATED
        if separated or not self.selection_fit_.converged or not np.isfinite(effects).all():
            raise InputError("T", found="a treatment that X separates", expected="overlap: a probit that can be fitted")
        spread = np.std(np.asarray(drawn), axis=0, ddof=1)
        unknown = np.full(len(effects), np.nan)
        self.ate_ = Average(effects.mean(), spread[0], unknown)
        self.att_ = Average(effects[design.t == 1].mean(), spread[1], unknown)

    def effect(self, X: Any = None) -> np.ndarray:
        """Expected effect at each row of ``X`` (m,); at the rows of ``fit`` by default."""
        with self._computing():
            return np.asarray(self.selection_fit_.effect(self.design_.rows_of(X)))

    def _summary_facts(self) -> list[tuple[str, str]]:
        excluded = 0 if self._excluded is None else self._excluded.shape[1]
        return [
            *super()._summary_facts(),
            ("Excluded covariates Z", str(excluded)),
            ("Selection", f"{float(self.selection_fit_.selection):.4g} (coefficient of the probit's residual)"),
        ]

    def _summary_notes(self) -> list[str]:
        by = "the exclusion of Z from the outcome" if self._excluded is not None else "functional form alone"
        return [
            f"Identified by {by}: the hidden causes of treatment and outcome are jointly normal, and observed "
            "covariates enter both linearly. Intervals: bootstrap of both steps."
        ]


@partial(jax.jit, static_argnames="draws")
def _fit_and_bootstrap(
    key: Key[Array, ""], x: Array, t: Array, y: Array, z: Array | None, *, draws: int
) -> tuple[SelectionFit, Float[Array, "draws 2"]]:
    def averages(w: Array) -> Array:
        effects = control_function(x, t, y, w, z).effect(x)
        return jnp.stack([jnp.sum(w * effects) / jnp.sum(w), jnp.sum(w * t * effects) / jnp.sum(w * t)])

    weights = bootstrap_weights(key, t, draws).astype(y.dtype)
    return control_function(x, t, y, z=z), over_weights(averages, weights)
