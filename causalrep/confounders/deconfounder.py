"""The deconfounder: a factor model of many treatments as a substitute for their common confounders.

Wang and Blei (2019), "The Blessings of Multiple Causes", JASA 114(528), with probabilistic principal components. Its
promise is disputed (D'Amour 2019, AISTATS; Ogburn, Shpitser and Tchetgen Tchetgen 2019, JASA): a confounder of a single
treatment leaves no trace in the others, and effects are not identified without further assumptions.
"""

import warnings
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Domain, Real, Whole
from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import as_matrix, as_vector, check_index_alignment
from causalrep.effects import LeastSquares
from causalrep.errors import IdentificationWarning, InputError
from causalrep.keys import root
from causalrep.linalg import spd_solve
from causalrep.precision import in_float64

# Range of the predictive score of an adequate factor model (Wang and Blei 2019, section 3).
ACCEPTED = (0.1, 0.9)


class FactorModel(NamedTuple):
    """Probabilistic principal components of standardized causes: ``a = W z + N(0, noise I)``, ``z ~ N(0, I)``.

    Attributes:
        loadings: W (m, k).
        noise: Variance of the part of each cause that the factors do not explain.
    """

    loadings: Float[Array, "m k"]
    noise: Float[Array, ""]


def factor_model(a: Float[Array, "n m"], factors: int) -> FactorModel:
    """Maximum likelihood of probabilistic principal components, in closed form.

    Args:
        a: Standardized causes.
        factors: k, fewer than m.

    Source: Tipping and Bishop (1999), Journal of the Royal Statistical Society B 61(3).
    """
    # W = V_k (L_k - noise I)^(1/2), with noise the mean of the other eigenvalues; eigh sorts them in ascending order.
    values, vectors = jnp.linalg.eigh(a.T @ a / a.shape[0])
    noise = jnp.mean(values[:-factors])
    top, directions = values[::-1][:factors], vectors[:, ::-1][:, :factors]
    return FactorModel(directions * jnp.sqrt(jnp.maximum(top - noise, 0.0)), noise)


def substitute(
    model: FactorModel, a: Float[Array, "n m"], used: Float[Array, " m"] | None = None
) -> tuple[Float[Array, "n k"], Float[Array, "k k"]]:
    """Posterior mean of z for each row, and its covariance, from the causes marked in ``used`` (all by default)."""
    w = model.loadings if used is None else model.loadings * used[:, None]
    precision = w.T @ w + model.noise * jnp.eye(w.shape[1], dtype=w.dtype)
    return spd_solve(precision, w.T @ a.T).T, model.noise * spd_solve(precision, jnp.eye(w.shape[1], dtype=w.dtype))


def predictive_score(key: Key[Array, ""], model: FactorModel, a: Float[Array, "n m"], draws: int = 100) -> Array:
    """Comparison of held-out rows with rows drawn from the model: 0.5 if alike, near 0 if the model does not fit.

    In each row a random half of the causes gives z, and the log density of the other half is compared with that of
    replicated halves: the share of replicates that are less probable, averaged over rows.

    Args:
        key: Random key.
        model: A factor model that was fitted to other rows.
        a: Held-out rows, standardized like the rows of the fit.
        draws: Replicates per row.
    """
    half_key, draw_key = jax.random.split(key)
    n, m = a.shape
    seen = jnp.arange(m) < m // 2
    halves = jax.vmap(lambda row_key: jax.random.permutation(row_key, seen))(jax.random.split(half_key, n))

    def one(row: Array, half: Array, row_key: Array) -> Array:
        mean, covariance = substitute(model, row[None], half.astype(row.dtype))
        # Given the seen half, the hidden one is N(W mean, W cov W' + noise I). Whitened, its log density is minus half
        # a squared length plus a constant. Seen causes get the identity and a residual of 0: shapes stay static.
        spread = model.loadings @ covariance @ model.loadings.T + model.noise * jnp.eye(m, dtype=row.dtype)
        hidden = ~half
        inside = jnp.where(hidden[:, None] & hidden[None, :], spread, jnp.eye(m, dtype=row.dtype))
        whitened = jax.scipy.linalg.solve_triangular(
            jnp.linalg.cholesky(inside), jnp.where(hidden, row - model.loadings @ mean[0], 0.0), lower=True
        )
        replicates = jax.random.normal(row_key, (draws, m), row.dtype) * hidden
        return jnp.mean(jnp.sum(replicates**2, axis=1) > jnp.sum(whitened**2))

    return jnp.mean(jax.lax.map(lambda args: one(*args), (a, halves, jax.random.split(draw_key, n))))


class Deconfounder(Estimator):
    """Effects of many treatments, adjusted for a factor that is inferred from the treatments themselves.

    For cause j the substitute confounder is inferred from the *other* causes, and Y is regressed on cause j and the
    substitute. (With a linear factor model the substitute from all causes is a linear function of them, and a
    regression on both has no unique solution: this remedy is ours.)

    **Caveats.** A confounder of one treatment alone leaves no trace in the others. A single treatment is therefore
    refused. With several, only a confounder of all of them can be detected, and its substitute becomes exact only as
    their number grows. The predictive check detects a model that is too rich for its rows; with three factors in the
    data and one in the model it passed (score 0.59 in a simulation) while effects stayed wrong. There is no interval:
    the error of the substitute is not sampling error.

    Args:
        factors: Dimension of the factor, fewer than half of the causes.
        held_out: Share of the rows on which the factor model is checked.
        seed: Random seed of the check.

    Attributes:
        effects_: Effect of one unit of each cause (a Series of length m).
        effects_without_: Effects from regressions on each cause alone.
        predictive_score_: The score of :func:`predictive_score`; between 0.1 and 0.9 if the factor model is tenable.
        substitute_: Posterior mean of the factor from all causes (n, factors).

    Source: Wang and Blei (2019), JASA 114(528).

    >>> import warnings
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=1000)
    >>> causes = z[:, None] + rng.normal(size=(1000, 20))
    >>> y = causes[:, 0] + 4 * z + rng.normal(size=1000)
    >>> with warnings.catch_warnings(action="ignore"):
    ...     model = Deconfounder().fit(y, causes)
    >>> [round(float(effects.iloc[0])) for effects in (model.effects_without_, model.effects_)]
    [3, 1]
    """

    _title = "Deconfounder: effects of many treatments"
    _domains: ClassVar[dict[str, Domain]] = {
        "factors": Whole(),
        "held_out": Real(above=0, below=1),
        "seed": Whole(None),
    }

    def __init__(self, *, factors: int = 1, held_out: float = 0.2, seed: int = 0):
        self.factors = factors
        self.held_out = held_out
        self.seed = seed

    def fit(self, Y: Any, T: Any) -> Self:
        """Fit the factor model to the causes, check it, and estimate their effects.

        Args:
            Y: Outcome (n,).
            T: Treatments (n, m), numeric, at least two (and more than twice the factors).

        Raises:
            InputError: If an argument is wrong; if there is a single treatment.

        Warns:
            IdentificationWarning: Always, because the effects depend on the factor model; the message says if the model
                fails its check.
        """
        self._check_domains()
        check_index_alignment(Y=Y, T=T)
        y, self._outcome = as_vector("Y", Y)
        causes, self._names = as_matrix("T", T, rows=len(y))
        if causes.shape[1] < 2:
            raise InputError(
                "T",
                found="one treatment",
                expected="several treatments: a confounder of a single one leaves no trace in others (see VLUCI, CEVAE "
                "or ControlFunction)",
            )
        if 2 * self.factors >= causes.shape[1]:
            raise InputError("factors", found=self.factors, expected=f"fewer than half of the {causes.shape[1]} causes")
        if (np.ptp(causes, axis=0) == 0).any():
            raise InputError("T", found="a constant treatment", expected="treatments that vary")
        check = round(self.held_out * len(y))
        if check < 10 or len(y) - check < 10:
            raise InputError("held_out", found=f"{self.held_out} of {len(y)} rows", expected="10 or more on each side")
        self._estimate(y, causes)
        low, high = ACCEPTED
        message = (
            "Effects are identified only if every confounder moves several treatments and the factor model is right."
        )
        if not low <= self.predictive_score_ <= high:
            message += (
                f" And the factor model fails its check: its predictive score is {self.predictive_score_:.2g}, outside "
                f"[{low:g}, {high:g}]."
            )
        warnings.warn(message, IdentificationWarning, stacklevel=2)
        return self

    @in_float64
    def _estimate(self, y: np.ndarray, causes: np.ndarray) -> None:
        y, scale = jnp.asarray(y), causes.std(axis=0)
        a = jnp.asarray((causes - causes.mean(axis=0)) / scale)
        order = np.random.default_rng(self.seed).permutation(len(y))
        rest, check = np.split(order, [len(y) - round(self.held_out * len(y))])
        check_model = factor_model(a[rest], self.factors)
        self.predictive_score_ = float(jax.jit(predictive_score)(root(self.seed), check_model, a[check]))
        model = factor_model(a, self.factors)
        ones, m = jnp.ones_like(y), a.shape[1]

        def both(j: Array) -> tuple[Array, Array]:
            z, _ = substitute(model, a, (jnp.arange(m) != j).astype(a.dtype))
            cause = jnp.take(a, j, axis=1)
            alone = LeastSquares().fit(cause[:, None], y, ones).slopes[0]
            return LeastSquares().fit(jnp.column_stack([cause, z]), y, ones).slopes[0], alone

        adjusted, alone = jax.jit(lambda js: jax.lax.map(both, js))(jnp.arange(m))
        self.effects_ = pd.Series(np.asarray(adjusted) / scale, index=self._names)
        self.effects_without_ = pd.Series(np.asarray(alone) / scale, index=self._names)
        self.substitute_ = np.asarray(substitute(model, a)[0])

    def summary(self) -> Summary:
        """Effects with and without the substitute, the check of the factor model, and the caveats."""
        table = pd.DataFrame({"adjusted": self.effects_, "cause alone": self.effects_without_})
        low, high = ACCEPTED
        verdict = "tenable" if low <= self.predictive_score_ <= high else "NOT tenable"
        facts = [
            ("Outcome", self._outcome),
            ("Rows", str(len(self.substitute_))),
            ("Factors", f"{self.substitute_.shape[1]} for {len(self.effects_)} treatments"),
            ("Predictive score", f"{self.predictive_score_:.2f} ({verdict}; {low:g} to {high:g} is)"),
        ]
        notes = [
            "NOT identified without assumptions: every confounder moves several treatments, the factor model is right, "
            "and the treatments are many. A confounder of one treatment is not adjusted for.",
            "No interval: the error of the substitute is not sampling error.",
        ]
        return Summary(self._title, facts, table, notes)
