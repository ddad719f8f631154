"""Polynomial mixings of latents of any distribution, each held constant once (G5)."""

import dataclasses
from functools import partial
from math import comb

import jax
import jax.numpy as jnp
from jaxtyping import Array

from causalrep.base.validation import check_range
from causalrep.data import ahuja_simulation
from causalrep.latent import Schedule, constant_directions, reconstruction_objective
from causalrep.latent.environments.rows import fit_best
from causalrep.latent.interventions.polynomial import PolynomialAutoencoder
from causalrep.metrics import weak_mcc
from causalrep.study import Study, Table, Within, grid
from experiments.papers.crl import scores

POLYNOMIAL, SHUFFLED = "Polynomial decoder, do", "Polynomial decoder, do, environments shuffled"
CODES = "Polynomial decoder alone"


@dataclasses.dataclass(frozen=True)
class Supports:
    """An autoencoder with a polynomial decoder, then the direction that each do-intervention makes constant (G5).

    Attributes:
        replications: Random mixings.
        kinds: Distributions of the latents.
        degrees: Degrees of the mixing.
        latents: d.
        observed: p.
        n: Rows per environment.
        steps: Updates of each fit.
        restarts: Starts of each fit.
        seed: Random seed.
    """

    replications: int = 5
    kinds: tuple[str, ...] = ("uniform", "correlated", "mixture", "scm")
    degrees: tuple[int, ...] = (2, 3)
    latents: int = 6
    observed: int = 200
    n: int = 10_000
    steps: int = 10_000
    restarts: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("steps", self.steps, at_least=20)

    def study(self) -> Study:
        """The study."""
        claims = []
        for kind in self.kinds:
            for degree in self.degrees:
                at = {"kind": kind, "degree": degree}
                claims += [
                    Within(metric="mcc", method=POLYNOMIAL, low=0.95, where=at, source="theory (0.95: ours)"),
                    Within(metric="weak_mcc", method=CODES, low=0.95, where=at, source="theory (0.95: ours)"),
                    Within(metric="above_chance", method=SHUFFLED, high=0.1, where=at, source="ours"),
                ]
        note = "Observational rows that were held out, by the distribution of the latents and the degree of the mixing."
        return Study(
            name="crl/polynomial",
            replicate=partial(replicate_g5, config=self),
            settings=grid(kind=self.kinds, degree=self.degrees),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            config={
                "latents": self.latents,
                "observed": self.observed,
                "n": self.n,
                "steps": self.steps,
                "restarts": self.restarts,
            },
            claims=tuple(claims),
            tables=(
                Table(
                    title="MCC with the latents",
                    metric="mcc",
                    rows="method",
                    columns=("kind", "degree"),
                    note=f"{note} Alone, the decoder identifies the latents up to an affine map; do-interventions "
                    "single them out.",
                ),
                Table(
                    title="MCC with the latents after the best affine map",
                    metric="weak_mcc",
                    rows="method",
                    columns=("kind", "degree"),
                    note="Rotations of the latents have 1 here.",
                ),
            ),
        )


def replicate_g5(key: Array, setting: dict, *, config: Supports) -> dict:
    """One mixing: codes, and the directions among them that true and shuffled environments hold constant."""
    keys = jax.random.split(key, 5)
    d, degree = config.latents, setting["degree"]
    sample = ahuja_simulation(
        keys[0], n=config.n, latents=d, observed=config.observed, degree=degree, kind=setting["kind"]
    )
    components = scores.principal(sample.x, comb(d + degree, degree) - 1)
    train, validation = scores.environment_rows(components)
    seen = int(min(scores.ROWS, scores.HELD_OUT * config.n))
    test, z = components[0, :seen], sample.z[0, :seen]

    model = PolynomialAutoencoder(d, components.shape[2], degree)
    schedule = Schedule(steps=config.steps, learning_rate=1e-2, restarts=config.restarts)
    params = fit_best(reconstruction_objective(model), schedule, keys[1], train, validation).params
    learned, seen_codes = (model.apply(params, x, method="encode") for x in (train.x, test))
    dealt = jax.random.permutation(keys[2], train.code)
    codes = {
        POLYNOMIAL: seen_codes @ constant_directions(learned, train.code, d).T,
        SHUFFLED: seen_codes @ constant_directions(learned, dealt, d).T,
        CODES: seen_codes,
    } | scores.baselines(keys[3], z, test)
    chance = scores.chance(keys[4], z)
    metrics = scores.scored(z, codes, chance)
    for name, code in codes.items():
        metrics[name]["weak_mcc"] = weak_mcc(z, code)
    metrics[CODES]["error"] = jnp.mean((model.apply(params, test)[1] - test) ** 2)
    return metrics | {scores.CHANCE: {"mcc": chance}}
