"""Polynomial mixings of latents of any distribution, each held constant in one environment."""

import dataclasses
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
    """An autoencoder with a polynomial decoder, then the direction that each do-intervention makes constant.

    Attributes:
        replications: Number of random mixings.
        kinds: Distributions of the latents.
        degrees: Degrees of the mixing.
        latents: Number of latents d.
        observed: Number of observed variables p.
        n: Rows per environment.
        steps: Updates per fit.
        restarts: Restarts per fit.
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
        """The study: cells are distributions of the latents x degrees, replications are random mixings."""
        claims = []
        for kind in self.kinds:
            for degree in self.degrees:
                at = {"kind": kind, "degree": degree}
                claims += [
                    Within(metric="mcc", method=POLYNOMIAL, low=0.95, where=at, source="theory (0.95: ours)"),
                    Within(metric="weak_mcc", method=CODES, low=0.95, where=at, source="theory (0.95: ours)"),
                    Within(metric="above_chance", method=SHUFFLED, high=0.1, where=at, source="ours"),
                ]
        note = "On held-out observational rows, by the distribution of the latents and the degree of the mixing."
        return scores.study(
            self,
            "crl/polynomial",
            replicate,
            settings=grid(kind=self.kinds, degree=self.degrees),
            fields=("latents", "observed", "n", "steps", "restarts"),
            claims=tuple(claims),
            tables=(
                Table(
                    title="MCC with the latents",
                    metric="mcc",
                    rows="method",
                    columns=("kind", "degree"),
                    note=f"{note} The decoder alone identifies the latents up to an affine map; do-interventions "
                    "resolve it.",
                ),
                Table(
                    title="MCC with the latents after the best affine map",
                    metric="weak_mcc",
                    rows="method",
                    columns=("kind", "degree"),
                    note="Rotations of the latents have the score 1.",
                ),
            ),
        )


def replicate(key: Array, setting: dict, *, config: Supports) -> dict:
    """Scores on one mixing: the codes, and the directions that true and shuffled environments hold constant."""
    keys = jax.random.split(key, 5)
    d, degree = config.latents, setting["degree"]
    sample = ahuja_simulation(
        keys[0], n=config.n, latents=d, observed=config.observed, degree=degree, kind=setting["kind"]
    )
    # Monomials of d latents up to the degree, without the constant, span the observations.
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
