"""ILD on images rotated, or rotated and colored, by domain: do counterfactuals change domain and keep the class?"""

import dataclasses
import itertools
from functools import lru_cache, partial
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from causalrep.aot.programs import Program
from causalrep.base.validation import check_range
from causalrep.data import colored_domains, load, rotated_domains
from causalrep.data.images.rotated_images import RotatedImages, shrunk
from causalrep.keys import root
from causalrep.latent import ILDFamily, Schedule, fit_ild_vae, ild_vae_objective
from causalrep.latent.ild.images import DomainImages, ILDVAEModel, ild_vae_optimizer
from causalrep.metrics import CounterfactualAccuracy, counterfactual_accuracy
from causalrep.nn.images.image_codec import Network
from causalrep.study import Holds, Ordering, Study, Table, Within, Workspace, grid
from causalrep.training import fit, train, training_program
from experiments.papers.ild.classifiers import train_classifier

Method = Literal["Independent", "Dense", "Can", "Relax-Can"]
SCORES = CounterfactualAccuracy._fields
COLORED_ANGLES = 2
BATCH = 5000  # images scored at a time
CHUNK = 10  # steps per program at paper scale; requests to stop are handled between programs


@dataclasses.dataclass(frozen=True)
class Rotated:
    """Scores of counterfactual images, by two classifiers trained on real ones.

    Attributes:
        name: Name of the table, as a config name.
        source: ``"mnist"`` (the full set, or the largest subset available), ``"fashion_mnist"``, or
            ``"small_digits"``, scikit-learn's 1,797 of 8 x 8 pixels.
        colored: Digits 0, 1 and 2, upright and rotated by 90 degrees, in colors; otherwise all classes, rotated.
        angles: Rotation of each domain, in degrees.
        pixels: Side of the images, 28 or a divisor of it; 8 for the small digits.
        network: Encoder and decoder; ``"conv"`` needs 28 pixels.
        methods: Families to fit.
        k: Domain-specific latents of Can and Relax-Can.
        latents: m, the number of latents.
        seeds: Number of fits of each method.
        images: Maximum number of images to train on, before they are rotated; at most a quarter as many to test on.
        steps: Updates (paper: 300,000).
        batch_size: Images per step.
        beta: Weight of the divergence (paper: 1, and 1000 for colored images, in units of error of their own; less for
            fewer pixels).
        classifier_steps: Updates of the classifiers.
        save_minutes: Minutes between checkpoints of a fit with convolutions; results do not depend on it.
    """

    name: str = "ild/rotated_mnist"
    source: Literal["mnist", "fashion_mnist", "small_digits"] = "mnist"
    colored: bool = False
    angles: tuple[float, ...] = (0.0, 15.0, 30.0, 45.0, 60.0)
    pixels: int = 28
    network: Network = "conv"
    methods: tuple[Method, ...] = get_args(Method)
    k: tuple[int, ...] = (1, 2, 5)
    latents: int = 10
    seeds: int = 20
    images: int = 54_000
    steps: int = 300_000
    batch_size: int = 1024
    beta: float = 1.0
    classifier_steps: int = 5000
    save_minutes: float = 10.0

    def __post_init__(self) -> None:
        check_range("seeds", self.seeds, at_least=1)
        check_range("images", self.images, at_least=100)
        check_range("steps", self.steps, at_least=10)
        check_range("classifier_steps", self.classifier_steps, at_least=10)
        check_range("pixels", self.pixels, at_least=7, at_most=28)
        check_range("save_minutes", self.save_minutes, above=0)

    @property
    def domains(self) -> int:
        """Number of domains."""
        return COLORED_ANGLES if self.colored else len(self.angles)

    def family(self, method: Method, k: int) -> ILDFamily:
        """The mechanisms of a method."""
        return ILDFamily(method.lower(), self.domains, self.latents, k)

    def study(self) -> Study:
        """The study; replications are fits of a method to the same images."""
        apart = ("name", "seeds", "k", "save_minutes")
        shown = [field.name for field in dataclasses.fields(self) if field.name not in apart]
        rows = ("k", "method") if len(self.k) > 1 else ("method",)
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=grid(k=list(self.k)),
            replications=self.seeds,
            precision="float32",
            compiled=False,
            spread=self.network == "conv",
            programs=partial(programs, self) if self.network == "conv" else None,
            config={field: getattr(self, field) for field in shown},
            claims=tuple(claims(self)),
            tables=(
                Table(
                    title="Counterfactual images as classified, percent",
                    metric=SCORES,
                    rows=rows,
                    reported=False,
                    note=NOTE,
                ),
                *(
                    ()
                    if self.colored
                    else (
                        Table(
                            title="Squared error of counterfactual images",
                            metric="cf_error",
                            rows=rows,
                            reported=False,
                            note=ERROR_NOTE,
                        ),
                    )
                ),
            ),
        )


NOTE = (
    "composition, reversibility and preservation: the class is kept in the own domain, there and back, in the target "
    "domain; effectiveness: the target domain is recognized. Targets are all domains, including the own. The identity "
    "map changes nothing. Real pictures: the classifiers' accuracy on test images (domains under effectiveness)."
)


ERROR_NOTE = (
    "Sum over pixels, mean over images and other domains, relative to the same image rotated to that domain; no model "
    "saw such a pair. Real pictures: zero by definition."
)


class Judged(NamedTuple):
    """Images, and classifiers of domains and classes trained on them."""

    train: RotatedImages
    test: RotatedImages
    domain_of: object
    class_of: object


def programs(config: Rotated) -> list[Program]:
    """A chunk of steps of every family, on the largest number of images."""
    channels, rows = 3 if config.colored else 1, config.images * config.domains

    def images(n: int) -> DomainImages:
        x = jax.ShapeDtypeStruct((n, config.pixels, config.pixels, channels), jnp.float32)
        return DomainImages(x, jax.ShapeDtypeStruct((n,), jnp.int32))

    chunks = []
    for method in config.methods:
        for k in config.k if method in ("Can", "Relax-Can") else config.k[:1]:
            model = ILDVAEModel(config.family(method, k), (config.pixels, config.pixels, channels), config.network)
            chunks.append(
                training_program(
                    f"{method}, k={k}: {config.steps:,} steps in chunks of {CHUNK}, batch {config.batch_size}",
                    ild_vae_objective(model, config.beta),
                    ild_vae_optimizer(),
                    images(rows - held_out(rows)),
                    steps=CHUNK,
                    batch_size=config.batch_size,
                    validation=images(held_out(rows)),
                )
            )
    return chunks


def held_out(rows: int) -> int:
    """Number of images that choose a fit's parameters."""
    return max(1, rows // 10)


def replicate(key, setting, workspace: Workspace | None = None, *, config: Rotated):
    """All families with one k, fitted once each; fits with convolutions take hours, use all devices and are saved."""
    judged = _judged(
        config.source, config.colored, config.angles, config.pixels, config.images, config.classifier_steps
    )
    x, domain = jnp.asarray(judged.test.x), jnp.asarray(judged.test.domain)
    real = {
        "effectiveness": 100.0 * jnp.mean(judged.domain_of(x) == domain),
        "preservation": 100.0 * jnp.mean(judged.class_of(x) == judged.test.label),
    }
    real |= dict.fromkeys(("composition", "reversibility"), real["preservation"])
    real |= {} if config.colored else {"cf_error": 0.0}
    metrics = {"Real pictures": real, "Identity map": _scores(judged, lambda x, domain, target: x, config)}
    rows = DomainImages(jnp.asarray(judged.train.x), jnp.asarray(judged.train.domain, jnp.int32))
    order_key, *keys = jax.random.split(key, 1 + len(get_args(Method)))
    order, first = jax.random.permutation(order_key, len(rows.x)), held_out(len(rows.x))
    rows = jax.tree.map(lambda a: a[order], rows)
    parts = [jax.tree.map(lambda a, part=part: a[part], rows) for part in (slice(first, None), slice(first))]
    for method in config.methods:
        model = ILDVAEModel(config.family(method, setting["k"]), rows.x.shape[1:], config.network)
        fitted = fit_ild_vae(
            keys[get_args(Method).index(method)],
            model,
            *parts,
            beta=config.beta,
            schedule=Schedule(steps=config.steps, batch_size=min(config.batch_size, len(parts[0].x))),
            trainer=_trainer(workspace, method, config),
        )
        # To the host: after a fit on many hosts, parameters are spread over all of them and images are not.
        params = jax.device_get(fitted.params)
        metrics[method] = _scores(judged, _in_batches(partial(jax.jit(model.counterfactual), params)), config)
        metrics[method]["loss"] = fitted.final_loss
    return metrics


def _trainer(workspace: Workspace | None, method: str, config: Rotated):
    """A fit in one program, or in chunks of steps with checkpoints between them."""
    if workspace is None:
        return fit
    own = workspace.part(method.lower())
    fitted = {name: value for name, value in dataclasses.asdict(config).items() if name != "save_minutes"}
    return partial(
        train,
        chunk=CHUNK,
        checkpoints=own.checkpoints(every_minutes=config.save_minutes),
        observers=own.observers(),
        config={**fitted, "method": method},
    )


def _in_batches(counterfactual):
    """The same in batches of images, since convolutions of all of them at once do not fit into every device."""

    def of_all(*rows: Array) -> Array:
        parts = range(0, len(rows[0]), BATCH)
        return jnp.concatenate([counterfactual(*(a[start : start + BATCH] for a in rows)) for start in parts])

    return of_all


def _scores(judged: Judged, counterfactual, config: Rotated) -> dict[str, float]:
    """Accuracies in percent, and the squared error."""
    x, domain, label = (jnp.asarray(a) for a in judged.test)
    accuracy = counterfactual_accuracy(
        counterfactual, judged.domain_of, judged.class_of, x, domain, label, config.domains
    )
    scores = {name: 100.0 * value for name, value in accuracy._asdict().items()}
    return scores if config.colored else scores | {"cf_error": _squared_error(counterfactual, x, config.domains)}


def _squared_error(counterfactual, x: Float[Array, "n height width channels"], domains: int) -> Float[Array, ""]:
    """Mean over images and other domains; randomly drawn colors have no such truth."""
    every = x.reshape(domains, -1, *x.shape[1:])  # one domain after the other, the same images in each
    ones = jnp.ones(every.shape[1], jnp.int32)
    errors = [
        jnp.mean(jnp.sum((counterfactual(every[d], d * ones, t * ones) - every[t]) ** 2, axis=(1, 2, 3)))
        for d, t in itertools.permutations(range(domains), 2)
    ]
    return jnp.mean(jnp.stack(errors))


@lru_cache(maxsize=1)
def _judged(
    source: str, colored: bool, angles: tuple[float, ...], pixels: int, images: int, classifier_steps: int
) -> Judged:
    sizes = (images, max(20, images // 4))
    train, test = (
        _domains(images[:size], labels[:size], colored, angles, pixels)
        for (images, labels), size in zip(_images(source), sizes, strict=True)
    )
    keys = jax.random.split(root(0))
    judges = (
        train_classifier(key, train.x, label, steps=classifier_steps)
        for key, label in zip(keys, (train.domain, train.label), strict=True)
    )
    return Judged(train, test, *judges)


def _images(source: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images and classes to train on, and to test on."""
    if source == "fashion_mnist":
        return [tuple(load(source, split=split)) for split in ("train", "test")]
    data = load(source)
    return [(data.images, data.labels), (data.test_images, data.test_labels)]


def _domains(images: np.ndarray, labels: np.ndarray, colored: bool, angles, pixels: int) -> RotatedImages:
    images = shrunk(images, images.shape[1] // pixels) if pixels < images.shape[1] else images
    return colored_domains(0, images, labels) if colored else rotated_domains(images, labels, angles)


# ---------------------------------------------------------------------------- what must be shown


def claims(config: Rotated):
    """Card ild, section 9, item 7; what "near" means is ours."""
    source = "section 9, item 7"
    for method in config.methods:
        yield Holds(f"{method}: composition at least reversibility, on average", partial(_composed, method), source)
    for method in (name for name in ("Can", "Relax-Can") if name in config.methods):
        common = {"source": source, "min_replications": 3}
        if "Independent" in config.methods:
            yield Ordering(metric="preservation", methods=("Independent", method), **common)
        if "Dense" in config.methods:
            yield Ordering(metric="preservation", methods=("Dense", method), **common)
        yield Within(metric="effectiveness", method=method, low=90.0, **common)
        if not config.colored:
            yield Ordering(metric="cf_error", methods=(method, "Identity map"), **common)


def _composed(method: str, frame: pd.DataFrame):
    rows = frame[(frame["method"] == method) & frame["metric"].isin(["composition", "reversibility"])]
    means = rows.groupby("metric")["value"].mean()
    gap = means["composition"] - means["reversibility"]
    return bool(gap >= 0), f"{means['composition']:.1f}% and {means['reversibility']:.1f}%"
