"""A convolutional VAE of Fashion-MNIST: each fit spreads its batches over all devices of all hosts.

This is the largest kind of program here: grain delivers mini-batches, parameters are copied or split over the mesh, and
checkpoints are saved during the fit. Two baselines show that the fit learns: PCA with as many components, and the
average image.
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
AVERAGE = "average picture"  # this name stands in the published records
# On a CPU, XLA's convolutions take several times as long inside a loop as outside, so each program runs one step.
CPU_CHUNK, CHUNK = 1, 10


@dataclasses.dataclass(frozen=True)
class FashionVAE:
    """A variational autoencoder of Fashion-MNIST, trained for a fixed number of steps.

    Attributes:
        fits: Number of independent fits, computed one after the other.
        steps: Updates per fit.
        batch_size: Images per update, over all devices.
        images: Number of training images, counted from the first; at most 60,000.
        held_out: Number of test images that score a fit, counted from the first.
        latents: Dimension of the code.
        channels: Channels of the two convolutions.
        hidden: Width of the dense layers.
        learning_rate: Adam's learning rate.
        compute: Type in which the network computes; parameters stay float32.
        accumulate: Number of parts in which a batch is computed, to save memory.
        remat: Whether the backward pass computes the values of the convolutions again, to save memory.
        shard_above: Size in bytes above which a parameter is split over the devices instead of copied; None copies all.
        save_steps: Steps between checkpoints.
        seed: Random seed.
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
        """The study: one cell with the fits as replications."""
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
                Ordering(**held_out, methods=(METHOD, AVERAGE), min_replications=2),
                Ordering(metric="squared_error", methods=(METHOD, AVERAGE), min_replications=2),
                Within(metric="generalisation_gap", method=METHOD, low=-20.0, high=20.0),
            ),
            tables=(
                Table(title="Nats per held-out image (negative ELBO)", metric="negative_elbo"),
                Table(title="Mean squared error of reconstructed pixels", metric="squared_error"),
                Table(title="Training loss minus held-out loss, nats per image", metric="generalisation_gap"),
            ),
        )


class Problem(NamedTuple):
    """A network with its objective and optimizer.

    Attributes:
        module: The network.
        objective: The objective, in the requested precision.
        optimizer: Adam.
    """

    module: ConvVAE
    objective: Objective
    optimizer: optax.GradientTransformation


@functools.cache
def problem(config: FashionVAE) -> Problem:
    """The problem of a config; the same config gives the same objects, so that compiled programs are reused."""
    module = ConvVAE(config.latents, config.channels, config.hidden, config.remat)
    objective = vae_objective(module)
    if config.compute == "bfloat16":
        objective = mixed_precision(objective)
    return Problem(module, objective, optax.adam(config.learning_rate))


def programs(config: FashionVAE) -> list[Program]:
    """The only program of a fit: a chunk of steps."""
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
    """Trains one autoencoder and scores it and the baselines on held-out images."""
    del setting
    fit_key, score_key, order_key = jax.random.split(key, 3)
    images, held_out = load("fashion_mnist").image[: config.images], load("fashion_mnist", split="test").image
    held_out = held_out[: config.held_out]
    module, objective, optimizer = problem(config)
    # grain takes an integer as seed, which must come from the replication's key.
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
        chunk=CPU_CHUNK if jax.default_backend() == "cpu" else CHUNK,
        checkpoints=workspace.checkpoints(every_steps=config.save_steps),
        config=dataclasses.asdict(config),
        observers=workspace.observers(),
        profile=workspace.profile,
    )
    loss, error = _score(module)(result.params, score_key, held_out)
    # The training loss is the mean over the last tenth of the steps: single batches are noisy.
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
    """A compiled function that returns the negative ELBO and the squared error of held-out images, in float32."""
    exact = vae_objective(module)

    @jax.jit
    def score(params: Any, key: jax.Array, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss, _ = exact.loss(params, key, {"image": images})
        pixels = images.astype(jnp.float32) / 255
        logits, _, _ = module.apply(params, pixels, key)
        return loss, jnp.mean((jax.nn.sigmoid(logits) - pixels) ** 2)

    return score


def _baselines(images: np.ndarray, held_out: np.ndarray, components: int) -> dict:
    """Scores of the average image, taken as every pixel's probability, and of PCA, both from at most 10,000 images."""
    few = images[:10_000].reshape(len(images[:10_000]), -1) / 255.0
    new = held_out.reshape(len(held_out), -1) / 255.0
    mean = few.mean(0)
    # Pixels that are black in all images would cost infinitely many nats if one of them is white in a new image.
    p = np.clip(mean, 1e-3, 1 - 1e-3)
    nats = -(new * np.log(p) + (1 - new) * np.log(1 - p)).sum(1).mean()
    _, vectors = np.linalg.eigh((few - mean).T @ (few - mean))
    # eigh sorts eigenvalues in ascending order, so the last vectors explain most.
    basis = vectors[:, -components:]
    projected = mean + (new - mean) @ basis @ basis.T
    return {
        AVERAGE: {"negative_elbo": nats, "squared_error": np.mean((mean - new) ** 2)},
        "PCA": {"squared_error": np.mean((projected - new) ** 2)},
    }
