"""VLUCI, CEVAE and Intact-VAE: a confounder without a trace in X, none at all, and one with proxies."""

import dataclasses
from functools import partial

import jax

from causalrep.base.validation import check_choice, check_range
from causalrep.confounders import (
    CEVAEModel,
    IntactVAEModel,
    LatentModel,
    cevae,
    cevae_outcomes,
    intact_vae,
    intact_vae_outcomes,
)
from causalrep.data import HiddenConfounderSample, hidden_confounder, noisy_copies
from causalrep.study import Ordering, Study, Table, Within, grid
from causalrep.training.rows import Schedule
from experiments.papers.vluci.methods import scores, with_vluci, without_vluci

DESIGNS = {
    "no trace in X": hidden_confounder,
    "nothing hidden": partial(hidden_confounder, strength=0.0),
    "proxies": noisy_copies,
}
# Columns that hold 0 and 1.
BINARY = {"proxies": tuple(range(8))}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Three latent variable models on samples with a two-point confounder.

    Attributes:
        name: Config name.
        designs: Names among :data:`DESIGNS`. In the first U moves treatment and outcome and is independent of X; in
            the second it does not move the outcome; in the third X consists of eight noisy copies of it.
        replications: Number of samples.
        samples: Size of a sample.
        vluci_epochs: VLUCI's passes over the training rows.
        cevae_epochs: CEVAE's passes over the training rows.
        intact_epochs: Intact-VAE's passes over the training rows.
        hidden: Width of CEVAE's layers.
        draws: Number of draws of U.
        seed: Random seed.
    """

    name: str = "vluci/comparison"
    designs: tuple[str, ...] = tuple(DESIGNS)
    replications: int = 20
    samples: int = 2000
    vluci_epochs: int = 300
    cevae_epochs: int = 60
    intact_epochs: int = 200
    hidden: int = 64
    draws: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for design in self.designs:
            check_choice("designs", design, tuple(DESIGNS))
        for field in ("replications", "samples", "vluci_epochs", "cevae_epochs", "intact_epochs", "hidden", "draws"):
            check_range(field, getattr(self, field), at_least=1)

    def study(self) -> Study:
        """The study, with samples as replications."""
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=grid(design=list(self.designs)),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            claims=tuple(claim for design in self.designs for claim in CLAIMS[design]),
            tables=(
                Table(
                    title="Error of the effect",
                    metric=("bias", "ate_error", "pehe"),
                    rows=("design", "method"),
                    note="No U and Oracle: a T-learner by least squares, without and with the true U; VLUCI with "
                    "draws of U (multiple), U's mean (mean) or its own outcome networks (decoder). Settings of CEVAE "
                    "and Intact-VAE are this library's, not tuned.",
                ),
                Table(
                    title="VLUCI's inferred confounder",
                    metric=("corr_u", "kl", "change"),
                    rows=("design",),
                    where={"method": "VLUCI"},
                    note="change: of the average effect when U's draws are added to X.",
                ),
            ),
        )


def _claims():
    """Claims that follow from the models' assumptions, and the plan's negative control; the bounds are ours."""
    hidden, nothing, proxies = ({"where": {"design": design}, "min_replications": 5} for design in DESIGNS)
    for claim in (hidden, nothing, proxies):
        claim["source"] = "ours"
    return {
        "no trace in X": (
            Ordering(metric="ate_error", methods=("VLUCI, multiple", "Intact-VAE"), **hidden),
            Ordering(metric="ate_error", methods=("VLUCI, multiple", "CEVAE"), **hidden),
            Within(metric="bias", method="Intact-VAE", low=3.0, **hidden),
        ),
        "nothing hidden": (
            Within(
                metric="change",
                method="VLUCI",
                low=-0.05,
                high=0.05,
                **nothing,
                name="negative control: a U without effect on the outcome changes the estimate by less than .05",
            ),
            Within(metric="ate_error", method="VLUCI, multiple", high=0.15, **nothing),
            Within(metric="ate_error", method="Intact-VAE", high=0.3, **nothing),
        ),
        "proxies": (Ordering(metric="ate_error", methods=("CEVAE", "No U"), **proxies),),
    }


CLAIMS = _claims()


def replicate(key, setting, *, config: Comparison):
    """All methods on one sample."""
    data_key, *fit_keys, outcome_key = jax.random.split(key, 5)
    design = setting["design"]
    s: HiddenConfounderSample = DESIGNS[design](data_key, n=config.samples)
    metrics = without_vluci(s)
    schedule = Schedule(epochs=config.vluci_epochs)
    metrics |= with_vluci(fit_keys[0], s, LatentModel("two_point", 1), schedule, config.draws)[1]
    metrics["VLUCI"]["change"] = metrics["VLUCI, multiple"]["bias"] - metrics["No U"]["bias"]
    model = CEVAEModel(BINARY.get(design, ()), latents=5, width=config.hidden)
    fitted = cevae(fit_keys[1], s.x, s.t, s.y, model=model, schedule=Schedule(epochs=config.cevae_epochs))
    metrics["CEVAE"] = scores(cevae_outcomes(outcome_key, model, fitted, s.x).effect, s)
    score = IntactVAEModel()
    fitted = intact_vae(fit_keys[2], s.x, s.t, s.y, model=score, schedule=Schedule(epochs=config.intact_epochs))
    metrics["Intact-VAE"] = scores(intact_vae_outcomes(outcome_key, score, fitted, s.x).effect, s)
    return metrics
