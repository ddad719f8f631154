"""Nonlinear ICA from segments: TCL and iVAE against a beta-VAE on their simulation (G6)."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from causalrep.data import segments_simulation
from causalrep.latent import VAE, Schedule, SegmentClassifier, elbo_objective, fast_ica, fit_best, tcl_objective
from causalrep.latent.reference import tcl, vae
from causalrep.study import Monotone, Study, Table, Within, grid
from causalrep.validation import check_range
from experiments.crl import scores

TCL, IVAE, BETA_VAE, ONE_SEGMENT = "TCL", "iVAE", "beta-VAE", "iVAE, one segment"


@dataclasses.dataclass(frozen=True)
class Segments:
    """Nonlinear ICA from segments (G6): TCL and iVAE against a beta-VAE.

    Attributes:
        replications: Random mixings and scales.
        samples: Rows a segment.
        segments: How many.
        layers: Of the mixing.
        beta: Of the beta-VAE.
        hidden: Widths of all networks.
        steps: Updates of each fit.
        restarts: Of each fit, the best validation loss kept.
        seed: Root of all random keys.
    """

    replications: int = 10
    samples: tuple[int, ...] = (100, 500, 2000)
    segments: int = 20
    layers: tuple[int, ...] = (2, 4)
    beta: float = 1.0
    hidden: tuple[int, ...] = (64, 64)
    steps: int = 20_000
    restarts: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("steps", self.steps, at_least=20)

    def study(self) -> Study:
        """The study."""
        item, most = "section 9, item 6", max(self.samples)
        claims = [
            Within(metric="above_chance", method=ONE_SEGMENT, low=-0.1, high=0.1, where={"layers": layers, "n": most},
                   source=f"{item} (0.1: ours)")
            for layers in self.layers
        ]  # fmt: skip
        for method in (TCL, IVAE):
            for layers in self.layers:
                at = {"layers": layers}
                if len(self.samples) > 1:
                    claims.append(Monotone(metric="mcc", method=method, along="n", direction="increasing", where=at,
                                           source=item))  # fmt: skip
                claims.append(Within(metric="above_beta_vae", method=method, low=0.15, where={**at, "n": most},
                                     source=item))  # fmt: skip
        return Study(
            name="crl/g6",
            replicate=partial(replicate_g6, config=self),
            settings=grid(layers=self.layers, n=self.samples),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            config={"segments": self.segments, "beta": self.beta, "hidden": self.hidden, "steps": self.steps,
                    "restarts": self.restarts},
            claims=tuple(claims),
            tables=(Table(title="MCC with the latents", metric="mcc", rows="method", columns=("layers", "n"),
                          note=f"Held-out rows of the same {self.segments} segments; n rows a segment to train on."),),
        )  # fmt: skip


def replicate_g6(key: Array, setting: dict, *, config: Segments) -> dict:
    """One mixing: every method on the same rows."""
    keys = jax.random.split(key, 9)
    n, extra = setting["n"], max(1, scores.ROWS // config.segments)
    sample = segments_simulation(
        keys[0], n=n + extra, segments=config.segments, layers=setting["layers"]
    )
    x, d = scores.standardized(sample.x), sample.z.shape[2]
    (train, validation), test = scores.environment_rows(x[:, :n]), scores.rows_of(x[:, n:])
    z = sample.z[:, n:].reshape(-1, d)

    schedule = Schedule(config.steps, restarts=config.restarts)
    codes = {}
    classifier = SegmentClassifier(d, config.segments, config.hidden)
    found = fit_best(tcl_objective(classifier), schedule, keys[2], train, validation)
    learned = tcl.features(classifier, found.params, train.x)
    unmixing = fast_ica(keys[3], learned[:: len(learned) // scores.ROWS + 1], d).unmixing
    codes[TCL] = tcl.features(classifier, found.params, test.x) @ unmixing.T
    for number, (name, segments, beta) in enumerate(
        ((IVAE, config.segments, 1.0), (ONE_SEGMENT, 1, 1.0), (BETA_VAE, 0, config.beta))
    ):
        model = VAE(d, d, segments, config.hidden)
        one = (lambda part: part) if segments > 1 else (lambda part: part._replace(code=jnp.zeros_like(part.code)))
        found = fit_best(elbo_objective(model, beta), schedule, keys[4 + number], one(train), one(validation))
        codes[name] = vae.posterior_mean(model, found.params, test.x, one(test).code)
    chance = scores.chance(keys[7], z)
    metrics = scores.scored(z, {**codes, **scores.baselines(keys[8], z, test.x)}, chance)
    for name in (TCL, IVAE):
        metrics[name]["above_beta_vae"] = metrics[name]["mcc"] - metrics[BETA_VAE]["mcc"]
    return metrics | {scores.CHANCE: {"mcc": chance}}
