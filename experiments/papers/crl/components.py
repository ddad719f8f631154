"""Causal component analysis on the simulation of its paper, well specified and misspecified."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from causalrep.base.validation import check_range
from causalrep.data import cauca_simulation
from causalrep.latent import Schedule, cauca_objective
from causalrep.latent.environments.rows import fit_best
from causalrep.latent.interventions.cauca import CausalFlow
from causalrep.study import Ordering, Study, Table, Within, grid
from experiments.papers.crl import scores

CAUCA, LINEAR = "CauCA", "CauCA, linear unmixing"
WRONG_GRAPH, WRONG_TARGETS = "CauCA, wrong graph", "CauCA, wrong targets"
SHUFFLED = "CauCA, environments shuffled"


@dataclasses.dataclass(frozen=True)
class CausalComponents:
    """Causal component analysis with known graph and targets, and with wrong ones.

    Attributes:
        replications: Number of random models.
        layers: Numbers of nonlinear layers of the mixing.
        latents: Number of latents d.
        n: Rows per environment.
        steps: Updates per fit.
        restarts: Restarts per fit; the one with the best validation likelihood is kept.
        batch_size: Rows per step.
        learning_rate: Initial learning rate.
        couplings: Widths of the flow's couplings. If empty, the flow has the form of the mixing: monotone functions of
            single coordinates between linear maps, in as many blocks as the mixing has layers.
        seed: Random seed.
    """

    replications: int = 20
    layers: tuple[int, ...] = (2, 3, 5)
    latents: int = 4
    n: int = 200_000
    steps: int = 20_000
    restarts: int = 3
    batch_size: int = 4096
    learning_rate: float = 2e-2
    couplings: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("steps", self.steps, at_least=20)

    def study(self) -> Study:
        """The study: cells are depths of the mixing, replications are random models."""
        item = "section 9, item 5"
        at, claims = {"layers": 3}, []
        for layers in self.layers:
            right = {"layers": layers}
            claims += [
                Within(metric="above_chance", method=CAUCA, low=0.05, where=right, source="ours"),
                Within(metric="above_chance", method=SHUFFLED, high=0.1, where=right, source="ours"),
                Ordering(metric="own_correlation", methods=(WRONG_TARGETS, CAUCA), where=right, source="ours"),
            ]
        if 3 in self.layers:
            claims += [
                Within(metric="loss_of_mcc", method=WRONG_GRAPH, low=0.03, where=at, source=item),
                Within(metric="loss_of_mcc", method=LINEAR, low=0.15, where=at, source=item),
                Ordering(metric="mcc", methods=(LINEAR, WRONG_GRAPH, CAUCA), where=at, source=item),
            ]
        if {2, 5} <= set(self.layers):
            claims.append(Ordering(metric="mcc", methods=((CAUCA, {"layers": 5}), (CAUCA, {"layers": 2})), source=item))
        return scores.study(
            self,
            "crl/cauca",
            replicate,
            settings=grid(layers=self.layers),
            fields=("latents", "n", "steps", "restarts", "batch_size", "learning_rate", "couplings"),
            claims=tuple(claims),
            tables=(
                Table(
                    title="MCC with the latents",
                    metric="mcc",
                    rows="method",
                    columns="layers",
                    note="On held-out observational rows. Wrong graph: every edge is reversed. Wrong targets: each "
                    "environment is assigned to the next latent. Reported: released results, which use other flows, "
                    "graphs and another misspecification of the graph, with 200,000 rows per environment.",
                ),
                Table(
                    title="Correlation of each latent with the code of the same number",
                    metric="own_correlation",
                    rows="method",
                    columns="layers",
                    note="The targets number the latents. The MCC ignores wrong numbers: it matches codes itself.",
                ),
                Table(
                    title="Minus the log-likelihood of held-out rows, nats",
                    metric="loss",
                    rows="method",
                    columns="layers",
                    note="In standardized units of the observations, so that users can compare it.",
                ),
            ),
        )


def replicate(key: Array, setting: dict, *, config: CausalComponents) -> dict:
    """Scores on one random model: the right specification and four wrong ones."""
    keys = jax.random.split(key, 6)
    d, layers = config.latents, setting["layers"]
    data = cauca_simulation(keys[0], n=config.n, latents=d, layers=layers)
    x, graph = scores.standardized(data.rows.x), data.interventions.graph
    (train, validation), right = scores.environment_rows(x), jnp.arange(d)
    seen = int(min(scores.ROWS, scores.HELD_OUT * config.n))
    test, z = x[0, :seen], data.rows.z[0, :seen]

    def fit(model: CausalFlow, graph: Array, targets: Array, dealt: tuple[Array, Array]) -> tuple[Array, Array]:
        rows = [part._replace(code=code) for part, code in zip((train, validation), dealt, strict=True)]
        result = fit_best(cauca_objective(model, graph, targets), schedule, keys[1], *rows)
        return model.apply(result.params, test, method="encode"), result.final_loss

    schedule = Schedule(
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        restarts=config.restarts,
    )
    model, own = CausalFlow(d, d, layers, config.couplings), (train.code, validation.code)
    others = tuple(jax.random.permutation(key, code) for key, code in zip(keys[2:4], own, strict=True))
    variants = {
        CAUCA: (graph, right, own),
        WRONG_GRAPH: (graph.T, right, own),
        WRONG_TARGETS: (graph, jnp.roll(right, -1), own),
        SHUFFLED: (graph, right, others),
    }
    # lax.map computes the variants one after the other by one compiled program.
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *variants.values())
    fitted, losses = jax.lax.map(lambda variant: fit(model, *variant), stacked)
    codes, loss = (dict(zip(variants, values, strict=True)) for values in (fitted, losses))
    codes[LINEAR], loss[LINEAR] = fit(CausalFlow(d, d, 0), graph, right, own)

    chance = scores.chance(keys[4], z)
    metrics = scores.scored(z, {**codes, **scores.baselines(keys[5], z, test)}, chance)
    for name, value in loss.items():
        metrics[name] |= {"loss": value, "own_correlation": _own_correlation(z, codes[name])}
    for name in (WRONG_GRAPH, WRONG_TARGETS, LINEAR):
        metrics[name]["loss_of_mcc"] = metrics[CAUCA]["mcc"] - metrics[name]["mcc"]
    return metrics | {scores.CHANCE: {"mcc": chance, "varsortability": scores.varsortability_of(data.interventions)}}


def _own_correlation(z: Array, codes: Array) -> Array:
    """Absolute correlation of a latent with the code of the same number, averaged over latents."""
    d = z.shape[1]
    return jnp.mean(jnp.abs(jnp.diagonal(jnp.corrcoef(z.T, codes.T)[:d, d:])))
