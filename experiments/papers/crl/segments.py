"""Nonlinear ICA from segments: TCL, iVAE and iFlow against a beta-VAE.

TCL identifies the magnitudes of latents, so one table compares all codes with ``|z|``; the codes of other methods enter
by their magnitudes about the mean. The other table compares the methods that claim to recover z with z itself.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from causalrep.base.validation import check_range
from causalrep.data import segments_simulation
from causalrep.latent import Schedule, elbo_objective, fast_ica, segment_flow_objective, tcl_objective
from causalrep.latent.environments.rows import CodedRows, fit_best
from causalrep.latent.segments.iflow import SegmentFlow
from causalrep.latent.segments.tcl import SegmentClassifier
from causalrep.latent.segments.vae import VAE, posterior_mean
from causalrep.metrics import chance_level, mcc
from causalrep.study import Monotone, Study, Table, Within, grid
from experiments.papers.crl import scores

TCL, SHUFFLED, BETA_VAE = "TCL", "TCL, segments shuffled", "beta-VAE"
IVAE, IFLOW, SHUFFLED_IFLOW = "iVAE", "iFlow", "iFlow, segments shuffled"


@dataclasses.dataclass(frozen=True)
class Segments:
    """Three methods that use the segments, against a beta-VAE that does not.

    Attributes:
        replications: Number of random mixings and scales.
        samples: Rows per segment.
        segments: Number of segments.
        layers: Numbers of layers of the mixing.
        beta: Weight of the Kullback-Leibler term of the beta-VAE.
        hidden: Widths of all networks.
        steps: Updates per fit.
        autoencoder_steps: Updates per fit of an autoencoder, which needs more because the decoder's noise falls slowly.
        restarts: Restarts per fit; the one with the best validation loss is kept.
        learning_rate: Learning rate of the perceptrons and autoencoders.
        flow_learning_rate: Learning rate of the flows.
        couplings: Widths of the flows' couplings. If empty, a flow has the form of the mixing: monotone functions of
            single coordinates between linear maps, in as many blocks as the mixing has layers.
        seed: Random seed.
    """

    replications: int = 10
    samples: tuple[int, ...] = (100, 500, 2000)
    segments: int = 20
    layers: tuple[int, ...] = (2, 4)
    beta: float = 1.0
    hidden: tuple[int, ...] = (64, 64)
    steps: int = 20_000
    autoencoder_steps: int = 40_000
    restarts: int = 3
    learning_rate: float = 2e-3
    flow_learning_rate: float = 2e-2
    couplings: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("steps", self.steps, at_least=20)
        check_range("autoencoder_steps", self.autoencoder_steps, at_least=20)

    def study(self) -> Study:
        """The study: cells are depths of the mixing x rows per segment, replications are random mixings."""
        item, claims = "section 9, item 6", []
        for layers in self.layers:
            at = {"layers": layers, "n": max(self.samples)}
            claims += [
                Within(metric="above_beta_vae", method=TCL, low=0.15, where=at, source=item),
                Within(metric="above_chance", method=SHUFFLED, high=0.1, where=at, source=f"{item} (0.1: ours)"),
                *(
                    Within(metric="latents_above_beta_vae", method=method, low=0.15, where=at, source=item)
                    for method in (IVAE, IFLOW)
                ),
                Within(
                    metric="latents_above_chance",
                    method=SHUFFLED_IFLOW,
                    high=0.1,
                    where=at,
                    source=f"{item} (0.1: ours)",
                ),
            ]
            if len(self.samples) > 1:
                claims += [
                    Monotone(
                        metric=metric,
                        method=method,
                        along="n",
                        direction="increasing",
                        where={"layers": layers},
                        source=item,
                    )
                    for metric, method in (("mcc", TCL), ("mcc_latents", IVAE), ("mcc_latents", IFLOW))
                ]
        return scores.study(
            self,
            "crl/nonlinear_ica",
            replicate,
            settings=grid(layers=self.layers, n=self.samples),
            fields=(
                "segments",
                "beta",
                "hidden",
                "steps",
                "autoencoder_steps",
                "restarts",
                "learning_rate",
                "flow_learning_rate",
                "couplings",
            ),
            claims=tuple(claims),
            tables=(
                Table(
                    title="MCC with the latents",
                    metric="mcc_latents",
                    rows="method",
                    columns=("layers", "n"),
                    note=f"On held-out rows of the same {self.segments} segments, with n training rows per segment. "
                    "Latents are independent given the segment. iVAE and iFlow assume Gaussian latents, but these "
                    "are Laplace.",
                ),
                Table(
                    title="MCC with the magnitudes of the latents",
                    metric="mcc",
                    rows="method",
                    columns=("layers", "n"),
                    note="TCL identifies magnitudes; the codes of the other methods enter by their magnitudes.",
                ),
            ),
        )


def replicate(key: Array, setting: dict, *, config: Segments) -> dict:
    """Scores of every method on the rows of one random mixing."""
    keys = jax.random.split(key, 10)
    n, extra = setting["n"], max(1, scores.ROWS // config.segments)
    sample = segments_simulation(keys[0], n=n + extra, segments=config.segments, layers=setting["layers"])
    x, d = scores.standardized(sample.x), sample.z.shape[2]
    test, z = scores.rows_of(x[:, n:]), sample.z[:, n:].reshape(-1, d)
    dealt = scores.shuffled(keys[1], x[:, :n])

    signed = scores.baselines(keys[2], z, test.x)
    signed |= _autoencoders(keys[3], scores.whitened(x), n, config)
    codes = {name: _magnitudes(code) for name, code in signed.items()}
    for number, (name, flow, rows) in enumerate(((TCL, IFLOW, x[:, :n]), (SHUFFLED, SHUFFLED_IFLOW, dealt))):
        key = keys[4 + number]
        codes[name] = _tcl(key, rows, test, config)
        signed[flow] = _iflow(key, rows, test, setting["layers"], config)
        codes[flow] = _magnitudes(signed[flow])

    chance = chance_level(lambda z, z_hat: mcc(jnp.abs(z), _magnitudes(z_hat)), keys[6], z).mean
    metrics = scores.scored(jnp.abs(z), codes, chance) | {scores.CHANCE: {"mcc": chance}}
    metrics[TCL]["above_beta_vae"] = metrics[TCL]["mcc"] - metrics[BETA_VAE]["mcc"]
    chance = scores.chance(keys[7], z)
    metrics[scores.CHANCE]["mcc_latents"] = chance
    for name, own in scores.scored(z, signed, chance).items():
        metrics[name] |= {"mcc_latents": own["mcc"], "latents_above_chance": own["above_chance"]}
    for name in (IVAE, IFLOW):
        gain = metrics[name]["mcc_latents"] - metrics[BETA_VAE]["mcc_latents"]
        metrics[name]["latents_above_beta_vae"] = gain
    return metrics


def _tcl(key: Array, rows: Array, test: CodedRows, config: Segments) -> Array:
    fit_key, ica_key = jax.random.split(key)
    d = rows.shape[2]
    classifier = SegmentClassifier(d, config.segments, config.hidden)
    train, validation = scores.environment_rows(rows)
    schedule = Schedule(steps=config.steps, learning_rate=config.learning_rate, restarts=config.restarts)
    params = fit_best(tcl_objective(classifier), schedule, fit_key, train, validation).params
    encode = partial(classifier.apply, params, method="encode")
    features = encode(train.x[:: len(train.x) // scores.ROWS + 1])
    return encode(test.x) @ fast_ica(ica_key, features, d).unmixing.T


def _iflow(key: Array, rows: Array, test: CodedRows, layers: int, config: Segments) -> Array:
    model = SegmentFlow(rows.shape[2], config.segments, layers, config.couplings)
    schedule = Schedule(steps=config.steps, learning_rate=config.flow_learning_rate, restarts=config.restarts)
    params = fit_best(segment_flow_objective(model), schedule, key, *scores.environment_rows(rows)).params
    return model.apply(params, test.x, method="encode")


def _autoencoders(key: Array, x: Array, n: int, config: Segments) -> dict[str, Array]:
    """Codes of the rows after the first n rows of every segment, which train the autoencoders."""
    test, d = scores.rows_of(x[:, n:]), x.shape[2]
    schedule = Schedule(steps=config.autoencoder_steps, learning_rate=config.learning_rate, restarts=config.restarts)
    codes = {}
    for name, segments, beta in ((BETA_VAE, 0, config.beta), (IVAE, config.segments, 1.0)):
        model = VAE(d, d, config.hidden, segments)
        params = fit_best(elbo_objective(model, beta), schedule, key, *scores.environment_rows(x[:, :n])).params
        codes[name] = posterior_mean(model, params, test.x, test.code)
    return codes


def _magnitudes(code: Array) -> Array:
    return jnp.abs(code - jnp.mean(code, axis=0))
