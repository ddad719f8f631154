"""The identification report: the assumptions that an estimate adjusted for an inferred confounder depends on.

Covariates, treatment and outcome alone cannot distinguish an effect of the treatment from a hidden variable that moves
both. The assumed law of U makes the distinction, so the answer is reported for several laws, and for those among them
that the held-out rows do not reject.
"""

import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd

# A dimension of U whose posterior is nearer to its prior than this, in nats, is not used.
COLLAPSED = 0.01
# Two components are separate if their means are at least 2 * SEPARATED standard deviations apart.
SEPARATED = 2.0
# A law is rejected if its held-out bound is this many standard errors below that of the best law.
REJECTED = 2.0
WIDTH = 92

MIXTURE = (
    "finite mixture: U has two levels, the outcome is a mixture of two separate components in each arm (Gaussian "
    "noise, U affine), and U is independent of X"
)
FORM = (
    "functional form alone (Heckman's selection): U is Gaussian and enters treatment and outcome linearly. A covariate "
    "known to move the treatment and not the outcome would identify more"
)
NOTHING = "nothing: networks of X and U can exchange an effect of T for one of U"


@dataclass(frozen=True)
class FamilyFit:
    """The answer under one law of U.

    Attributes:
        latent: Family of U.
        dim: Dimension of U.
        form: How U enters, ``"affine"`` or ``"free"``.
        ate: Average effect when adjusted for U.
        held_out: The joint bound ``L_J`` at each held-out row, in nats (r,).
        kl: Divergence of q2 from the prior for each dimension, mean over rows, in nats.
        separation: Mean of ``|c_t(x)| / s_t`` for the affine form and a Gaussian outcome, otherwise NaN.
    """

    latent: str
    dim: int
    form: str
    ate: float
    held_out: np.ndarray
    kl: tuple[float, ...]
    separation: float

    @property
    def name(self) -> str:
        """Family and dimension, as the report prints them."""
        return f"{self.latent}, {self.dim}"

    @property
    def collapsed(self) -> bool:
        """Whether no dimension of U is used."""
        return max(self.kl) < COLLAPSED


@dataclass(frozen=True)
class IdentificationReport:
    """What identifies an estimate, and which other answers the data allow; prints as text.

    Attributes:
        chosen: The answer under the requested law.
        others: The answers under other laws of U; empty if they were not fitted.
        ate_without: Average effect adjusted for X alone.
        naive: Difference in means.
    """

    chosen: FamilyFit
    others: tuple[FamilyFit, ...]
    ate_without: float
    naive: float

    @property
    def families(self) -> tuple[FamilyFit, ...]:
        """All laws of U that were fitted, the chosen one first."""
        return (self.chosen, *self.others)

    @property
    def best(self) -> FamilyFit:
        """The law with the largest held-out bound."""
        return max(self.families, key=lambda family: family.held_out.mean())

    @property
    def plausible(self) -> tuple[FamilyFit, ...]:
        """The laws that the held-out rows do not reject against the best one, by a paired comparison."""
        best = self.best.held_out
        return tuple(each for each in self.families if each is self.best or not rejected(each.held_out, best))

    @property
    def ate_range(self) -> tuple[float, float]:
        """Smallest and largest average effect over all laws of U."""
        return _range(self.families)

    @property
    def plausible_range(self) -> tuple[float, float]:
        """Smallest and largest average effect over the laws that the data do not reject."""
        return _range(self.plausible)

    @property
    def assumption(self) -> str:
        """The assumption that identifies the estimate if its model is right."""
        if self.chosen.form == "free":
            return NOTHING
        return MIXTURE if self.chosen.latent == "two_point" else FORM

    @property
    def share_due_to_u(self) -> float:
        """Share of the change from the difference in means to the estimate that is due to adjusting for U.

        ``|with U - without| / (|with U - without| + |without - naive|)``; 0 if U changes nothing.
        """
        by_u, by_x = abs(self.chosen.ate - self.ate_without), abs(self.ate_without - self.naive)
        return by_u / (by_u + by_x) if by_u + by_x > 0 else 0.0

    @property
    def flags(self) -> list[str]:
        """Reasons to doubt the estimate, as sentences; empty if there is none."""
        reasons, chosen = [], self.chosen
        if chosen.collapsed:
            reasons.append("U is not used (posterior collapse): the estimate equals the one without U.")
        unused = sum(kl < COLLAPSED for kl in chosen.kl)
        if 0 < unused < chosen.dim:
            reasons.append(f"{unused} of {chosen.dim} dimensions of U are not used.")
        if chosen.latent != "two_point" or chosen.form != "affine":
            reasons.append("This model class does not identify the effect without its functional form.")
        elif not chosen.separation >= SEPARATED:
            reasons.append(
                f"The two components of the outcome overlap (half their distance is {chosen.separation:.2g} standard "
                f"deviations; separate components have {SEPARATED:g} or more): the mixture does not identify U."
            )
        if not self.others:
            reasons.append("No other law of U was fitted: the range is not known.")
        elif not any(family is chosen for family in self.plausible):
            reasons.append(f"The held-out rows reject this law of U: {self.best.name} describes them better.")
        elif len(self.plausible) > 1:
            low, high = self.plausible_range
            names = "; ".join(family.name for family in self.plausible)
            reasons.append(
                f"The data do not distinguish these laws of U: {names}. Their effects range from {low:.4g} to "
                f"{high:.4g}."
            )
        return reasons

    @property
    def identified(self) -> bool:
        """Whether the estimate may be reported as one number, given :attr:`assumption`."""
        return not self.flags

    def as_frame(self) -> pd.DataFrame:
        """The report as a table with one row per law of U."""
        rows = {
            family.name: {
                "ATE": family.ate,
                "held-out L_J": family.held_out.mean(),
                "below best": (self.best.held_out - family.held_out).mean(),
                "rejected": "no" if any(family is other for other in self.plausible) else "yes",
                "KL(q2||p)": ", ".join(f"{kl:.3g}" for kl in family.kl),
                "separation": family.separation,
            }
            for family in self.families
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def sentences(self) -> list[str]:
        """The report as sentences."""
        verdict = "Identified only by" if self.identified else "NOT identified. The estimate rests on"
        low, high = self.ate_range
        return [
            f"{verdict} {self.assumption}.",
            *self.flags,
            f"Average effect: {self.naive:.4g} (difference in means), {self.ate_without:.4g} (adjusted for X), "
            f"{self.chosen.ate:.4g} (adjusted for X and U). Of the change, {100 * self.share_due_to_u:.0f}% is due "
            "to U.",
            f"Over all laws of U that were fitted, the average effect ranges from {low:.4g} to {high:.4g}; over the "
            f"{len(self.plausible)} of {len(self.families)} that the held-out rows do not reject, from "
            "{:.4g} to {:.4g}.".format(*self.plausible_range),
        ]

    def __str__(self) -> str:
        table = self.as_frame().to_string(float_format=lambda value: f"{value:.4g}", na_rep="")
        return "\n".join([table, *(textwrap.fill(sentence, WIDTH) for sentence in self.sentences())])

    __repr__ = __str__


def rejected(held_out: np.ndarray, best: np.ndarray) -> bool:
    """Whether the bounds of a law at held-out rows (r,) are below those of the best law, by a paired comparison."""
    gap = best - held_out
    return gap.mean() > REJECTED * gap.std(ddof=1) / gap.size**0.5


def _range(families: tuple[FamilyFit, ...]) -> tuple[float, float]:
    ates = [family.ate for family in families]
    return min(ates), max(ates)
