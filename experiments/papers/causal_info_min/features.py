"""The same methods on any embeddings of two modalities that come in three splits."""

import dataclasses
import hashlib
from functools import lru_cache, partial
from pathlib import Path

import jax
import numpy as np

from causalrep.base.validation import check_range
from causalrep.data import prior_shift_vqa, vqa_prototypes
from causalrep.errors import DataError, InputError
from causalrep.keys import root
from causalrep.multimodal.debiasing.two_streams import StreamSizes
from causalrep.study import Ordering, Study
from causalrep.training.rows import Scaling, Schedule
from experiments.papers.causal_info_min.methods import Pairs, claims_of_any_data, every_method, tables
from experiments.papers.causal_info_min.toy import SHIFT, pairs_of

ARRAYS = ("first", "second", "answers", "split")
SPLITS = ("train", "id", "ood")
LAYOUT = (
    "Expected: an .npz archive with the arrays first (n, a) and second (n, b), the embeddings; answers, labels (n,) or "
    "the correctness of each of A answers, from 0 to 1 (n, A); and split (n,), each 'train', 'id' or 'ood'."
)
# Rows of the generator, used if no file is given: for training and for either test.
ROWS = {"train": 6000, "id": 4000, "ood": 4000}
FEWEST = 20


@dataclasses.dataclass(frozen=True)
class Features:
    """Embeddings of two modalities, answers, and tests in distribution and out of it.

    Attributes:
        name: Config name.
        path: An .npz archive of them; without it, one sample of the generator of causal_info_min/toy.
        replications: Number of starts of the networks.
        share: Share of the generator's rows.
        width: Width of tokens and of joint features, a multiple of 4; 768 in the paper.
        epochs: Passes over the training rows.
        batch_size: Rows per step.
        learning_rate: Adam's learning rate.
        seed: Random seed.
    """

    name: str = "causal_info_min/vqa_features"
    path: str = ""
    replications: int = 5
    share: float = 1.0
    width: int = 64
    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for field in ("replications", "width", "epochs", "batch_size"):
            check_range(field, getattr(self, field), at_least=1)
        check_range("share", self.share, above=0, at_most=1)
        if self.width % 4 or self.width < 12:
            raise InputError("width", found=self.width, expected="a multiple of 4, at least 12")

    def study(self) -> Study:
        """The study, with starts as replications."""
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=[{"data": digest(self.path)}],
            labels=("data",),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            compiled=False,
            claims=claims(),
            tables=tables(),
        )


def claims():
    """Claims of section 9 of the card that need no generator, and of the paper's abstract."""
    better = {"metric": "ood", "min_replications": 3, "source": "abstract"}
    return (
        *claims_of_any_data(),
        Ordering(methods=("ERM", "TE-D, total effect"), **better),
        Ordering(methods=("ERM", "ATE-D, question"), **better),
    )


def replicate(key, setting, *, config: Features):
    """Every method, from one start."""
    del setting
    rows = read(config.path) if config.path else generated(config.share)
    fit_key, audit_key = jax.random.split(key)
    schedule = Schedule(epochs=config.epochs, batch_size=config.batch_size, learning_rate=config.learning_rate)
    answers = rows["train"].answers.shape[1]
    program = _program(StreamSizes(answers, config.width, config.width), schedule)
    return program(fit_key, audit_key, rows["train"], {split: rows[split] for split in ("id", "ood")})


@lru_cache(maxsize=2)
def generated(share: float) -> dict[str, Pairs]:
    """One sample of the generator, its embeddings standardized."""
    world_key, *keys = jax.random.split(root(0), 4)
    prototypes = vqa_prototypes(world_key)
    rows = {
        split: pairs_of(prior_shift_vqa(k, prototypes, n=round(share * n), shift=SHIFT * (split == "ood")))
        for k, (split, n) in zip(keys, ROWS.items())
    }
    return standardized({split: Pairs(*map(np.asarray, pairs)) for split, pairs in rows.items()})


@lru_cache(maxsize=2)
def read(path: str) -> dict[str, Pairs]:
    """The splits of an archive, their embeddings standardized.

    Raises:
        DataError: If it is missing or malformed.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"causal_info_min/vqa_features: the file {file} does not exist. {LAYOUT}")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ARRAYS if name in archive}
    except (OSError, ValueError, EOFError, AttributeError, TypeError) as error:
        raise DataError(f"{file} is not an archive that NumPy saved ({error}). {LAYOUT}") from error
    shapes = {name: array.shape for name, array in arrays.items()}
    n = len(arrays["first"]) if "first" in arrays else 0
    matrices = [name for name in ("first", "second") if np.ndim(arrays.get(name)) != 2]
    if len(arrays) < len(ARRAYS) or matrices or any(shape[0] != n for shape in shapes.values()):
        raise DataError(f"{file} holds arrays of shapes {shapes}. {LAYOUT}")
    for name in ("first", "second"):
        if not np.issubdtype(arrays[name].dtype, np.number) or not np.isfinite(arrays[name]).all():
            raise DataError(f"{file}: {name} holds values that are not finite numbers. {LAYOUT}")
    scores, split = _scores(file, arrays["answers"]), arrays["split"].astype(str)
    counts = {name: int(np.sum(split == name)) for name in SPLITS}
    if min(counts.values()) < FEWEST or sum(counts.values()) < n:
        raise DataError(f"{file}: rows by split {counts} of {n}; expected {FEWEST} or more in each. {LAYOUT}")
    embedded = [arrays[name].astype(np.float32) for name in ("first", "second")]
    return standardized({name: Pairs(*(part[split == name] for part in (*embedded, scores))) for name in SPLITS})


def standardized(rows: dict[str, Pairs]) -> dict[str, Pairs]:
    """Embeddings standardized by the moments of the training rows."""
    scalings = [Scaling(x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)) for x in rows["train"][:2]]

    def scaled(pairs: Pairs) -> Pairs:
        return Pairs(*(scaling.apply(x) for scaling, x in zip(scalings, pairs[:2])), pairs.answers)

    return {split: scaled(pairs) for split, pairs in rows.items()}


def digest(path: str) -> str:
    """Eight hexadecimal digits of the file, so that another file is another run."""
    if not path:
        return "generator"
    file = Path(path).expanduser()
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8] if file.is_file() else "absent"


def _scores(file: Path, answers: np.ndarray) -> np.ndarray:
    """Correctness of each answer (n, A)."""
    if answers.ndim == 1:
        classes, codes = np.unique(answers, return_inverse=True)
        scores = np.eye(len(classes), dtype=np.float32)[codes]
    else:
        scores = answers
    numbers = np.issubdtype(scores.dtype, np.number) or scores.dtype == bool
    if scores.ndim != 2 or scores.shape[1] < 2 or not numbers or not ((scores >= 0) & (scores <= 1)).all():
        raise DataError(f"{file}: answers of shape {answers.shape} are neither two or more labels nor scores. {LAYOUT}")
    return scores.astype(np.float32)


@lru_cache(maxsize=2)
def _program(sizes: StreamSizes, schedule: Schedule):
    return jax.jit(partial(every_method, sizes=sizes, schedule=schedule))
