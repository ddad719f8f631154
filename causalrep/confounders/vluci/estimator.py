"""The class ``VLUCI``: an effect estimator that adjusts for a confounder that was not measured."""

import dataclasses
import warnings
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import pandas as pd
from scipy import stats

from causalrep.base.domains import Choice, Domain, Instance, Optional, Real, Several, Whole, Widths
from causalrep.base.summary import Summary
from causalrep.base.validation import check_counts, check_range
from causalrep.confounders.outcomes import averages_without_errors, check_binary_outcome
from causalrep.confounders.vluci.answers import Plan, Use, answer, decoded_effects
from causalrep.confounders.vluci.completion import complete
from causalrep.confounders.vluci.fit import SCHEDULE, counterfactual_draws
from causalrep.confounders.vluci.identification import IdentificationReport
from causalrep.confounders.vluci.laws import Family, prior
from causalrep.confounders.vluci.model import Form, LatentModel, Link, Outcome
from causalrep.effects import EffectEstimator, TLearner
from causalrep.effects.design import EffectDesign
from causalrep.errors import IdentificationWarning, NoIntervalError
from causalrep.keys import derive, root
from causalrep.training.rows import InSchedule, Schedule, check_schedule

# Other laws of U under which the average effect is reported.
FAMILIES: tuple[tuple[Family, int], ...] = (("two_point", 1), ("gaussian", 1), ("gaussian", 2))


def _is_effect_estimator(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("fit", "effect", "ate"))


def _is_law(value: Any) -> bool:
    """Whether a value is a law of U and its dimension; :class:`LatentModel` checks the dimension."""
    return isinstance(value, tuple | list) and len(value) == 2 and value[0] in get_args(Family)


class VLUCI(EffectEstimator):
    """Variational learning of an unobserved confounder, then any effect estimator given covariates and confounder.

    **Identification.** Covariates, treatment and outcome do not identify the effect when a confounder is hidden: the
    assumed law of U does. ``latent``, ``dim``, ``form``, ``link`` and ``outcome`` are that law. A two-point U with
    separate components is identified up to its sign; a Gaussian U by functional form alone. The model is therefore also
    fitted under other laws (``families``). ``identification_`` reports their answers and which of the laws the data
    reject, ``fit`` warns, and :meth:`ate_interval` gives an interval only if a single answer remains.

    Args:
        latent: Law of U: ``"two_point"``, uniform on {-1, +1}^dim, or ``"gaussian"``. It has no default, because it
            decides the answer.
        dim: Dimension of U.
        form: ``"affine"``: U enters linearly, with coefficients that depend on X; ``"free"``: through networks.
        link: Link of the treatment: ``"logit"`` or ``"probit"``.
        outcome: ``"gaussian"``, or ``"bernoulli"`` for outcomes 0 and 1.
        posterior: ``"network"``, or ``"exact"`` where Bayes' rule has a closed form.
        objective: ``"double"``: one bound for the treatment and one for the outcome; ``"joint"``: one for both;
            ``"auto"``: the first for a two-point U, the second for a Gaussian one, where the first misses selection.
        use: ``"multiple"``: fit ``estimator`` for each draw of U given all observations of a unit, and pool by Rubin's
            rules. ``"mean"``: fit it once at the posterior mean, which depends on Y: right only if U is known almost
            surely. ``"decoder"``: the model's own outcome networks, no estimator.
        estimator: An object with ``fit(Y, T, X=X)``, ``effect(X)``, ``ate()``, ``ate_interval()``; default
            ``TLearner()``.
        draws: Draws of U per unit.
        families: Other laws ``(latent, dim)`` under which the model is fitted too. ``()`` saves their time, and then
            the range of answers is not known.
        hidden: Hidden widths of all networks.
        schedule: Training schedule, in epochs. The rows held out select the parameters and judge the laws of U.
        warm_start: Epochs without U at the start.
        warm_up: Share of the other updates over which the weight of the divergences rises to 1.
        independence: Weight of the term that keeps ``E[U | X, T, Y]`` uncorrelated with X.
        seed: Random seed.

    Attributes:
        identification_: What identifies the estimate (:class:`IdentificationReport`).
        completed_: The estimators fitted to X and U, and their pooled average (:class:`Completed`).
        posterior_mean_: ``E[U | X, T, Y]`` (n, dim).
        vluci_: The fitted networks (:class:`~causalrep.training.trained.Trained`).

    Source: Zhao, Huang, Wu, Peng and Sun (2023), arXiv 2308.00904, of which only the abstract was available: equations
    and defaults are ours.

    >>> import warnings
    >>> import jax
    >>> from causalrep.data import hidden_confounder
    >>> s = hidden_confounder(jax.random.key(5), n=1500)
    >>> schedule = Schedule(epochs=100, batch_size=128, learning_rate=3e-3)
    >>> model = VLUCI(latent="two_point", families=(), hidden=(32, 32), schedule=schedule, warm_start=10, draws=4)
    >>> with warnings.catch_warnings(action="ignore"):
    ...     model = model.fit(s.y, s.t, X=s.x)
    >>> bool(abs(model.ate() - 2) < 0.5)
    True
    >>> model.identification_.identified, model.identification_.flags[-1]
    (False, 'No other law of U was fitted: the range is not known.')
    """

    _precision = "float32"
    _title = "VLUCI: effect adjusted for an inferred confounder"
    _rows_per_arm = 10
    _domains: ClassVar[dict[str, Domain]] = {
        "latent": Choice(*get_args(Family)),
        "dim": Whole(),
        "form": Choice(*get_args(Form)),
        "link": Choice(*get_args(Link)),
        "outcome": Choice(*get_args(Outcome)),
        "posterior": Choice("network", "exact"),
        "objective": Choice("auto", "double", "joint"),
        "use": Choice(*get_args(Use)),
        "estimator": Optional(Instance("an effect estimator, such as TLearner(), or None", _is_effect_estimator)),
        "draws": Whole(),
        "families": Several(Instance("a pair of a law and a dimension, such as ('gaussian', 1)", _is_law)),
        "hidden": Widths(),
        "schedule": InSchedule(SCHEDULE),
        "warm_start": Whole(0),
        "warm_up": Real(at_least=0, at_most=1),
        "independence": Real(at_least=0),
        "seed": Whole(None),
    }

    def __init__(
        self,
        *,
        latent: Family,
        dim: int = 1,
        form: Form = "affine",
        link: Link = "logit",
        outcome: Outcome = "gaussian",
        posterior: Literal["network", "exact"] = "network",
        objective: Literal["auto", "double", "joint"] = "auto",
        use: Use = "multiple",
        estimator: Any = None,
        draws: int = 50,
        families: tuple[tuple[Family, int], ...] = FAMILIES,
        hidden: tuple[int, ...] = (64, 64),
        schedule: Schedule = SCHEDULE,
        warm_start: int = 20,
        warm_up: float = 0.2,
        independence: float = 1.0,
        seed: int = 0,
    ):
        self.latent = latent
        self.dim = dim
        self.form = form
        self.link = link
        self.outcome = outcome
        self.posterior = posterior
        self.objective = objective
        self.use = use
        self.estimator = estimator
        self.draws = draws
        self.families = families
        self.hidden = hidden
        self.schedule = schedule
        self.warm_start = warm_start
        self.warm_up = warm_up
        self.independence = independence
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any) -> Self:
        """Fit the model of U and estimate the effect.

        Args:
            Y: Outcome (n,).
            T: Treatment (n,), 0 or 1.
            X: Observed covariates (n, d).

        Raises:
            InputError: If an argument is wrong.
            DivergenceError: If training met a loss that is not finite.

        Warns:
            IdentificationWarning: If more than one answer fits the data; see ``identification_``.
        """
        self._check_domains()
        self._check()
        self._all_models = self._models()
        super().fit(Y, T, X=X)
        report = self.identification_
        if not report.identified:
            low, high = report.ate_range
            warnings.warn(
                f"The average effect is not identified: {' '.join(report.flags)} Over the laws of U that were fitted "
                f"it ranges from {low:.4g} to {high:.4g}; see identification_.",
                IdentificationWarning,
                stacklevel=2,
            )
        return self

    def _check(self) -> None:
        check_range("warm_start", self.warm_start, below=check_schedule(self.schedule, SCHEDULE).epochs)
        if self.use == "multiple":
            check_range("draws", self.draws, at_least=2)

    def _options(self, model: LatentModel) -> dict[str, Any]:
        """Options of training for one law of U; :func:`vluci` explains why a Gaussian one has its own."""
        gaussian = model.latent == "gaussian"
        return {
            "objective": ("joint" if gaussian else "double") if self.objective == "auto" else self.objective,
            "warm_start": self.warm_start,
            "warm_up": float(self.warm_up),
            "independence": float(self.independence),
            "start": "two_step" if gaussian and model.form == "affine" else "zero",
        }

    def _models(self) -> list[LatentModel]:
        """The requested model, then those with another law of U."""
        hidden = tuple(self.hidden)
        shared: dict[str, Any] = {"form": self.form, "link": self.link, "outcome": self.outcome, "hidden": hidden}
        chosen = LatentModel(self.latent, self.dim, posterior=self.posterior, **shared)
        others = [LatentModel(latent, dim, **shared) for latent, dim in self.families]
        return [chosen, *(other for other in others if (other.latent, other.dim) != (self.latent, self.dim))]

    def _estimate(self, design: EffectDesign) -> None:
        check_binary_outcome(design.y, self.outcome)
        estimator = TLearner() if self.estimator is None else self.estimator
        schedule, plan = check_schedule(self.schedule, SCHEDULE), Plan(self.use, estimator, self.draws, self.seed)
        with self._computing():
            answers = [answer(design, model, schedule, self._options(model), plan) for model in self._all_models]
        chosen, without = answers[0], complete(estimator, design.y, design.t, design.x, np.zeros((1, len(design.y), 0)))
        naive = design.y[design.t == 1].mean() - design.y[design.t == 0].mean()
        ate_without = float(without.average.value)
        # Where U is not used, differences between its draws are noise, and the answer is the one without U.
        families = [
            dataclasses.replace(each.family, ate=ate_without) if each.family.collapsed else each.family
            for each in answers
        ]
        self.identification_ = IdentificationReport(families[0], tuple(families[1:]), ate_without, float(naive))
        completed = without if families[0].collapsed else chosen.completed
        self.vluci_, self.posterior_mean_, self.completed_ = chosen.fitted, chosen.posterior_mean, completed
        self._model = self._all_models[0]
        average, self.att_ = averages_without_errors(completed.effects, design.t)
        self.ate_ = average._replace(value=completed.average.value, se=completed.average.se)

    # ---------------------------------------------------------------- effects

    def effect(self, X: Any = None) -> np.ndarray:
        """Expected effect (m,): of the units of ``fit`` given all their observations, or of new units at rows of ``X``.

        The U of a new unit is drawn from its prior, since only X is known about that unit.
        """
        if X is None:
            return self.completed_.effects
        x, estimators = self.design_.rows_of(X), self.completed_.estimators
        if not estimators:
            with self._computing():
                return decoded_effects(self._model, self.vluci_, x, self._prior_draws(len(x), self.draws))
        if self.identification_.chosen.collapsed:
            return estimators[0].effect(x)
        pairs = zip(estimators, self._prior_draws(len(x), len(estimators)), strict=True)
        return np.mean([one.effect(np.column_stack([x, u])) for one, u in pairs], axis=0)

    def _prior_draws(self, rows: int, draws: int) -> np.ndarray:
        with self._computing():
            law = prior(self._model.latent, self._model.dim, rows)
            return np.asarray(law.sample(derive(root(self.seed), "prior"), draws))

    def ate_interval(self, alpha: float = 0.05, *, conditional: bool = False) -> tuple[float, float]:
        """Interval of :meth:`ate` at level ``1 - alpha``, as if the model of U were right and fitted without error.

        Args:
            alpha: 1 - level.
            conditional: Give the interval under this law of U although the effect is not identified.

        Raises:
            NoIntervalError: If the effect is not identified and ``conditional`` is False; with ``use="decoder"``; if
                the estimator has no interval.
        """
        alpha = check_range("alpha", alpha, above=0, below=1)
        report, average = self.identification_, self.completed_.average
        if not report.identified and not conditional:
            low, high = report.ate_range
            raise NoIntervalError(
                "The average effect is not identified, and an interval would show only the sampling error under one "
                f"of many laws of U. Over those fitted the effect ranges from {low:.4g} to {high:.4g}; see "
                "identification_. For the interval under this law alone: ate_interval(conditional=True)."
            )
        if not np.isfinite(average.se):
            raise NoIntervalError(f"No interval for the average effect: {self.completed_.why_no_interval}.")
        half = stats.t.isf(alpha / 2, average.df) * average.se
        return float(average.value - half), float(average.value + half)

    def att_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Not available: not every estimator has an interval for the treated that could be pooled.

        Raises:
            NoIntervalError: Always.
        """
        raise NoIntervalError("No interval for the effect on the treated: not every estimator has one to pool.")

    def counterfactual_interval(self, alpha: float = 0.1, *, draws: int = 200) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends, (n,) each, of intervals of each unit's outcome under the other treatment.

        The ends are quantiles of draws from the model, noise included, given the unit's own covariates, treatment and
        outcome. The intervals cover if the model is right, which nothing here tests.

        Args:
            alpha: 1 - level.
            draws: Number of draws.
        """
        alpha = check_range("alpha", alpha, above=0, below=1)
        check_counts(draws=draws)
        design, key = self.design_, derive(root(self.seed), "counterfactual")
        with self._computing():
            drawn = counterfactual_draws(key, self._model, self.vluci_, design.x, design.t, design.y, draws)
        low, high = np.quantile(np.asarray(drawn), [alpha / 2, 1 - alpha / 2], axis=0)
        return low, high

    # ---------------------------------------------------------------- report

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects with and without U, and what identifies them; an interval only where one is justified."""
        report = self.identification_
        rows = {
            "ATE, adjusted for X and U": report.chosen.ate,
            "ATE, adjusted for X": report.ate_without,
            "Difference in means": report.naive,
        }
        table = pd.DataFrame({"estimate": rows})
        names = f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]"
        try:
            table.loc["ATE, adjusted for X and U", list(names)] = self.ate_interval(alpha)
            notes = ["The interval is conditional on the model of U being right."]
        except NoIntervalError as error:
            notes = [str(error)]
        low, high = report.ate_range
        facts = [
            *super()._summary_facts(),
            ("Law of U", f"{self._model.latent}, dimension {self._model.dim}, {self._model.form}"),
            ("KL(q2||p)", ", ".join(f"{kl:.3g}" for kl in report.chosen.kl) + " nats"),
            ("Identified", f"{'yes, given the assumption below' if report.identified else 'NO'}"),
            ("Range over laws of U", f"{low:.4g} to {high:.4g} ({len(report.families)} fitted)"),
        ]
        return Summary(self._title, facts, table, [*report.sentences(), *notes])
