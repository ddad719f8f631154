"""Latents that cause one another over time, estimated by the exact likelihood of a flow."""

import dataclasses

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
    """A flow whose latents at each step depend on earlier steps by mechanisms with Laplace noise.

    Attributes:
        replications: Number of random mixings and transitions.
        kinds: Kinds of transitions, ``"linear"`` or ``"nonlinear"``.
        latents: Number of latents d.
        layers: Layers of the mixing.
        n: Number of series; each is a window of three steps.
        transition: Widths of the learned transitions if they are nonlinear.
        steps: Updates per fit.
        restarts: Restarts per fit.
        couplings: Widths of the flow's couplings. If empty, the flow has the form of the mixing.
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
        """The study: cells are kinds of transitions, replications are random mixings."""
        claims = []
        for kind in self.kinds:
            at = {"kind": kind}
            claims += [
                Within(metric="mcc", method=FLOW, low=0.95, where=at, source="theory (0.95: ours)"),
                Ordering(metric="mcc", methods=(SHUFFLED, FLOW), where=at, source="ours"),
            ]
        return scores.study(
            self,
            "crl/temporal_flow",
            replicate,
            settings=grid(kind=self.kinds),
            fields=("latents", "layers", "n", "transition", "steps", "restarts", "couplings"),
            claims=tuple(claims),
            tables=(
                Table(
                    title="MCC with the latents",
                    metric="mcc",
                    rows="method",
                    columns="kind",
                    note=f"On the last steps of held-out windows, with {self.latents} latents and {self.layers} layers "
                    "of mixing. The method is ours, after LEAP, with a flow in place of its autoencoder. With the past "
                    "of another series the likelihood still demands independent Laplace latents behind a flow of the "
                    "form of the mixing. That is informative, so the control need not be at chance.",
                ),
            ),
        )


def replicate(key: Array, setting: dict, *, config: Series) -> dict:
    """Scores on one mixing: the flow, and its control in which each present follows the past of another series."""
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

    # lax.map compiles one program for both fits.
    fitted = jax.lax.map(fit, jnp.stack([x, mixed]))
    codes = dict(zip((FLOW, SHUFFLED), fitted, strict=True)) | scores.baselines(keys[3], z, test)
    chance = scores.chance(keys[4], z)
    return scores.scored(z, codes, chance) | {scores.CHANCE: {"mcc": chance}}
