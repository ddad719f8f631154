"""Causal component analysis on its simulation (G1), right and misspecified."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from causalrep.data import cauca_simulation
from causalrep.latent import CausalFlow, Schedule, cauca_objective, fit_best
from causalrep.latent.reference import cauca
from causalrep.study import Ordering, Study, Table, Within, grid
from causalrep.validation import check_range
from experiments.crl import scores

CAUCA, LINEAR = "CauCA", "CauCA, linear unmixing"
WRONG_GRAPH, WRONG_TARGETS = "CauCA, wrong graph", "CauCA, wrong targets"


@dataclasses.dataclass(frozen=True)
class CausalComponents:
    """Causal component analysis with known graph and targets (G1), and what happens if they are wrong.

    Attributes:
        replications: Random models.
        layers: Nonlinear layers of the mixing.
        latents: d.
        n: Rows an environment.
        steps: Updates of each fit.
        restarts: Of each fit, the best validation likelihood kept.
        batch_size: Rows a step.
        seed: Root of all random keys.
    """

    replications: int = 20
    layers: tuple[int, ...] = (2, 3, 5)
    latents: int = 4
    n: int = 200_000
    steps: int = 20_000
    restarts: int = 3
    batch_size: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("steps", self.steps, at_least=20)

    def study(self) -> Study:
        """The study."""
        item = "section 9, item 5"
        claims = []
        if 3 in self.layers:
            at = {"layers": 3}
            claims = [
                Within(metric="loss_of_mcc", method=WRONG_GRAPH, low=0.03, where=at, source=item),
                Ordering(metric="mcc", methods=(LINEAR, WRONG_GRAPH, CAUCA), where=at, source=item),
                Within(metric="loss_of_mcc", method=LINEAR, low=0.15, where=at, source=item),
            ]
        if {2, 5} <= set(self.layers):
            claims.append(Ordering(metric="mcc", methods=((CAUCA, {"layers": 5}), (CAUCA, {"layers": 2})), source=item))
        return Study(
            name="crl/g1",
            replicate=partial(replicate_g1, config=self),
            settings=grid(layers=self.layers),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            config={"latents": self.latents, "n": self.n, "steps": self.steps, "restarts": self.restarts,
                    "batch_size": self.batch_size},
            claims=tuple(claims),
            tables=(Table(title="MCC with the latents", metric="mcc", rows="method", columns="layers",
                          note="Held-out observational rows. Wrong graph: every edge reversed. Wrong targets: each "
                               "environment is said to act on the next latent. Reported: the released results, where "
                               "graphs, flow and the misspecified graph differ from ours."),),
        )  # fmt: skip


def replicate_g1(key: Array, setting: dict, *, config: CausalComponents) -> dict:
    """One model: the method as it should be, and three times misspecified."""
    keys = jax.random.split(key, 8)
    data = cauca_simulation(keys[0], n=config.n, latents=config.latents, layers=setting["layers"])
    x, z = scores.standardized(data.rows.x), data.rows.z
    train, validation = scores.environment_rows(x)
    held, right = int(scores.HELD_OUT * config.n), jnp.arange(config.latents)
    seen, truth, graph = x[0, :held][: scores.ROWS], z[0, :held][: scores.ROWS], data.interventions.graph
    schedule = Schedule(config.steps, config.batch_size, restarts=config.restarts)
    nonlinear, linear = CausalFlow(setting["layers"]), CausalFlow(0)
    codes = {}
    for number, (name, model, edges, targets) in enumerate((
        (CAUCA, nonlinear, graph, right), (WRONG_GRAPH, nonlinear, graph.T, right),
        (WRONG_TARGETS, nonlinear, graph, jnp.roll(right, -1)), (LINEAR, linear, graph, right),
    )):  # fmt: skip
        objective = cauca_objective(model, edges, targets)
        found = fit_best(objective, schedule, keys[1 + number], train, validation)
        codes[name] = cauca.latents_of(model, found.params, seen)
    chance = scores.chance(keys[6], truth)
    metrics = scores.scored(truth, {**codes, **scores.baselines(keys[7], truth, seen)}, chance)
    for name in (WRONG_GRAPH, WRONG_TARGETS, LINEAR):
        metrics[name]["loss_of_mcc"] = metrics[CAUCA]["mcc"] - metrics[name]["mcc"]
    return metrics | {scores.CHANCE: {"mcc": chance}}
