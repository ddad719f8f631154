"""Contrastive causal representation learning on the simulation of its paper, compared with LSCALE-I."""

import dataclasses

import jax
from jaxtyping import Array

from causalrep.base.validation import check_range
from causalrep.data import buchholz_simulation
from causalrep.latent import Schedule, contrastive_objective, gaussian_score_changes, lscale, sample_moments
from causalrep.latent.environments.rows import fit_best
from causalrep.latent.interventions.contrastive import ContrastiveModel
from causalrep.study import Study, Table, Within, grid
from experiments.papers.crl import scores

CONTRASTIVE, SHUFFLED, LSCALE = "Contrastive CRL", "Contrastive CRL, environments shuffled", "LSCALE-I"


@dataclasses.dataclass(frozen=True)
class Contrastive:
    """Contrastive causal representation learning with linear and nonlinear mixings.

    Attributes:
        replications: Number of random models.
        mixings: Kinds of mixings, ``"linear"`` or ``"nonlinear"``.
        shifts: Whether interventions shift means; without a shift only variances differ between environments.
        latents: Number of latents d.
        n: Rows per environment.
        hidden: Widths of the encoder under a nonlinear mixing; under a linear one the encoder is linear.
        steps: Updates per fit.
        restarts: Restarts per fit.
        seed: Random seed.
    """

    replications: int = 5
    mixings: tuple[str, ...] = ("linear", "nonlinear")
    shifts: tuple[bool, ...] = (True, False)
    latents: int = 5
    n: int = 10_000
    hidden: tuple[int, ...] = (512, 512)
    steps: int = 20_000
    restarts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("steps", self.steps, at_least=20)

    def study(self) -> Study:
        """The study: cells are mixings x shifts, replications are random models."""
        least = {"linear": 0.95, "nonlinear": 0.90}
        item = "section 9, item 4"
        claims = []
        for mixing in self.mixings:
            at = {"mixing": mixing, "shifted": True}
            if True in self.shifts:
                claims += [
                    Within(metric="mcc", method=CONTRASTIVE, low=least[mixing], where=at, source=item),
                    Within(metric="above_chance", method=SHUFFLED, high=0.1, where=at, source=f"{item} (0.1: ours)"),
                ]
        return scores.study(
            self,
            "crl/contrastive",
            replicate,
            settings=grid(mixing=self.mixings, shifted=self.shifts),
            fields=("latents", "n", "hidden", "steps", "restarts"),
            claims=tuple(claims),
            tables=(
                Table(
                    title="MCC with the latents",
                    metric="mcc",
                    rows="method",
                    columns=("mixing", "shifted"),
                    note="On held-out observational rows. shifted: interventions shift means.",
                ),
            ),
        )


def replicate(key: Array, setting: dict, *, config: Contrastive) -> dict:
    """Scores on one random model: the method, its control with shuffled environments, and LSCALE-I."""
    keys = jax.random.split(key, 8)
    linear = setting["mixing"] == "linear"
    data = buchholz_simulation(
        keys[0], n=config.n, latents=config.latents, nonlinear=not linear, shifted=setting["shifted"]
    )
    x, z = scores.standardized(data.rows.x), data.rows.z
    model = ContrastiveModel(config.latents, () if linear else config.hidden)
    objective, schedule = contrastive_objective(model), Schedule(steps=config.steps, restarts=config.restarts)
    held = int(scores.HELD_OUT * config.n)
    seen, truth = x[0, :held], z[0, :held]
    codes = {}
    for number, (name, dealt) in enumerate(((CONTRASTIVE, x), (SHUFFLED, scores.shuffled(keys[1], x)))):
        train, validation = scores.environment_rows(dealt)
        params = fit_best(objective, schedule, keys[2 + number], train, validation).params
        codes[name] = model.apply(params, seen, method="encode")
    moments = sample_moments(x, config.latents)
    codes[LSCALE] = seen @ lscale(moments, gaussian_score_changes(moments)).unmixing.T
    chance = scores.chance(keys[4], truth)
    metrics = scores.scored(truth, {**codes, **scores.baselines(keys[5], truth, seen)}, chance)
    return metrics | {scores.CHANCE: {"mcc": chance}}
