"""PersonaX on simulated modalities: are blocks, latents and the edges between modalities recovered?"""

import dataclasses
import itertools
from functools import lru_cache, partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from causalrep.base.validation import check_range
from causalrep.data import persona_simulation
from causalrep.data.simulators.latent.personax import Cross, PersonaSample
from causalrep.latent.personax.model import Measurements
from causalrep.latent.personax.objective import Weights
from causalrep.metrics import block_r2, chance_level, mcc
from causalrep.metrics.correlation import correlations, halves
from causalrep.study import Ordering, Study, Table, Within, grid
from experiments.papers.personax.methods import beta_vae, contrastive, pca_ica, personax

Method = Literal[
    "PersonaX", "PersonaX, 3 + 1", "PersonaX, 1 + 1", "PersonaX, no sparsity", "Beta-VAE", "Contrastive", "PCA and ICA"
]
BLOCKS = ((0, 1), (2, 3))
NAMES = ("z11", "z12", "z21", "z22")
SHARE_HELD_OUT, SHARE_TEST = 0.1, 0.2
SEED = ("seed",)


@dataclasses.dataclass(frozen=True)
class StandIn:
    """Recovery of latents, for every data seed.

    Attributes:
        name: Name of the table, as a config name.
        seeds: Data seeds, ``first`` to ``first + seeds - 1``.
        first: The first data seed; settings were chosen on seeds from 100 on.
        cross: Edges between the modalities; see :func:`causalrep.data.persona_simulation`.
        methods: Methods to fit. "3 + 1" and "1 + 1" use that many measurements of each modality instead of 3 + 3.
        samples: Number of rows; a tenth chooses the parameters and a fifth is scored.
        steps: Updates of each fit.
        sparsity: Price of an open gate between modalities.
    """

    name: str = "personax/standin"
    seeds: int = 5
    first: int = 0
    cross: tuple[Cross, ...] = ("sparse",)
    methods: tuple[Method, ...] = get_args(Method)
    samples: int = 10_000
    steps: int = 3000
    sparsity: float = 1e-3

    def __post_init__(self) -> None:
        check_range("seeds", self.seeds, at_least=1)
        check_range("samples", self.samples, at_least=500)
        check_range("steps", self.steps, at_least=100)
        check_range("sparsity", self.sparsity, at_least=0)

    def study(self) -> Study:
        """The study; data seeds are cells and the unit of standard errors."""
        seeds = list(range(self.first, self.first + self.seeds))
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=grid(cross=list(self.cross), seed=seeds),
            replications=1,
            precision="float32",
            compiled=False,
            config={field: getattr(self, field) for field in ("samples", "steps", "sparsity", "methods")},
            claims=tuple(claims(self)),
            tables=tables(self),
        )


def replicate(key, setting, *, config: StandIn):
    """All methods on the data of one seed."""
    sample, (train, validation, test) = _data(setting["seed"], setting["cross"], config.samples)
    z = jnp.asarray(sample.z[_edges(config.samples)[1] :], jnp.float32)
    chance = chance_level(mcc, jax.random.fold_in(key, 100), z)
    metrics = {"Random rotation": {"mcc": chance.mean}}
    for method in config.methods:
        own = jax.random.fold_in(key, get_args(Method).index(method))
        weights, gates = Weights(sparsity=config.sparsity), None
        if method == "Beta-VAE":
            codes = beta_vae(own, train, validation, test, steps=config.steps, weights=weights)
        elif method == "Contrastive":
            codes = contrastive(own, train, validation, test, steps=config.steps)
        elif method == "PCA and ICA":
            codes = pca_ica(own, train, test)
        else:
            if method == "PersonaX, no sparsity":
                weights = dataclasses.replace(weights, sparsity=0.0)
            counts = {"PersonaX, 3 + 1": (3, 1), "PersonaX, 1 + 1": (1, 1)}.get(method, (3, 3))
            rows = ([m[:count] for m, count in zip(x, counts, strict=True)] for x in (train, validation, test))
            rows = (tuple(map(tuple, x)) for x in rows)
            codes, gates = personax(own, *rows, steps=config.steps, weights=weights)
        metrics[method] = scores(z, codes, None if gates is None else np.asarray(gates).T, sample.graph)
    return metrics


def scores(z: Float[Array, "n 4"], codes: Float[Array, "n 4"], gates: np.ndarray | None, graph: np.ndarray):
    """Recovery of blocks and latents, and if there are gates ((i, j) for ``i -> j``) of edges between modalities."""
    (fit_z, fit_codes), (score_z, score_codes) = halves(z, codes)
    if gates is None:
        # Codes without modalities: the best match says which block each belongs to.
        order = np.asarray(optax.assignment.hungarian_algorithm(-correlations(fit_z, fit_codes))[1])
    else:
        table = np.asarray(correlations(fit_z, fit_codes))
        within = itertools.product(*(itertools.permutations(block) for block in BLOCKS))
        order = np.array(max((sum(pair, ()) for pair in within), key=lambda o: table[np.arange(4), list(o)].sum()))
    own = np.asarray(jnp.diagonal(correlations(score_z, score_codes[:, order])))
    code_blocks = [tuple(int(order[i]) for i in block) for block in BLOCKS]
    blocks = block_r2(z, codes, BLOCKS, code_blocks, "kernel")
    values = {"mcc": mcc(z, codes), "block_r2": jnp.mean(jnp.diagonal(blocks))}
    values |= {f"corr_{name}": value for name, value in zip(NAMES, own, strict=True)}
    if gates is not None:
        between = np.ix_(*BLOCKS)
        matched = gates[np.ix_(order, order)]
        # Gates lead from the first modality to the second.
        values["cross_edges"] = float(matched[between].sum())
        values["cross_shd"] = float((matched[between] != graph[between]).sum())
    return values


def _edges(n: int) -> tuple[int, int]:
    test = round(SHARE_TEST * n)
    return n - test - round(SHARE_HELD_OUT * n), n - test


@lru_cache(maxsize=1)
def _data(seed: int, cross: Cross, n: int) -> tuple[PersonaSample, tuple[Measurements, ...]]:
    """A sample, and its standardized measurements to train on, to validate and to score."""
    sample = persona_simulation(seed, n=n, cross=cross)
    end, start = _edges(n)
    x = jax.tree.map(lambda a: jnp.asarray((a - a[:end].mean(0)) / a[:end].std(0), jnp.float32), sample.x)
    parts = (slice(0, end), slice(end, start), slice(start, n))
    return sample, tuple(jax.tree.map(lambda a, part=part: a[part], x) for part in parts)


# ---------------------------------------------------------------------------- what must be shown


def claims(config: StandIn):
    """Card personax, section 9, items 2 to 4: bands of the card, not of the paper."""
    enough = {"unit": SEED, "min_replications": 3}
    sparse = {"where": {"cross": "sparse"}, **enough}
    if "sparse" in config.cross and "PersonaX" in config.methods:
        yield Within(metric="block_r2", method="PersonaX", low=0.9, source="section 9, item 2", **sparse)
        yield Within(metric="mcc", method="PersonaX", low=0.85, source="section 9, item 2", **sparse)
        if {"PersonaX, 1 + 1", "Beta-VAE"} <= set(config.methods):
            yield Ordering(
                metric="mcc", methods=("Beta-VAE", "PersonaX, 1 + 1", "PersonaX"), source="section 9, item 2", **sparse
            )
    if {"sparse", "dense"} <= set(config.cross):
        sides = (("PersonaX", {"cross": "dense"}), ("PersonaX", {"cross": "sparse"}))
        yield Ordering(metric="mcc", methods=sides, source="section 9, item 3", **enough)
        yield Within(
            metric="block_r2",
            method="PersonaX",
            low=0.9,
            where={"cross": "dense"},
            source="section 9, item 3",
            **enough,
        )
    if "PersonaX, no sparsity" in config.methods and "sparse" in config.cross:
        for metric in ("cross_edges", "cross_shd"):
            yield Ordering(
                metric=metric, methods=("PersonaX", "PersonaX, no sparsity"), source="section 9, item 4", **sparse
            )


def tables(config: StandIn) -> tuple[Table, ...]:
    """Scores over seeds."""
    rows = ("cross", "method") if len(config.cross) > 1 else ("method",)
    fitted = {"method": list(config.methods)}
    note = (
        "mcc: mean correlation with the matched latents, 1 if every latent is recovered up to scale. block_r2: R2 of a "
        "modality's latents given its codes, by kernel ridge regression. Both on held-out rows."
    )
    shown = [
        Table(
            title="Recovery of the latents",
            metric=("mcc", "block_r2"),
            rows=rows,
            where=fitted,
            unit=SEED,
            note=note,
            reported=False,
        ),
        Table(
            title="Correlation of every latent with its code",
            metric=tuple(f"corr_{name}" for name in NAMES),
            rows=rows,
            where=fitted,
            unit=SEED,
            reported=False,
        ),
        Table(title="Mean correlation, chance included", metric="mcc", rows=rows, unit=SEED, reported=False),
    ]
    gated = [method for method in config.methods if method.startswith("PersonaX")]
    if gated:
        shown.append(
            Table(
                title="Edges between the modalities",
                metric=("cross_edges", "cross_shd"),
                rows=rows,
                where={"method": gated},
                unit=SEED,
                reported=False,
            )
        )
    return tuple(shown)
