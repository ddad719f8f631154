"""A hidden linear confounder by Markov chain Monte Carlo: a posterior of the effect, for small problems."""

import importlib
import warnings
from functools import partial
from typing import Any, ClassVar, Self, get_args

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from jaxtyping import Array, Float
from numpyro.diagnostics import effective_sample_size, gelman_rubin
from numpyro.infer import MCMC, NUTS, Predictive, init_to_value

from causalrep.base.domains import Choice, Domain, Real, Whole
from causalrep.base.summary import Summary
from causalrep.base.validation import (
    as_excluded,
    check_index_alignment,
    check_range,
)
from causalrep.confounders.confounded_law import Confounded, Law
from causalrep.effects import EffectEstimator
from causalrep.effects.design import EffectDesign
from causalrep.effects.scores import Average
from causalrep.errors import IdentificationWarning
from causalrep.keys import derive, root
from causalrep.training.rows import Scaling

# Potential scale reduction above which the chains disagree about the effect.
LARGEST_R_HAT = 1.05


def confounder_program(
    x: Float[Array, "n d"], z: Float[Array, "n k"], law: Law, prior_scale: float, ty: Float[Array, "n 2"] | None = None
) -> None:
    """The NumPyro model, in standardized units: a linear confounder u, integrated out.

    The sign of u is fixed by ``b > 0``. All coefficients are N(0, ``prior_scale``^2), intercepts and the average effect
    twice as wide; b and s are half-normal.

    Args:
        x: Covariates of treatment and outcome.
        z: Covariates of the treatment alone; may have no columns.
        law: Law of u.
        prior_scale: Scale of the priors.
        ty: Treatment and outcome; None generates them.
    """
    d, k = x.shape[1], z.shape[1]

    def slopes(name: str, count: int) -> Array:
        return numpyro.sample(name, dist.Normal(0.0, prior_scale).expand([count]).to_event(1))

    wide = dist.Normal(0.0, 2 * prior_scale)
    index = numpyro.sample("treatment_intercept", wide) + x @ slopes("treatment_slopes", d)
    if k:
        index = index + z @ slopes("excluded_slopes", k)
    base = numpyro.sample("outcome_intercept", wide) + x @ slopes("outcome_slopes", d)
    effect = numpyro.sample("effect", wide) + x @ slopes("effect_slopes", d)
    b = numpyro.sample("b", dist.HalfNormal(2 * prior_scale))
    c = numpyro.sample("c", dist.Normal(0.0, prior_scale))
    s = numpyro.sample("s", dist.HalfNormal(prior_scale))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("ty", Confounded(index, base, effect, b, c, s, law), obs=ty)


class BayesianConfounder(EffectEstimator):
    """The posterior of an effect when one confounder is hidden, everything is linear, and its law is known.

    Covariates, treatment and outcome do not identify the effect; the law of the confounder and the priors do. Credible
    intervals take both as given: vary ``latent`` and ``prior_scale`` before trusting one. Suited to hundreds of rows,
    not to many thousands, because every step of a chain reads all of them.

    Args:
        latent: Law of the confounder, which decides the answer: ``"two_point"`` with a logit treatment, or
            ``"gaussian"`` with a probit one.
        prior_scale: Standard deviation of the coefficients' priors; covariates and outcome are standardized.
        warmup: Steps per chain that tune the sampler.
        draws: Draws per chain that are kept.
        chains: Number of chains, run one after another.
        seed: Random seed.

    Attributes:
        mcmc_: NumPyro's :class:`~numpyro.infer.MCMC`, with all draws.
        effects_: Draws of the average effect (chains, draws).
        diagnostics_: Largest potential scale reduction (r_hat), smallest effective sample size, and divergences.

    Source: Heckman (1979) and a mixture of regressions for the models, Hoffman and Gelman (2014) for the sampler.

    >>> import warnings
    >>> import jax
    >>> from causalrep.data import hidden_confounder
    >>> s = hidden_confounder(jax.random.key(3), n=300)
    >>> with warnings.catch_warnings(action="ignore"):
    ...     model = BayesianConfounder("two_point", warmup=200, draws=150, chains=2).fit(s.y, s.t, X=s.x)
    >>> low, high = model.ate_interval()
    >>> bool(low < (s.mu1 - s.mu0).mean() < high), high - low < 1
    (True, True)
    """

    _title = "Effect with one confounder hidden, by Markov chain Monte Carlo"
    _rows_per_arm = 5
    _domains: ClassVar[dict[str, Domain]] = {
        "latent": Choice(*get_args(Law)),
        "prior_scale": Real(above=0),
        "warmup": Whole(),
        "draws": Whole(2),
        "chains": Whole(),
        "seed": Whole(None),
    }

    def __init__(
        self,
        latent: Law,
        *,
        prior_scale: float = 1.0,
        warmup: int = 500,
        draws: int = 500,
        chains: int = 4,
        seed: int = 0,
    ):
        self.latent = latent
        self.prior_scale = prior_scale
        self.warmup = warmup
        self.draws = draws
        self.chains = chains
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any, Z: Any = None) -> Self:
        """Sample the posterior.

        Args:
            Y: Outcome (n,).
            T: Treatment (n,), 0 or 1.
            X: Covariates of treatment and outcome (n, d).
            Z: Covariates known to move the treatment and not the outcome (n, k).

        Raises:
            InputError: If an argument is wrong.

        Warns:
            IdentificationWarning: If the chains disagree, or functional form alone identifies the effect.
        """
        self._check_domains()
        check_index_alignment(Y=Y, T=T, X=X, Z=Z)
        self._excluded = as_excluded(Z, X)
        super().fit(Y, T, X=X)
        worst = self.diagnostics_["r_hat"]
        if not worst < LARGEST_R_HAT:
            warnings.warn(
                f"The chains disagree (r_hat {worst:.3g}): the posterior has several modes, or they are too short.",
                IdentificationWarning,
                stacklevel=2,
            )
        if self.latent == "gaussian" and Z is None:
            warnings.warn(
                "No excluded covariate Z: the effect is identified by the shape of the normal distribution and by the "
                "priors alone.",
                IdentificationWarning,
                stacklevel=2,
            )
        return self

    def _estimate(self, design: EffectDesign) -> None:
        x, self._x_scaling = _standardized(design.x)
        y, y_scaling = _standardized(design.y)
        self._y_sd = y_scaling.std
        z = np.zeros((len(y), 0)) if self._excluded is None else _standardized(self._excluded)[0]
        start = {"b": 0.5, "c": 0.0, "s": 1.0, "effect": 0.0}
        with self._computing():
            self._data = tuple(jnp.asarray(values) for values in (x, z, np.column_stack([design.t, y])))
            kernel = NUTS(self._program(), init_strategy=init_to_value(values=start))
            self.mcmc_ = MCMC(
                kernel,
                num_warmup=self.warmup,
                num_samples=self.draws,
                num_chains=self.chains,
                chain_method="sequential",
                progress_bar=False,
            )
            self.mcmc_.run(root(self.seed), *self._data[:2], ty=self._data[2], extra_fields=("diverging",))
            samples = self.mcmc_.get_samples(group_by_chain=True)
            self._effect_draws = {name: np.asarray(samples[name]) for name in ("effect", "effect_slopes")}
            divergences = int(np.sum(self.mcmc_.get_extra_fields()["diverging"]))
        # Covariates are centered, so the average effect is the intercept.
        self.effects_ = self._y_sd * self._effect_draws["effect"]
        # Split r_hat: both halves of every chain, so that even a single chain can disagree with itself.
        halves = self.effects_[:, : self.draws // 2 * 2].reshape(2 * self.chains, -1)
        self.diagnostics_ = {
            "r_hat": float(gelman_rubin(halves)) if halves.shape[1] > 1 else np.nan,
            "effective_draws": float(effective_sample_size(halves)) if halves.shape[1] > 1 else np.nan,
            "divergences": divergences,
        }
        unknown = np.full(len(y), np.nan)
        treated = self._at(design.x[design.t == 1]).mean(axis=-1)
        self._att_draws = treated
        self.ate_ = Average(self.effects_.mean(), self.effects_.std(ddof=1), unknown)
        self.att_ = Average(treated.mean(), treated.std(ddof=1), unknown)

    def effect(self, X: Any = None) -> np.ndarray:
        """Posterior mean of the effect at each row of ``X`` (m,); at the rows of ``fit`` by default."""
        return self._at(self.design_.rows_of(X)).mean(axis=(0, 1))

    def effect_interval(self, X: Any = None, alpha: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
        """Credible interval of the effect at each row."""
        check_range("alpha", alpha, above=0, below=1)
        return tuple(np.quantile(self._at(self.design_.rows_of(X)), (alpha / 2, 1 - alpha / 2), axis=(0, 1)))

    def confounder(self) -> np.ndarray:
        """Posterior mean of the confounder of each row of ``fit`` (n,)."""
        with self._computing():
            return np.asarray(_confounder(self._program(), self.mcmc_.get_samples(), *self._data))

    def to_arviz(self) -> Any:
        """All draws as ArviZ InferenceData: posterior, sample statistics, log likelihood, posterior predictive, data.

        Raises:
            ImportError: If ``arviz`` is not installed.
        """
        mcmc = self.mcmc_
        try:
            arviz = importlib.import_module("arviz")
        except ImportError as error:
            raise ImportError("to_arviz() needs the package arviz: pip install 'causalrep[bayes]'") from error
        with self._computing():
            predictive = Predictive(self._program(), mcmc.get_samples(), return_sites=["ty"])
            drawn = predictive(derive(root(self.seed), "predictive"), *self._data[:2])
            return arviz.from_numpyro(mcmc, posterior_predictive={"ty": np.asarray(drawn["ty"])})

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects with credible intervals, the sampler's diagnostics and the assumptions."""
        rows = {}
        for name, average, draws in (("ATE", self.ate_, self.effects_), ("ATT", self.att_, self._att_draws)):
            low, high = np.quantile(draws, (alpha / 2, 1 - alpha / 2))
            rows[name] = {
                "mean": average.value,
                "sd": average.se,
                f"{100 * alpha / 2:g}%": low,
                f"{100 - 100 * alpha / 2:g}%": high,
            }
        prior = 2 * self.prior_scale * self._y_sd
        shown = self.diagnostics_
        facts = [
            *self._summary_facts(),
            ("Law of the confounder", self.latent),
            (
                "Chains",
                f"{self.chains} of {self.draws} draws, r_hat {shown['r_hat']:.3f}, "
                f"{shown['effective_draws']:.0f} effective draws, {shown['divergences']} divergences",
            ),
            ("Prior of the ATE", f"mean 0, sd {prior:.3g}"),
        ]
        notes = [
            "Identified by the law of the confounder, by linearity and by the priors, not by the data alone; credible "
            "intervals take these as given. Vary latent and prior_scale."
        ]
        return Summary(self._title, facts, pd.DataFrame(rows).T, notes)

    def _interval(self, average: Average, alpha: float) -> tuple[float, float]:
        check_range("alpha", alpha, above=0, below=1)
        draws = self.effects_ if average is self.ate_ else self._att_draws
        low, high = np.quantile(draws, (alpha / 2, 1 - alpha / 2))
        return float(low), float(high)

    def _at(self, x: np.ndarray) -> np.ndarray:
        """Draws of the effect at rows, (chains, draws, m)."""
        drawn = self._effect_draws
        return self._y_sd * (drawn["effect"][..., None] + drawn["effect_slopes"] @ self._x_scaling.apply(x).T)

    def _program(self):
        return partial(confounder_program, law=self.latent, prior_scale=float(self.prior_scale))


def _standardized(values: np.ndarray) -> tuple[np.ndarray, Scaling]:
    sd = values.std(axis=0)
    scaling = Scaling(values.mean(axis=0), np.where(sd > 0, sd, 1.0))
    return scaling.apply(values), scaling


def _confounder(program, samples: dict[str, Array], x: Array, z: Array, ty: Array) -> Array:
    """``E[u | t, y]`` averaged over the posterior draws."""

    def one(draw: dict[str, Array]) -> Array:
        known = numpyro.handlers.substitute(numpyro.handlers.seed(program, root(0)), draw)
        law = numpyro.handlers.trace(known).get_trace(x, z, ty=ty)["ty"]["fn"]
        return law.confounder(ty)

    return jnp.mean(jax.lax.map(one, samples), axis=0)
