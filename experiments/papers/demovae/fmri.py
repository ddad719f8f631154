"""DemoVAE on the connectivity of a cohort: phenotypes associated with its latents, and leakage of demographics."""

import dataclasses
import hashlib
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.validation import check_range
from causalrep.confounders import Demographics, DemoVAEModel, demovae, leakage, residualization
from causalrep.confounders.removal.demographics import Layout
from causalrep.confounders.removal.demovae.fit import encode, sample
from causalrep.data import data_folder, load
from causalrep.data.tables.connectivity_cohort import FILES, FOLDER
from causalrep.errors import DataError
from causalrep.metrics import association_scan
from causalrep.study import Ordering, Study, Table, Within
from causalrep.training.rows import Schedule
from experiments.papers.demovae.standin import FOLDS, PLAIN

LEVELS = {"05": 0.05, "01": 0.01}
RAW, RESIDUAL = "Connectivity", "Linear residualization"
NETWORKS = {"Plain VAE": PLAIN, "DemoVAE": {}}
HITS = tuple(f"{kind}hits_{level}" for kind in ("", "train_") for level in LEVELS)


class Rows(NamedTuple):
    """Connectivity (n, E), coded demographics (n, c) and phenotypes (n, m) of subjects."""

    x: Float[Array, "n e"]
    d: Float[Array, "n c"]
    fields: Float[Array, "n m"]


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Random halves of a cohort: one to train on, the other to audit.

    Attributes:
        name: Config name.
        path: Folder of connectivity.npy, demographics.csv and fields.csv; by default connectivity-cohort in the data
            folder.
        scan: Type of scan, a label that selects published numbers: rest, n-back, emoid or SNPs.
        replications: Number of random splits.
        held_out: Share of the subjects to audit.
        latents: L, the number of latents.
        hidden: Width of the networks.
        rank: Rank of the low-rank decoder; 0 decodes directly.
        epochs: Number of full-batch updates.
        learning_rate: Adam's learning rate.
        seed: Random seed.
    """

    name: str = "demovae/fmri"
    path: str = ""
    scan: str = "rest"
    replications: int = 10
    held_out: float = 0.5
    latents: int = 30
    hidden: int = 1000
    rank: int = 0
    epochs: int = 3000
    learning_rate: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        for field in ("replications", "latents", "hidden", "epochs"):
            check_range(field, getattr(self, field), at_least=1)
        check_range("held_out", self.held_out, above=0, below=1)

    @cached_property
    def folder(self) -> Path:
        """Where the files are."""
        return Path(self.path).expanduser() if self.path else data_folder() / FOLDER

    def study(self) -> Study:
        """The study: splits as replications. Without data it says so when it is run."""
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=[{"scan": self.scan, "data": digest(self.folder)}],
            labels=("scan", "data"),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            compiled=False,
            claims=claims(),
            tables=(
                Table(
                    title="Fields with a significant association",
                    metric=HITS,
                    note="hits_05, hits_01: fields with a feature at p < .05, .01, Bonferroni-corrected, in "
                    "held-out subjects; train_: in training subjects. The paper counts in all its subjects, all of "
                    "them used for training.",
                ),
                Table(
                    title="Latents in subjects held out, and synthetic groups",
                    reported=False,
                    metric=("leak_linear", "leak_nonlinear", "leak_correlation", "group_error"),
                    note="leak: how well latents predict demographics, maximum over the variables: R2, or "
                    "accuracy minus the share of the most frequent level, by ridge or logistic regression and by "
                    "kernel ridge regression; absolute correlation with a latent. group_error: relative error of the "
                    "difference between synthetic subjects of two levels, compared with subjects held out; mean over "
                    "variables of two levels.",
                ),
            ),
        )


def claims():
    """Claims of sections 8 and 9 of the card, for any cohort."""
    common = {"min_replications": 3}
    return (
        Ordering(metric="train_hits_05", methods=("DemoVAE", "Plain VAE"), source="card, section 8", **common),
        Within(metric="leak_linear", method="DemoVAE", high=0.06, source="card, section 9", **common),
    )


def replicate(key, setting, *, config: Cohort):
    """Every method on one split of the cohort."""
    del setting
    rows, layout = read(str(config.folder))
    n = len(rows.x)
    split_key, fit_key = jax.random.split(key)
    order = np.asarray(jax.random.permutation(split_key, n))
    train, test = np.split(order, [n - round(config.held_out * n)])
    if min(len(train) - 2 * config.latents, len(test) - 5 * FOLDS) < 0:
        raise DataError(
            f"{config.folder}: {len(train)} subjects to train {config.latents} latents and {len(test)} to audit, "
            f"expected at least {2 * config.latents} and {5 * FOLDS}. Lower latents, or change held_out."
        )
    halves = [Rows(*(part[index] for part in rows)) for index in (train, test)]
    sizes = dataclasses.replace(config, seed=0, replications=1)
    return _program(sizes, layout)(fit_key, *halves)


def compare(key, train: Rows, test: Rows, *, config: Cohort, layout: Layout) -> dict[str, dict[str, Array]]:
    """Associations with connectivity, its residuals and latents; leakage and synthetic groups of the networks."""
    line = residualization(train.x, train.d)
    left = [rows.x - line.explained(rows.d) for rows in (train, test)]
    metrics = {RAW: hits(train.x, test.x, train, test), RESIDUAL: hits(*left, train, test)}
    schedule = Schedule(epochs=config.epochs, batch_size=len(train.x), learning_rate=config.learning_rate)
    models = {
        name: DemoVAEModel(layout, config.latents, (config.hidden,), rank=config.rank, **changed)
        for name, changed in NETWORKS.items()
    }
    fits = {name: demovae(key, train.x, train.d, model=model, schedule=schedule) for name, model in models.items()}
    latents = {
        name: [encode(model, fits[name], rows.x, rows.d) for rows in (train, test)] for name, model in models.items()
    }
    # One program audits the latents of all networks.
    audits = jax.lax.map(
        lambda z: leakage(key, z, test.d, layout, n_folds=FOLDS), jnp.stack([z for _, z in latents.values()])
    )
    for j, (name, model) in enumerate(models.items()):
        metrics[name] = hits(*latents[name], train, test) | {
            "leak_linear": jnp.max(audits.linear[j] - audits.chance[j]),
            "leak_nonlinear": jnp.max(audits.nonlinear[j] - audits.chance[j]),
            "leak_correlation": jnp.max(audits.max_correlation[j]),
            "diverged": fits[name].diverged.astype(jnp.float32),
        }
        pairs = [sum(layout[:v]) for v, width in enumerate(layout) if width == 2]
        if model.conditional and pairs:
            errors = [group_error(key, model, fits[name], test, start) for start in pairs]
            metrics[name]["group_error"] = jnp.mean(jnp.stack(errors))
    return metrics


def hits(f_train: Array, f_test: Array, train: Rows, test: Rows) -> dict[str, Array]:
    """Numbers of fields with a significant association."""
    scans = {"": association_scan(f_test, test.fields), "train_": association_scan(f_train, train.fields)}
    return {
        f"{kind}hits_{level}": jnp.sum(scan.p_value < alpha)
        for kind, scan in scans.items()
        for level, alpha in LEVELS.items()
    }


def group_error(key, model: DemoVAEModel, fitted, test: Rows, start: int) -> Array:
    """Relative error of the difference between two levels, whose columns begin at ``start``."""
    real, made = [], []
    for level, k in enumerate(jax.random.split(key)):
        own = test.d[:, start + level]
        real.append(own @ test.x / jnp.maximum(own.sum(), 1.0))
        asked = test.d.at[:, start : start + 2].set(jax.nn.one_hot(level, 2))
        made.append(sample(k, model, fitted, asked, columns=test.x.shape[1]).mean(0))
    truth = real[1] - real[0]
    return jnp.linalg.norm(made[1] - made[0] - truth) / jnp.linalg.norm(truth)


def digest(folder: Path) -> str:
    """Eight hexadecimal digits of the files, so that other data are another run; ``"absent"`` without files."""
    digest = hashlib.sha256()
    if not all((folder / name).is_file() for name in FILES):
        return "absent"
    for name in FILES:
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()[:8]


@lru_cache(maxsize=2)
def read(folder: str) -> tuple[Rows, Layout]:
    """The cohort as arrays, and the layout of its coded demographics."""
    cohort = load("connectivity_cohort", path=folder)
    code = Demographics.of(cohort.demographics)
    d = code.encode(cohort.demographics, rows=len(cohort.connectivity))
    fields = cohort.fields.to_numpy(np.float32)
    return Rows(cohort.connectivity, d.astype(np.float32), fields), code.layout


@lru_cache(maxsize=2)
def _program(config: Cohort, layout: Layout):
    return jax.jit(partial(compare, config=config, layout=layout))
