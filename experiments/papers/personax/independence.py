"""Size and power of the five tests of independence, as PersonaX uses them on traits with three levels."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from causalrep.base.validation import check_range
from causalrep.data import trait_simulation
from causalrep.inference import Independence, chi_square, g_square, hsic, kci, rit
from causalrep.study import Ordering, Study, Table, Within, grid

LINKS = ("independent", "linear", "u-shaped")
RAW = "HSIC, raw units"
METHODS = ("KCI", "RIT", "HSIC", RAW, "Chi-square", "G")
# The scale of the raw feature, such as a height in centimeters next to a trait of 1, 2 and 3.
RAW_SCALE = 30.0
CUTS = (-1.0, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Rejections:
    """Rejection rates.

    Attributes:
        draws: Samples per cell.
        samples: Rows per sample.
        level: Level of the tests.
        seed: Random seed.
    """

    draws: int = 800
    samples: int = 300
    level: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("draws", self.draws, at_least=1)
        check_range("samples", self.samples, at_least=20)
        check_range("level", self.level, above=0, below=1)

    def study(self) -> Study:
        """The study; replications are samples, and rejections are zeros and ones."""
        return Study(
            name="personax/independence",
            replicate=partial(replicate, config=self),
            settings=grid(link=list(LINKS)),
            replications=self.draws,
            seed=self.seed,
            config={"samples": self.samples, "level": self.level},
            claims=tuple(_claims()),
            tables=(
                Table(
                    title="Share of samples rejected",
                    metric="rejected",
                    rows="link",
                    columns="method",
                    note=f"{self.samples} rows, level {self.level:g}. RIT: the randomised test (RCIT given nothing). "
                    "Raw units: the feature times 30, the trait as 1, 2, 3. Chi-square and G compare "
                    "the trait with the feature cut at -1, 0 and 1.",
                ),
            ),
        )


def replicate(key, setting, *, config: Rejections):
    """All tests on one sample."""
    data_key, feature_key = jax.random.split(key)
    sample = trait_simulation(data_key, n=config.samples, link=setting["link"])
    trait, feature = sample.trait.astype(jnp.result_type(float)), sample.feature
    codes, bins = sample.trait - 1, jnp.searchsorted(jnp.array(CUTS), feature)
    tests = {
        "KCI": kci(trait, feature),
        "RIT": rit(feature_key, trait, feature),
        "HSIC": hsic(trait, feature),
        RAW: hsic(trait, RAW_SCALE * feature, standardize=False),
        "Chi-square": chi_square(codes, bins, levels=(3, 4)),
        "G": g_square(codes, bins, levels=(3, 4)),
    }
    return {name: _metrics(result, config.level) for name, result in tests.items()}


def _metrics(test: Independence, level: float):
    return {"rejected": (test.p_value < level).astype(float), "p_value": test.p_value}


def _claims():
    """Card personax, section 9, item 1. Raw units are not recommended; their claim states the loss of power."""
    source = {"source": "section 9, item 1", "min_replications": 100}
    for method in (name for name in METHODS if name != RAW):
        yield Within(metric="rejected", method=method, low=0.02, high=0.10, where={"link": "independent"}, **source)
        for link in ("linear", "u-shaped"):
            yield Within(metric="rejected", method=method, low=0.78, where={"link": link}, **source)
    yield Ordering(metric="rejected", methods=(RAW, "HSIC"), where={"link": "linear"}, source="section 11")
