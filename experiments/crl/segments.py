"""Nonlinear ICA from segments: time-contrastive learning against a beta-VAE on its simulation (G6).

TCL identifies magnitudes of latents, so all codes are compared with ``|z|``: those of other methods by their magnitudes
about their mean.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from causalrep.data import segments_simulation
from causalrep.latent import VAE, Schedule, SegmentClassifier, elbo_objective, fast_ica, fit_best, tcl_objective
from causalrep.latent.reference.tcl import segment_features
from causalrep.latent.reference.vae import posterior_mean
from causalrep.metrics import chance_level, mcc
from causalrep.study import Monotone, Study, Table, Within, grid
from causalrep.validation import check_range
from experiments.crl import scores

TCL, SHUFFLED, BETA_VAE = "TCL", "TCL, segments shuffled", "beta-VAE"


@dataclasses.dataclass(frozen=True)
class Segments:
    """TCL against a beta-VAE.

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
        item, claims = "section 9, item 6", []
        for layers in self.layers:
            at = {"layers": layers, "n": max(self.samples)}
            claims += [
                Within(metric="above_beta_vae", method=TCL, low=0.15, where=at, source=item),
                Within(metric="above_chance", method=SHUFFLED, high=0.1, where=at, source=f"{item} (0.1: ours)"),
            ]
            if len(self.samples) > 1:
                claims.append(Monotone(metric="mcc", method=TCL, along="n", direction="increasing",
                                       where={"layers": layers}, source=item))  # fmt: skip
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
            tables=(Table(title="MCC with the magnitudes of the latents", metric="mcc", rows="method",
                          columns=("layers", "n"),
                          note=f"Held-out rows of the same {self.segments} segments; n rows a segment to train on. "
                               "Magnitudes are what TCL identifies; codes of the others enter by their magnitudes."),),
        )  # fmt: skip


def replicate_g6(key: Array, setting: dict, *, config: Segments) -> dict:
    """One mixing: every method on the same rows."""
    keys = jax.random.split(key, 10)
    n, extra = setting["n"], max(1, scores.ROWS // config.segments)
    sample = segments_simulation(keys[0], n=n + extra, segments=config.segments, layers=setting["layers"])
    x, d = scores.standardized(sample.x), sample.z.shape[2]
    test, z = x[:, n:].reshape(-1, d), sample.z[:, n:].reshape(-1, d)
    schedule = Schedule(config.steps, restarts=config.restarts)
    classifier, autoencoder = SegmentClassifier(d, config.segments, config.hidden), VAE(d, d, config.hidden)

    codes = {name: _magnitudes(code) for name, code in scores.baselines(keys[1], z, test).items()}
    for number, (name, dealt) in enumerate(((TCL, x[:, :n]), (SHUFFLED, scores.shuffled(keys[2], x[:, :n])))):
        train, validation = scores.environment_rows(dealt)
        params = fit_best(tcl_objective(classifier), schedule, keys[3 + number], train, validation).params
        learned = segment_features(classifier, params, train.x[:: len(train.x) // scores.ROWS + 1])
        unmixing = fast_ica(keys[5 + number], learned, d).unmixing
        codes[name] = segment_features(classifier, params, test) @ unmixing.T
    params = fit_best(
        elbo_objective(autoencoder, config.beta), schedule, keys[7], *scores.environment_rows(x[:, :n])
    ).params
    codes[BETA_VAE] = _magnitudes(posterior_mean(autoencoder, params, test))

    chance = chance_level(lambda z, z_hat: mcc(jnp.abs(z), _magnitudes(z_hat)), keys[8], z).mean
    metrics = scores.scored(jnp.abs(z), codes, chance)
    metrics[TCL]["above_beta_vae"] = metrics[TCL]["mcc"] - metrics[BETA_VAE]["mcc"]
    return metrics | {scores.CHANCE: {"mcc": chance}}


def _magnitudes(code: Array) -> Array:
    return jnp.abs(code - jnp.mean(code, axis=0))
