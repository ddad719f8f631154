"""HCA on the Open LLM Leaderboard: inexactness by set of domains, names of the latents, bootstrap of the order."""

import dataclasses
from functools import lru_cache, partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.validation import check_range
from causalrep.data import load
from causalrep.data.tables.open_llm_leaderboard import BENCHMARKS
from causalrep.latent import bootstrap_orders, hierarchy, name_latents, search_orders, unmix_domains
from causalrep.latent.hca.fit import pad
from causalrep.latent.hca.model import in_order, subspace_distance
from causalrep.precision import float64
from causalrep.study import Holds, Ratio, Study, Table, Within

INVARIANT = ("llama-3-8b", "qwen2.5-14b", "llama-3.1-8b", "qwen2.5-7b", "qwen2-7b")
MAIN = INVARIANT[:4]
FEWEST = 100
GENERAL = (BENCHMARKS.index("BBH"), BENCHMARKS.index("MMLU-PRO"))
IFEVAL, MATH = BENCHMARKS.index("IFEval"), BENCHMARKS.index("MATH Lvl 5")
BEST, PAPERS = "best order", "general reasoning first"
Snapshot = Literal["2025-02-20", "2025-02-08"]


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """Cells are sets of base models; the fit is deterministic except for the ICA's random starts.

    Attributes:
        snapshot: Snapshot of the leaderboard.
        restarts: Starts of the ICA.
        five: Whether to fit all five invariant domains as well (7,776 tuples of orders).
    """

    snapshot: Snapshot = "2025-02-20"
    restarts: int = 20
    five: bool = True

    def __post_init__(self) -> None:
        check_range("restarts", self.restarts, at_least=1)

    def study(self) -> Study:
        """The study: the main four domains, every four with qwen2-7b, and all five."""
        sets = [MAIN, *(tuple(name for name in INVARIANT if name != left) for left in MAIN)]
        return Study(
            name="hca/main",
            replicate=partial(replicate, config=self),
            settings=[{"domains": "+".join(names)} for names in (*sets, *([INVARIANT] if self.five else []))],
            replications=1,
            compiled=False,
            config={"snapshot": self.snapshot, "restarts": self.restarts},
            claims=tuple(_claims()),
            tables=(
                Table(
                    title="Largest mechanism inexactness over domains",
                    metric="max_mic",
                    rows=("domains", "method"),
                    unit=(),
                    decimals=4,
                    note="Reported: the paper's final table of models, of which this snapshot is a part; and the "
                    "official functions on this snapshot, with converged ICA.",
                ),
                Table(
                    title="What names the latents of the main four domains, R^2",
                    unit=(),
                    decimals=3,
                    metric=("z1_bbh", "z1_mmlu_pro", "z2_ifeval", "z3_math"),
                    rows="method",
                    where={"domains": "+".join(MAIN), "method": [BEST, PAPERS]},
                ),
                Table(
                    title="Principal subspaces of base models with 100 rows or more",
                    unit=(),
                    decimals=3,
                    metric=("within_five", "five_to_others", "variance_share"),
                    rows="method",
                    where={"domains": "+".join(MAIN), "method": "PCA"},
                ),
            ),
        )


def replicate(key, setting, *, config: Leaderboard):
    """One set of domains: the best causal order, and the best with general reasoning first."""
    names = setting["domains"].split("+")
    with float64():
        x, domain = _rows(config.snapshot, tuple(names))
        unmixing = unmix_domains(key, pad(x, domain), 3, config.restarts)
        search = jax.jit(search_orders)(unmixing)
        metrics = {}
        for score, rows in sorted(zip(search.scores, search.choices, strict=True), key=lambda pair: float(pair[0])):
            named = name_latents(hierarchy(in_order(unmixing, rows)), jnp.asarray(x))
            general = int(named.variable[0]) in GENERAL
            for method, fits in ((BEST, True), (PAPERS, general)):
                if fits and method not in metrics:
                    metrics[method] = {
                        "max_mic": score,
                        "z1_bbh": named.r2[0, GENERAL[0]],
                        "z1_mmlu_pro": named.r2[0, GENERAL[1]],
                        "z2_ifeval": named.r2[1, IFEVAL],
                        "z3_math": named.r2[2, MATH],
                        "math_last": int(named.variable[2]) == MATH,
                    }
        if tuple(names) == MAIN:
            metrics["PCA"] = _subspaces(config.snapshot)
        return jax.tree.map(float, metrics)


def _subspaces(snapshot: str) -> dict[str, float]:
    counts = load("open_llm_leaderboard", snapshot=snapshot).frame["base_model"].value_counts()
    names = list(counts.index[counts >= FEWEST])
    samples = {name: jnp.asarray(_rows(snapshot, (name,))[0]) for name in names}
    others = [name for name in names if name not in INVARIANT]
    distance = {(a, b): float(subspace_distance(samples[a], samples[b])) for a in INVARIANT for b in names}
    every = load("open_llm_leaderboard", snapshot=snapshot).scores.to_numpy()
    variances = np.linalg.eigvalsh(np.cov(every.T))
    return {
        "within_five": max(distance[a, b] for a in INVARIANT for b in INVARIANT),
        "five_to_others": min(distance[a, b] for a in INVARIANT for b in others),
        "variance_share": variances[-3:].sum() / variances.sum(),
    }


@lru_cache
def _rows(snapshot: str, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    board = load("open_llm_leaderboard", snapshot=snapshot).of_base_models(*names)
    return board.scores.to_numpy(), board.frame["base_model"].map(names.index).to_numpy()


def _claims():
    four = {"where": {"domains": "+".join(MAIN)}, "unit": ()}
    one, two, three = ("section 9, item " + number for number in "123")
    yield Within(metric="within_five", method="PCA", high=0.03, **four, source=one)
    yield Within(metric="five_to_others", method="PCA", low=0.15, **four, source=one)
    yield Within(metric="variance_share", method="PCA", low=0.95, **four, source=one)
    yield Within(metric="max_mic", method=BEST, low=0.02, high=0.035, **four, source=two)
    yield Holds("max_mic: the order general -> IFEval -> MATH within 0.01 of the best", _near_best, two)
    for method in (BEST, PAPERS):
        yield Within(metric="math_last", method=method, low=1.0, high=1.0, **four, source=two)
        yield Within(metric="z3_math", method=method, low=0.99, **four, source=two)
    yield Holds("z1 of that order has R^2 of at least 0.9 with BBH or MMLU-PRO", _general, two)
    yield Within(metric="z2_ifeval", method=PAPERS, low=0.85, **four, source=two)
    for left in MAIN:
        with_qwen2 = "+".join(name for name in INVARIANT if name != left)
        yield Ratio(
            metric="max_mic",
            numerator=(BEST, {"domains": with_qwen2}),
            unit=(),
            low=2.0,
            source=three,
            denominator=(BEST, {"domains": "+".join(MAIN)}),
        )


def _value(frame: pd.DataFrame, method: str, metric: str) -> float:
    rows = frame[(frame["domains"] == "+".join(MAIN)) & (frame["method"] == method) & (frame["metric"] == metric)]
    return float(rows["value"].iloc[0]) if len(rows) else float("nan")


def _near_best(frame: pd.DataFrame):
    best, papers = (_value(frame, method, "max_mic") for method in (BEST, PAPERS))
    return bool(papers <= best + 0.01), f"{papers:.4f} against {best:.4f}"


def _general(frame: pd.DataFrame):
    bbh, mmlu_pro = (_value(frame, PAPERS, metric) for metric in ("z1_bbh", "z1_mmlu_pro"))
    return bool(max(bbh, mmlu_pro) >= 0.9), f"BBH {bbh:.3f}, MMLU-PRO {mmlu_pro:.3f}"


# ---------------------------------------------------------------------------- bootstrap of the order


@dataclasses.dataclass(frozen=True)
class Stability:
    """The causal order of bootstrap samples of the main four domains.

    Attributes:
        draws: Bootstrap samples.
        restarts: Starts of the ICA in each draw.
        snapshots: Snapshots of the leaderboard.
        seed: Random seed.
    """

    draws: int = 500
    restarts: int = 5
    snapshots: tuple[Snapshot, ...] = ("2025-02-20", "2025-02-08")
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("draws", self.draws, at_least=1)
        check_range("restarts", self.restarts, at_least=1)

    def study(self) -> Study:
        """The study; every replication is a bootstrap sample."""
        return Study(
            name="hca/stability",
            replicate=partial(replicate_order, config=self),
            settings=[{"snapshot": snapshot} for snapshot in self.snapshots],
            replications=self.draws,
            seed=self.seed,
            compiled=False,
            config={"restarts": self.restarts},
            claims=(
                Holds(
                    "general_first: neither general reasoning nor another latent comes first in 95% of samples",
                    _uncertain,
                    "section 9, item 7 (95%: ours)",
                ),
            ),
            tables=(
                Table(
                    title="Share of bootstrap samples",
                    metric=("general_first", "ifeval_first", "math_last"),
                    rows=("snapshot",),
                    note="Latents are named by their R^2; rows are drawn as if models were independent, which merged "
                    "models are not.",
                ),
                Table(title="Largest mechanism inexactness of bootstrap samples", metric="max_mic", rows=("snapshot",)),
            ),
        )


def replicate_order(key, setting, *, config: Stability):
    """One bootstrap sample."""
    with float64():
        draws = bootstrap_orders(key, pad(*_rows(setting["snapshot"], MAIN)), restarts=config.restarts, draws=1)
        first, last = int(draws.names[0, 0]), int(draws.names[0, -1])
        return {
            "HCA": {
                "general_first": first in GENERAL,
                "ifeval_first": first == IFEVAL,
                "math_last": last == MATH,
                "max_mic": float(draws.score[0]),
            }
        }


def _uncertain(frame: pd.DataFrame):
    rows = frame[(frame["metric"] == "general_first") & (frame["snapshot"] == "2025-02-20")]
    share = rows["value"].mean()
    return bool(0.05 <= share <= 0.95), f"general reasoning first in {share:.1%} of {len(rows)}"
