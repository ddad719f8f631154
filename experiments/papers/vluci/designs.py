"""VLUCI where U is identified, where only functional form identifies it, and where its assumed law is wrong."""

import dataclasses
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp

from causalrep.base.validation import check_range
from causalrep.confounders import LatentModel, control_function, two_point_em
from causalrep.confounders.vluci.fit import separation
from causalrep.confounders.vluci.identification import SEPARATED, rejected
from causalrep.data import hidden_confounder
from causalrep.study import Ordering, Study, Table, Within, grid
from causalrep.training.rows import Schedule
from experiments.papers.vluci.methods import OLS_T, scores, with_vluci, without_vluci

# Iterations of the two-point EM, as many as behind the anchor of the misspecified design.
EM_ITERATIONS = 80
LAWS = {"two-point": ("two_point", 1), "Gaussian": ("gaussian", 1), "Gaussian, k=2": ("gaussian", 2)}
# In the double bound the prior of U given x and t is q1. A Gaussian q1 makes y Gaussian given x and t, whatever the
# confounding, and the best fit is no confounding. A Gaussian U is identified by the skewness that selection produces,
# which only the joint bound takes into account.
JOINT = {"objective": "joint", "start": "two_step"}


@dataclasses.dataclass(frozen=True)
class Design:
    """A simulated design with a hidden confounder.

    Attributes:
        name: Config name, which chooses the table.
        design: ``"identified"``: U has two levels, and the model knows. ``"selection"``: U is Gaussian and selects into
            treatment by a probit. ``"misspecified"``: U is Gaussian, and the model asked for has two levels.
        replications: Number of samples.
        samples: Sample sizes.
        excluded: Coefficients of the covariate that moves the treatment alone.
        epochs: Passes over the training rows.
        draws: Number of draws of U.
        seed: Random seed.
    """

    name: str
    design: Literal["identified", "selection", "misspecified"]
    replications: int = 100
    samples: tuple[int, ...] = (4000,)
    excluded: tuple[float, ...] = (0.4,)
    epochs: int = 300
    draws: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        for field in ("replications", "epochs", "draws"):
            check_range(field, getattr(self, field), at_least=1)

    def study(self) -> Study:
        """The study, with samples as replications."""
        metrics = ("bias", "ate_error", "pehe")
        known = ("corr_u", "kl", "sd_given_xt", "held_out_joint", "coverage", "width")
        tables = [
            Table(
                title="Error of the effect",
                metric=metrics,
                rows=("samples", "excluded", "method"),
                note="bias: signed error of the average effect. A T-learner by least squares, with U filled in by "
                "its posterior mean or by draws (multiple), or the model's own outcome networks (decoder).",
            ),
            Table(
                title="The inferred confounder",
                metric=known,
                rows=("samples", "excluded", "method"),
                reported=False,
                note=f"{NOTES[self.design]}coverage and width: 90% intervals of the outcome under the other treatment.",
            ),
        ]
        if self.design == "misspecified":
            said = ("gaussian_gain", "range", "plausible_range", "separation", "flagged_by_card", "flagged")
            tables.append(Table(title="What the report says", metric=said, rows=("method",), reported=False))
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=grid(samples=list(self.samples), excluded=list(self.excluded)),
            traced=("excluded",),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            claims=CLAIMS[self.design](self),
            tables=tuple(tables),
        )


NOTES = {
    "identified": "",
    "selection": "VLUCI is trained by the double bound, in which a Gaussian q1 makes y Gaussian given x and t "
    "whatever the confounding, so that the best fit is no confounding. VLUCI, joint is trained by the joint bound, "
    "which uses the skewness that selection produces, and starts from the sign of Heckman's two steps. ",
    "misspecified": "A Gaussian U is fitted by the joint bound, from the sign of Heckman's two steps. ",
}
BOUNDS = {"VLUCI": {}, "VLUCI, joint": JOINT}


def _identified(config: Design):
    source, enough = "card, section 9", {"min_replications": 5}
    return (
        Within(metric="ate_error", method="VLUCI, multiple", high=0.15, source=source, **enough),
        Within(metric="pehe", method="VLUCI, multiple", high=0.3, source=source, **enough),
        Within(metric="bias", method="No U", low=3.0, source=source, **enough),
        Within(metric="corr_u", method="VLUCI", low=0.95, source=source, **enough),
        Within(metric="coverage", method="VLUCI", low=0.85, high=0.95, source=source, **enough),
        Ordering(metric="pehe", methods=("Oracle", "VLUCI, decoder", "No U"), source="card, section 8", **enough),
    )


def _selection(config: Design):
    where = {"samples": 20000, "excluded": 1.0}
    if 20000 not in config.samples or 1.0 not in config.excluded:
        return ()
    common = {"where": where, "min_replications": 10, "source": "card, section 9"}
    # rho^2 = 1.5^2 / (1 + 1.5^2) = 0.69 of U's variance is in the index; of U itself, (t, x) shows 36% (corr .604).
    sd = (1 - 0.604**2) ** 0.5
    return (
        Within(metric="ate_error", method="Control function", high=1.0, **common),
        Within(metric="bias", method="No U", low=3.9, high=4.3, **common),
        *(Within(metric="ate_error", method=f"{name}, multiple", high=1.0, **common) for name in BOUNDS),
        *(Within(metric="sd_given_xt", method=name, low=sd - 0.1, high=sd + 0.1, **common) for name in BOUNDS),
    )


def _misspecified(config: Design):
    common = {"min_replications": 5, "source": "card, sections 8 and 9"}
    return (
        Ordering(metric="ate_error", methods=("No U", "Two-point EM"), **common),
        Within(
            metric="flagged_by_card",
            method="Report",
            low=1.0,
            high=1.0,
            unit=(),
            source="card, section 9",
            name="the misspecified model is flagged in every sample (the Gaussian fits better, or range above 2)",
        ),
        Within(
            metric="flagged",
            method="Report",
            low=1.0,
            high=1.0,
            unit=(),
            source="this library's rule",
            name="the library's report calls the effect not identified in every sample",
        ),
    )


CLAIMS = {"identified": _identified, "selection": _selection, "misspecified": _misspecified}


def replicate(key, setting, *, config: Design):
    """All methods on one sample."""
    data_key, fit_key = jax.random.split(key)
    latent = "two_point" if config.design == "identified" else "gaussian"
    link = "probit" if config.design == "selection" else "logit"
    s = hidden_confounder(data_key, n=setting["samples"], latent=latent, treatment=link, excluded=setting["excluded"])
    schedule = Schedule(epochs=config.epochs)
    metrics = without_vluci(s)
    if config.design == "selection":
        metrics["Control function"] = scores(control_function(s.x, s.t, s.y).effect(s.x), s)
        model = LatentModel("gaussian", 1, link="probit")
        for name, bound in BOUNDS.items():
            metrics |= with_vluci(fit_key, s, model, schedule, config.draws, name, options=bound)[1]
        return metrics
    em = two_point_em(s.x, s.t, s.y, iterations=EM_ITERATIONS)
    metrics["Two-point EM"] = scores(OLS_T(s, jnp.column_stack([s.x, em.mean])), s) | {
        "corr_u": jnp.abs(jnp.corrcoef(em.mean, s.u)[0, 1])
    }
    if config.design == "identified":
        return metrics | with_vluci(fit_key, s, LatentModel("two_point", 1), schedule, config.draws)[1]
    return metrics | _all_laws(fit_key, s, schedule, config.draws)


def _all_laws(key, s, schedule: Schedule, draws: int):
    """Every law of U on the same held-out rows, and the verdicts of the report."""
    metrics, ates, held_out = {}, [], []
    for name, (latent, dim) in LAWS.items():
        model, options = LatentModel(latent, dim), JOINT if latent == "gaussian" else {}
        fitted, methods = with_vluci(key, s, model, schedule, draws, f"VLUCI, {name}", options=options)
        metrics |= methods
        ates.append(jnp.mean(s.mu1 - s.mu0) + methods[f"VLUCI, {name}, multiple"]["bias"])
        held_out.append(fitted.extra.joint)
        if name == "two-point":
            distance = separation(model, fitted, s.x)
    means = jnp.stack([values.mean() for values in held_out])
    best = jnp.stack(held_out)[jnp.argmax(means)]
    plausible = jnp.stack([~rejected(values, best) for values in held_out]) | (means == means.max())
    ates = jnp.stack(ates)
    spread = ates.max() - ates.min()
    gain = means[1] - means[0]
    certain = plausible[0] & (plausible.sum() == 1) & (distance >= SEPARATED)
    metrics["Report"] = {
        "gaussian_gain": gain,
        "range": spread,
        "plausible_range": jnp.where(plausible, ates, -jnp.inf).max() - jnp.where(plausible, ates, jnp.inf).min(),
        "separation": distance,
        "flagged_by_card": ((gain > 0) | (spread > 2)).astype(s.y.dtype),
        "flagged": (~certain).astype(s.y.dtype),
    }
    return metrics
