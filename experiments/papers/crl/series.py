"""Latents that cause one another over time (G7), by the exact likelihood of a flow."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from causalrep.base.validation import check_range
from causalrep.data import leap_simulation
from causalrep.latent import Schedule, temporal_flow_objective
from causalrep.latent.environments.rows import coded_rows, fit_best
from causalrep.latent.series.temporal_flow import TemporalFlowModel
from causalrep.study import Ordering, Study, Table, Within, grid
from experiments.papers.crl import scores

FLOW, SHUFFLED = "Temporal flow", "Temporal flow, past of another series"


@dataclasses.dataclass(frozen=True)
class Series:
    """A flow whose latents at each step have mechanisms in the steps before it, and Laplace noises (G7).

    Attributes:
        replications: Random mixings and transitions.
        kinds: Kinds of transitions, ``"linear"`` or ``"nonlinear"``.
        latents: d.
        layers: Nonlinear layers of the mixing.
        n: Series, each one window of three steps.
        transition: Widths of the learned transitions' perceptron, if they are nonlinear.
        steps: Updates of each fit.
        restarts: Starts of each fit.
        couplings: Widths of the flow's couplings. Without couplings it has the structure of the mixing.
        seed: Random seed.
    """

    replications: int = 5
    kinds: tuple[str, ...] = ("linear", "nonlinear")
    latents: int = 8
    layers: int = 3
    n: int = 50_000
    transition: tuple[int, ...] = (32,)
    steps: int = 20_000
    restarts: int = 3
    couplings: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("steps", self.steps, at_least=20)

    def study(self) -> Study:
        """The study."""
        claims = []
        for kind in self.kinds:
            at = {"kind": kind}
            claims += [
                Within(metric="mcc", method=FLOW, low=0.95, where=at, source="theory (0.95: ours)"),
                Ordering(metric="mcc", methods=(SHUFFLED, FLOW), where=at, source="ours"),
            ]
        return Study(
            name="crl/temporal_flow",
            replicate=partial(replicate_g7, config=self),
            settings=grid(kind=self.kinds),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            config={
                "latents": self.latents,
                "layers": self.layers,
                "n": self.n,
                "transition": self.transition,
                "steps": self.steps,
                "restarts": self.restarts,
                "couplings": self.couplings,
            },
            claims=tuple(claims),
            tables=(
                Table(
                    title="MCC with the latents",
                    metric="mcc",
                    rows="method",
                    columns="kind",
                    note=f"Last steps of held-out windows, {self.latents} latents, {self.layers} layers of "
                    "mixing. The method is ours after LEAP: a flow in place of its autoencoder. Without the "
                    "right past the likelihood still requires independent Laplace latents behind a flow "
                    "with the structure of the mixing, so the control need not be at chance.",
                ),
            ),
        )


def replicate_g7(key: Array, setting: dict, *, config: Series) -> dict:
    """One mixing: the flow, and the same flow when each present is paired with the past of another series."""
    keys = jax.random.split(key, 6)
    sample = leap_simulation(keys[0], n=config.n, latents=config.latents, layers=config.layers, kind=setting["kind"])
    x = scores.standardized(sample.x)
    held = int(scores.HELD_OUT * config.n)
    seen = min(scores.ROWS, held)
    test, z = x[:seen, -1], sample.z[:seen, -1]
    other = jax.random.permutation(keys[1], len(x))
    mixed = jnp.concatenate([x[other, :-1], x[:, -1:]], axis=1)

    model = TemporalFlowModel(
        config.latents, () if setting["kind"] == "linear" else config.transition, config.layers, config.couplings
    )
    schedule = Schedule(steps=config.steps, learning_rate=2e-2, restarts=config.restarts)

    def fit(windows: Array) -> Array:
        rows = coded_rows(windows, jnp.zeros(len(windows), int), 1)
        train, validation = (
            jax.tree.map(lambda leaf, part=part: leaf[part], rows) for part in (slice(held, None), slice(held))
        )
        params = fit_best(temporal_flow_objective(model), schedule, keys[2], train, validation).params
        return model.apply(params, test, method="encode")

    # lax.map compiles one program for both.
    fitted = jax.lax.map(fit, jnp.stack([x, mixed]))
    codes = dict(zip((FLOW, SHUFFLED), fitted, strict=True)) | scores.baselines(keys[3], z, test)
    chance = scores.chance(keys[4], z)
    return scores.scored(z, codes, chance) | {scores.CHANCE: {"mcc": chance}}
