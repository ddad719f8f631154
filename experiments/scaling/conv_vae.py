"""One convolutional VAE of Fashion-MNIST, its batch spread over all devices of all hosts.

The largest kind of program here: mini-batches through grain, parameters copied or split over the mesh, checkpoints
while it runs. PCA with as many components and the average picture are the baselines that show that it has learnt.
"""

import dataclasses
import functools
from typing import Any, Literal, NamedTuple

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax

from causalrep.aot.programs import Program
from causalrep.base.validation import check_range
from causalrep.data import load
from causalrep.errors import InputError
from causalrep.study import Ordering, Study, Table, Within, Workspace
from causalrep.training import GrainLoader, Objective, mixed_precision, train, training_program
from experiments.scaling.conv_vae_model import ConvVAE, vae_objective

METHOD = "ConvVAE"
# XLA's convolutions on a CPU take several times as long inside a loop as outside: there, one step a program.
CHUNK = {True: 1, False: 10}


@dataclasses.dataclass(frozen=True)
class FashionVAE:
    """A variational autoencoder of Fashion-MNIST, trained for a fixed number of steps.

    Attributes:
        fits: Independent fits, one after the other.
        steps: Updates.
        batch_size: Pictures an update, over all devices.
        images: Training pictures, from the first; at most 60,000.
        held_out: Test pictures that score a fit, from the first.
        latents: Dimension of the code.
        channels: Channels of the two convolutions.
        hidden: Width of the dense layers.
        learning_rate: Adam's.
        compute: Type the network computes in; parameters stay float32.
        accumulate: Parts of a batch computed one after the other, to save memory.
        remat: Compute the convolutions' values again in the backward pass, to save memory.
        shard_above: Bytes above which a parameter is split over the devices instead of copied; None copies all.
        save_steps: Steps between checkpoints.
        seed: Root of all random keys.
    """

    fits: int = 4
    steps: int = 5000
    batch_size: int = 256
    images: int = 60_000
    held_out: int = 1024
    latents: int = 16
    channels: tuple[int, int] = (32, 64)
    hidden: int = 256
    learning_rate: float = 1e-3
    compute: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = 1
    remat: bool = False
    shard_above: int | None = None
    save_steps: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("fits", "steps", "latents", "hidden", "accumulate", "save_steps"):
            check_range(name, getattr(self, name), at_least=1)
        check_range("images", self.images, at_least=self.batch_size, at_most=60_000)
        check_range("held_out", self.held_out, at_least=1, at_most=10_000)
        check_range("learning_rate", self.learning_rate, above=0)
        if self.batch_size % self.accumulate:
            raise InputError("accumulate", found=self.accumulate, expected=f"a divisor of {self.batch_size}")

    def study(self) -> Study:
        """The study: one cell, fits as replications."""
        held_out = {"metric": "negative_elbo"}
        return Study(
            "scaling/conv_vae",
            functools.partial(replicate, config=self),
            [{"latents": self.latents}],
            self.fits,
            seed=self.seed,
            precision="float32",
            compiled=False,
            spread=True,
            programs=functools.partial(programs, self),
            claims=(
                Ordering(**held_out, methods=(METHOD, "average picture"), min_replications=2),
                Ordering(metric="squared_error", methods=(METHOD, "average picture"), min_replications=2),
                Within(metric="generalisation_gap", method=METHOD, low=-20.0, high=20.0),
            ),
            tables=(
                Table(title="Nats per held-out picture (negative ELBO)", metric="negative_elbo"),
                Table(title="Mean squared error of reconstructed pixels", metric="squared_error"),
                Table(title="Training loss less held-out loss, nats per picture", metric="generalisation_gap"),
            ),
        )


class Problem(NamedTuple):
    """What is trained, and how.

    Attributes:
        module: The network.
        objective: Its objective, in the precision asked for.
        optimizer: Adam.
    """

    module: ConvVAE
    objective: Objective
    optimizer: optax.GradientTransformation


@functools.cache
def problem(config: FashionVAE) -> Problem:
    """The same objects for the same config, so that compiled programs are kept."""
    module = ConvVAE(config.latents, config.channels, config.hidden, config.remat)
    objective = vae_objective(module)
    if config.compute == "bfloat16":
        objective = mixed_precision(objective)
    return Problem(module, objective, optax.adam(config.learning_rate))


def programs(config: FashionVAE) -> list[Program]:
    """The one program of a fit: a chunk of steps."""
    _, objective, optimizer = problem(config)
    batch = {"image": jax.ShapeDtypeStruct((config.batch_size, 28, 28), jnp.uint8)}
    return [
        training_program(
            f"{config.steps:,} steps in chunks of 10, batch {config.batch_size}",
            objective,
            optimizer,
            batch,
            accumulate=config.accumulate,
            shard_above=config.shard_above,
        )
    ]


def replicate(key: jax.Array, setting: dict, workspace: Workspace, *, config: FashionVAE) -> dict:
    """Train one autoencoder and score it, and the baselines, on held-out pictures."""
    del setting
    fit_key, score_key, order_key = jax.random.split(key, 3)
    images, held_out = load("fashion_mnist").image[: config.images], load("fashion_mnist", split="test").image
    held_out = held_out[: config.held_out]
    module, objective, optimizer = problem(config)
    order = int(jax.random.randint(order_key, (), 0, 2**31 - 1))
    rows = grain.MapDataset.source(images).seed(order).shuffle().map(lambda image: {"image": image}).repeat()
    result = train(
        objective,
        optimizer,
        GrainLoader(rows, config.batch_size),
        fit_key,
        steps=config.steps,
        accumulate=config.accumulate,
        shard_above=config.shard_above,
        chunk=CHUNK[jax.default_backend() == "cpu"],
        checkpoints=workspace.checkpoints(every_steps=config.save_steps),
        config=dataclasses.asdict(config),
        observers=workspace.observers(),
        profile=workspace.profile,
    )
    loss, error = _score(module)(result.params, score_key, held_out)
    window = max(config.steps // 10, 1)
    return {
        METHOD: {
            "negative_elbo": loss,
            "squared_error": error,
            "generalisation_gap": result.history["loss"][-window:].mean() - loss,
        },
        **_baselines(images, held_out, config.latents),
    }


@functools.cache
def _score(module: ConvVAE) -> Any:
    """Negative ELBO and squared error of held-out pictures, in float32."""
    exact = vae_objective(module)

    @jax.jit
    def score(params: Any, key: jax.Array, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss, _ = exact.loss(params, key, {"image": images})
        pixels = images.astype(jnp.float32) / 255
        logits, _, _ = module.apply(params, pixels, key)
        return loss, jnp.mean((jax.nn.sigmoid(logits) - pixels) ** 2)

    return score


def _baselines(images: np.ndarray, held_out: np.ndarray, components: int) -> dict:
    """The average picture as every pixel's probability, and PCA of at most 10,000 pictures."""
    few = images[:10_000].reshape(len(images[:10_000]), -1) / 255.0
    new = held_out.reshape(len(held_out), -1) / 255.0
    mean = few.mean(0)
    p = np.clip(mean, 1e-3, 1 - 1e-3)
    nats = -(new * np.log(p) + (1 - new) * np.log(1 - p)).sum(1).mean()
    _, vectors = np.linalg.eigh((few - mean).T @ (few - mean))
    basis = vectors[:, -components:]
    projected = mean + (new - mean) @ basis @ basis.T
    return {
        "average picture": {"negative_elbo": nats, "squared_error": np.mean((mean - new) ** 2)},
        "PCA": {"squared_error": np.mean((projected - new) ** 2)},
    }
