"""VLUCI with scikit-learn's habits: an effect estimator that adjusts for a confounder nobody measured."""

import dataclasses
import warnings
from typing import Any, Literal, Self

import jax
import numpy as np
import pandas as pd
from scipy import stats

from causalrep.base.summary import Summary
from causalrep.base.validation import as_matrix, check_choice, check_counts, check_range, check_seed, check_widths
from causalrep.confounders.vluci.answers import Plan, Use, answer, decoded_effects
from causalrep.confounders.vluci.completion import complete
from causalrep.confounders.vluci.fit import Training, counterfactual_draws
from causalrep.confounders.vluci.identification import IdentificationReport
from causalrep.confounders.vluci.laws import Family, prior
from causalrep.confounders.vluci.model import Form, LatentModel, Link, Outcome
from causalrep.effects import EffectEstimator, TLearner
from causalrep.effects.design import EffectDesign
from causalrep.effects.scores import Average
from causalrep.errors import IdentificationWarning, InputError, NoIntervalError
from causalrep.keys import root

# The laws of U under which the average effect is given as well.
FAMILIES = (("two_point", 1), ("gaussian", 1), ("gaussian", 2))


class VLUCI(EffectEstimator):
    """Variational learning of an unobserved confounder, then any effect estimator given covariates and confounder.

    **What it cannot do.** Covariates, treatment and outcome do not identify the effect when a confounder is hidden: the
    assumed law of U does. ``latent``, ``dim``, ``form``, ``link`` and ``outcome`` are that law. A two-point U with
    separate components is identified up to its sign; a Gaussian U by functional form alone. The model is therefore also
    fitted under other laws (``families``); ``identification_`` says what they give and which of them the data reject,
    ``fit`` warns, and there is an :meth:`ate_interval` only where they leave one answer.

    Args:
        latent: Law of U: ``"two_point"``, uniform on {-1, +1}^dim, or ``"gaussian"``. No default: it decides.
        dim: Dimension of U.
        form: ``"affine"``: U enters linearly, with coefficients that depend on X; ``"free"``: through networks.
        link: Of the treatment: ``"logit"`` or ``"probit"``.
        outcome: ``"gaussian"``, or ``"bernoulli"`` for outcomes 0 and 1.
        posterior: ``"network"``, or ``"exact"`` where Bayes' rule is a formula.
        objective: ``"double"``: a bound for each of the two channels through which U shows; ``"joint"``: one for both;
            ``"auto"``: the first for a two-point U, the second for a Gaussian one, where the first sees no selection.
        use: ``"multiple"``: a fit of ``estimator`` for each draw of U given all that was seen of a unit, pooled by
            Rubin's rules. ``"mean"``: one fit at the posterior mean, which contains Y: right only if U is known almost
            surely. ``"decoder"``: the model's own outcome networks, no estimator.
        estimator: Has ``fit(Y, T, X=X)``, ``effect(X)``, ``ate()``, ``ate_interval()``; default ``TLearner()``.
        draws: Draws of U for a unit.
        families: Other laws ``(latent, dim)`` under which the model is fitted too; ``()`` saves their time, and then
            nothing is known of the range.
        hidden: Hidden widths of all networks.
        epochs: Passes over the training rows.
        warm_start: Passes without U at the start.
        warm_up: Share of the rest over which the weight of the divergences rises to 1.
        independence: Weight of the term that keeps ``E[U | X, T, Y]`` uncorrelated with X.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        validation_share: Share of the rows that select the parameters and judge the laws of U.
        seed: Root of all randomness.

    Attributes:
        identification_: What the estimate rests on (:class:`IdentificationReport`).
        completed_: The estimators fitted to X and U, and their pooled average (:class:`Completed`).
        posterior_mean_: ``E[U | X, T, Y]`` (n, dim).
        vluci_: The fitted model (:class:`~causalrep.confounders.VLUCIFit`).

    Source: Zhao, Huang, Wu, Peng and Sun (2023), arXiv 2308.00904, of which the abstract alone was at hand: equations
    and defaults are ours.

    >>> import warnings
    >>> import jax
    >>> from causalrep.data import hidden_confounder
    >>> s = hidden_confounder(jax.random.key(5), n=1500)
    >>> model = VLUCI(latent="two_point", families=(), hidden=(32, 32), epochs=100, warm_start=10, batch_size=128,
    ...               learning_rate=3e-3, draws=4)
    >>> with warnings.catch_warnings(action="ignore"):
    ...     model = model.fit(s.y, s.t, X=s.x)
    >>> bool(abs(model.ate() - 2) < 0.5)
    True
    >>> model.identification_.identified, model.identification_.flags[-1]
    (False, 'No other law of U was fitted: the range is not known.')
    """

    _title = "VLUCI: effect adjusted for an inferred confounder"
    _rows_per_arm = 10

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
        epochs: int = 300,
        warm_start: int = 20,
        warm_up: float = 0.2,
        independence: float = 1.0,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        validation_share: float = 0.2,
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
        self.epochs = epochs
        self.warm_start = warm_start
        self.warm_up = warm_up
        self.independence = independence
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_share = validation_share
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
            IdentificationWarning: If the data leave more than one answer; see ``identification_``.
        """
        self._training, self._all_models = self._settings(), self._models()
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

    def _settings(self) -> Training:
        check_counts(draws=self.draws, epochs=self.epochs, batch_size=self.batch_size)
        check_seed(self.seed)
        check_choice("objective", self.objective, ("auto", "double", "joint"))
        check_choice("use", self.use, ("mean", "multiple", "decoder"))
        check_range("learning_rate", self.learning_rate, above=0)
        check_range("warm_up", self.warm_up, at_least=0, at_most=1)
        check_range("independence", self.independence, at_least=0)
        check_range("validation_share", self.validation_share, above=0, at_most=0.9)
        check_range("warm_start", self.warm_start, at_least=0, below=self.epochs)
        if self.use == "multiple":
            check_range("draws", self.draws, at_least=2)
        lacking = [name for name in ("fit", "effect", "ate") if not hasattr(self.estimator or TLearner, name)]
        if lacking or isinstance(self.estimator, type):
            raise InputError(
                "estimator", found=repr(self.estimator), expected="an effect estimator, such as TLearner(), or None"
            )
        return Training(
            "double",
            self.epochs,
            self.warm_start,
            float(self.warm_up),
            float(self.independence),
            self.batch_size,
            float(self.learning_rate),
            validation_share=float(self.validation_share),
        )

    def _training_of(self, model: LatentModel) -> Training:
        """How one law of U is trained: see :class:`Training` for what a Gaussian one needs."""
        gaussian = model.latent == "gaussian"
        objective = ("joint" if gaussian else "double") if self.objective == "auto" else self.objective
        start = "two_step" if gaussian and model.form == "affine" else "zero"
        return self._training._replace(objective=objective, start=start)

    def _models(self) -> list[LatentModel]:
        """The model that was asked for, then those with another law of U."""
        hidden = check_widths("hidden", self.hidden)
        shared = {"form": self.form, "link": self.link, "outcome": self.outcome, "hidden": hidden}
        chosen = LatentModel(self.latent, self.dim, posterior=self.posterior, **shared)
        pairs = isinstance(self.families, tuple | list) and all(
            isinstance(family, tuple | list) and len(family) == 2 for family in self.families
        )
        if not pairs:
            raise InputError("families", found=repr(self.families), expected="pairs such as ('gaussian', 1), or ()")
        others = [LatentModel(latent, dim, **shared) for latent, dim in self.families]
        return [chosen, *(other for other in others if (other.latent, other.dim) != (self.latent, self.dim))]

    def _estimate(self, design: EffectDesign) -> None:
        if self.outcome == "bernoulli" and not set(np.unique(design.y)) <= {0.0, 1.0}:
            raise InputError("Y", found="values other than 0 and 1", expected="0 and 1, as outcome='bernoulli' says")
        estimator = TLearner() if self.estimator is None else self.estimator
        plan = Plan(self.use, estimator, self.draws, self.seed)
        answers = [answer(design, model, self._training_of(model), plan) for model in self._all_models]
        chosen, without = answers[0], complete(estimator, design.y, design.t, design.x, np.zeros((1, len(design.y), 0)))
        naive = design.y[design.t == 1].mean() - design.y[design.t == 0].mean()
        ate_without = float(without.average.value)
        # Where U is not used, what varies over its draws is noise, and the answer is that without it.
        families = [
            dataclasses.replace(each.family, ate=ate_without) if each.family.collapsed else each.family
            for each in answers
        ]
        self.identification_ = IdentificationReport(families[0], tuple(families[1:]), ate_without, float(naive))
        completed = without if families[0].collapsed else chosen.completed
        self.vluci_, self.posterior_mean_, self.completed_ = chosen.found, chosen.posterior_mean, completed
        self._model = self._all_models[0]
        unknown = np.full(len(design.y), np.nan)
        self.ate_ = Average(completed.average.value, completed.average.se, unknown)
        self.att_ = Average(completed.effects[design.t == 1].mean(), np.float64(np.nan), unknown)

    # ---------------------------------------------------------------- effects

    def effect(self, X: Any = None) -> np.ndarray:
        """Expected effect (m,) of the units of ``fit``, given all that was seen of them; at rows of ``X``, of others.

        A new unit's U is drawn from its law, since nothing of it but X is known.
        """
        if X is None:
            return self.completed_.effects
        x, _ = as_matrix("X", X)
        expected = self.design_.x.shape[1]
        if x.shape[1] != expected:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{expected}, as in fit")
        if not self.completed_.estimators or self.identification_.chosen.collapsed:
            return self._effect_of_new(x)
        us = self._prior_draws(len(x), len(self.completed_.estimators))
        pairs = zip(self.completed_.estimators, us, strict=True)
        return np.mean([one.effect(np.column_stack([x, u])) for one, u in pairs], axis=0)

    def _effect_of_new(self, x: np.ndarray) -> np.ndarray:
        if self.completed_.estimators:
            return self.completed_.estimators[0].effect(x)
        return decoded_effects(self._model, self.vluci_, x, self._prior_draws(len(x), self.draws))

    def _prior_draws(self, rows: int, draws: int) -> np.ndarray:
        with jax.enable_x64(False):
            law = prior(self._model.latent, self._model.dim, rows)
            return np.asarray(law.sample(root(self.seed + 1), draws))

    def ate_interval(self, alpha: float = 0.05, *, conditional: bool = False) -> tuple[float, float]:
        """Interval of :meth:`ate` at level ``1 - alpha``, as if the model of U were right and fitted without error.

        Args:
            alpha: 1 - level.
            conditional: Give it although the effect is not identified.

        Raises:
            NoIntervalError: If the effect is not identified and ``conditional`` is False; with ``use="decoder"``; if
                the estimator has no interval.
        """
        alpha = check_range("alpha", alpha, above=0, below=1)
        report, average = self.identification_, self.completed_.average
        if not report.identified and not conditional:
            low, high = report.ate_range
            raise NoIntervalError(
                "The average effect is not identified, and an interval would only show sampling error under one of "
                f"many laws of U. Over those fitted it ranges from {low:.4g} to {high:.4g}; see identification_. For "
                "the interval under this law alone: ate_interval(conditional=True)."
            )
        if not np.isfinite(average.se):
            raise NoIntervalError(f"No interval for the average effect: {self.completed_.why_no_interval}.")
        half = stats.t.isf(alpha / 2, average.df) * average.se
        return float(average.value - half), float(average.value + half)

    def att_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """There is none: not every estimator has one to pool.

        Raises:
            NoIntervalError: Always.
        """
        raise NoIntervalError("No interval for the effect on the treated: not every estimator has one to pool.")

    def counterfactual_interval(self, alpha: float = 0.1, *, draws: int = 200) -> tuple[np.ndarray, np.ndarray]:
        """Ends (n,), (n,) of an interval of the outcome each unit would have had under the other treatment.

        Quantiles of draws from the model, noise included, given the unit's own covariates, treatment and outcome. It
        covers if the model is right; nothing here says so.

        Args:
            alpha: 1 - level.
            draws: How many.
        """
        alpha = check_range("alpha", alpha, above=0, below=1)
        check_counts(draws=draws)
        design, key = self.design_, root(self.seed + 2)
        with jax.enable_x64(False):
            drawn = counterfactual_draws(key, self._model, self.vluci_, design.x, design.t, design.y, draws)
        low, high = np.quantile(np.asarray(drawn), [alpha / 2, 1 - alpha / 2], axis=0)
        return low, high

    # ---------------------------------------------------------------- report

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects with and without U, and what they rest on; an interval only where one is justified."""
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
