"""Linear mixings with one intervention per latent: two closed-form methods on the simulations of their papers."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from causalrep.base.validation import check_range
from causalrep.data import draw_latents, squires_model, varici_model
from causalrep.data.simulators.latent.environments import LinearCRLModel
from causalrep.latent import gaussian_score_changes, linear_disentanglement, lscale, moments_of
from causalrep.latent.interventions.disentanglement import Disentangled
from causalrep.latent.interventions.moments import Moments
from causalrep.metrics import graph_chance_level, shd, transitive_closure
from causalrep.study import Ratio, Study, Table, Within, grid
from experiments.papers.crl import scores

EXACT, SAMPLED, SHUFFLED = "Squires, exact covariances", "Squires", "Squires, environments shuffled"
SHUFFLED_ROWS = 5000
ITEM = "section 9, item 3"


@dataclasses.dataclass(frozen=True)
class Disentanglement:
    """Linear causal disentanglement of random models.

    Attributes:
        graphs: Number of random models.
        samples: Rows per environment.
        gamma: Threshold of the rank decision on samples; exact covariances use 1 - 1e-8.
        seed: Random seed.
    """

    graphs: int = 100
    samples: tuple[int, ...] = (2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000)
    gamma: float = 0.99
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("graphs", self.graphs, at_least=1)
        check_range("gamma", self.gamma, above=0.5, below=1)

    def study(self) -> Study:
        """The study: the same random models at every sample size."""
        tens = [(n, 10 * n) for n in self.samples if 10 * n in self.samples]
        return Study(
            name="crl/linear_disentanglement",
            replicate=partial(disentangle, config=self),
            settings=grid(n=self.samples),
            replications=self.graphs,
            seed=self.seed,
            shared=("n",),
            config={"gamma": self.gamma},
            claims=(
                Within(
                    aggregate="every",
                    metric="h_error",
                    method=EXACT,
                    low=0.0,
                    high=1e-10,
                    name="h_error: exact covariances give H to 1e-10 in every graph",
                    source=ITEM,
                ),
                Within(
                    aggregate="every",
                    metric="order_exact",
                    method=EXACT,
                    low=1.0,
                    high=1.0,
                    name="order_exact: exact covariances give every ancestor in every graph",
                    source=ITEM,
                ),
                *(
                    Within(
                        aggregate="median",
                        metric="h_error",
                        method=SAMPLED,
                        low=0.15,
                        high=0.25,
                        where={"n": n},
                        name=f"h_error: median within [0.15, 0.25] at {n:,} rows",
                        source=ITEM,
                    )
                    for n in {2500} & set(self.samples)
                ),
                *(
                    Ratio(
                        aggregate="median",
                        metric="h_error",
                        numerator=(SAMPLED, {"n": a}),
                        denominator=(SAMPLED, {"n": b}),
                        low=3.0,
                        high=5.0,
                        name=f"h_error: the median falls 3 to 5 times from {a:,} to {b:,} rows (about 4: the card)",
                        source=ITEM,
                    )
                    for a, b in tens
                ),
                *(
                    Within(
                        metric="above_chance",
                        method=SHUFFLED,
                        high=0.1,
                        where={"n": n},
                        source="shuffled environments (bound: ours)",
                    )
                    for n in self.samples
                ),
            ),
            tables=(
                Table(
                    title="Distance of the unmixing from the truth, median",
                    metric="h_error",
                    rows="n",
                    columns="method",
                    aggregate="median",
                    where={"method": [EXACT, SAMPLED, SHUFFLED]},
                    note="Frobenius norm after the best relabeling; the largest entry of each row of H is 1.",
                ),
                Table(
                    title="Distance of the unmixing from the truth, mean",
                    metric="h_error",
                    rows="n",
                    columns="method",
                    reported=False,
                    where={"method": [EXACT, SAMPLED]},
                ),
                Table(
                    title="Share of graphs whose ancestors are all right",
                    metric="order_exact",
                    rows="n",
                    columns="method",
                    where={"method": [EXACT, SAMPLED]},
                ),
                Table(
                    title="MCC",
                    metric="mcc",
                    rows="method",
                    columns="n",
                    note="Random rotation: the chance level on the same latents.",
                ),
            ),
        )


def disentangle(key: Array, setting: dict, *, config: Disentanglement) -> dict:
    """Scores on one random model at one sample size."""
    keys = jax.random.split(key, 6)
    model = squires_model(keys[0])
    d = len(model.unmixing)
    z = draw_latents(keys[1], model.interventions, setting["n"])
    mixed = scores.shuffled(keys[2], z[:, : min(SHUFFLED_ROWS, setting["n"])])
    fits = {
        EXACT: linear_disentanglement(moments_of(*model.moments(), d), gamma=1 - 1e-8),
        SAMPLED: linear_disentanglement(_mixed_moments(model, z), gamma=config.gamma),
        SHUFFLED: linear_disentanglement(_mixed_moments(model, mixed), gamma=config.gamma),
    }
    seen, observed = z[0, : scores.ROWS], z[0, : scores.ROWS] @ model.mixing.T
    codes = {name: observed @ fit.unmixing.T for name, fit in fits.items()}
    chance = scores.chance(keys[3], seen)
    metrics = scores.scored(seen, {**codes, **scores.baselines(keys[4], seen, observed)}, chance)
    metrics[scores.CHANCE] = {"mcc": chance, "varsortability": scores.varsortability_of(model.interventions)}
    for name, fit in fits.items():
        metrics[name] |= _against_truth(model, fit)
    return metrics


def _mixed_moments(model: LinearCRLModel, z: Float[Array, "e n d"]) -> Moments:
    """Moments of the observations ``G z``, computed from those of z without forming the observations."""
    mean = jnp.mean(z, axis=1)
    center = z - mean[:, None]
    covariance = jnp.swapaxes(center, 1, 2) @ center / z.shape[1]
    g = model.mixing
    return moments_of(mean @ g.T, g @ covariance @ g.T, z.shape[2])


def _against_truth(model: LinearCRLModel, fit: Disentangled) -> dict[str, Array]:
    """Errors of H and of the ancestors, after relabeling by the closest rows of H."""
    squared = jnp.sum((model.unmixing[:, None] - fit.unmixing[None]) ** 2, axis=2)
    own, match = optax.assignment.hungarian_algorithm(squared)
    # match[i] is the estimated latent that stands for latent i.
    match = match[jnp.argsort(own)]
    ancestors = fit.ancestors[match][:, match]
    return {
        "h_error": jnp.linalg.norm(model.unmixing - fit.unmixing[match]),
        "order_exact": jnp.all(ancestors == transitive_closure(model.interventions.graph)).astype(float),
    }


# ---------------------------------------------------------------------------- LSCALE-I

POPULATION, ORACLE, GAUSSIAN = "LSCALE-I, exact", "LSCALE-I, oracle scores", "LSCALE-I, Gaussian scores"
SHUFFLED_SCORES = "LSCALE-I, environments shuffled"


@dataclasses.dataclass(frozen=True)
class ScoreBased:
    """LSCALE-I on random linear Gaussian models.

    Attributes:
        graphs: Number of random models per cell.
        observed: Numbers of observed variables.
        samples: Rows per environment.
        kinds: Kinds of interventions, ``"hard"`` or ``"soft"``.
        oracle_tolerance: Threshold of edges with the true scores, as in the released driver.
        tolerance: Threshold of edges with estimated scores.
        seed: Random seed.
    """

    graphs: int = 100
    observed: tuple[int, ...] = (25, 100)
    samples: tuple[int, ...] = (5000, 50_000)
    kinds: tuple[str, ...] = ("hard", "soft")
    oracle_tolerance: float = 1e-3
    tolerance: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("graphs", self.graphs, at_least=1)
        if not set(self.kinds) <= {"hard", "soft"}:
            raise ValueError(f"kinds: found {self.kinds}; expected 'hard' and 'soft'")

    def study(self) -> Study:
        """The study: the same random models at every sample size."""
        claims = []
        if "hard" in self.kinds:
            claims += [
                Within(
                    aggregate="every",
                    metric="mcc_hard",
                    method=POPULATION,
                    low=0.9999,
                    high=1.0 + 1e-9,
                    name="mcc: exact moments, hard interventions, at least 0.9999 in every graph",
                    source=ITEM,
                ),
                Within(
                    aggregate="every",
                    metric="shd_hard",
                    method=POPULATION,
                    low=0.0,
                    high=0.0,
                    name="shd: exact moments, hard interventions, the graph in every graph",
                    source=ITEM,
                ),
            ]
            claims += [
                Within(
                    metric="mcc",
                    method=GAUSSIAN,
                    low=0.85,
                    high=0.97,
                    source=ITEM,
                    where={"kind": "hard", "n": 50_000, "observed": p},
                )
                for p in self.observed
                if 50_000 in self.samples
            ]
            claims += [
                Within(
                    metric="above_chance",
                    method=SHUFFLED_SCORES,
                    high=0.1,
                    where={"kind": "hard", "n": n, "observed": p},
                    source="shuffled environments (bound: ours)",
                )
                for p in self.observed
                for n in self.samples
            ]
        if "soft" in self.kinds:
            claims.append(
                Within(
                    aggregate="every",
                    metric="shd_soft",
                    method=POPULATION,
                    low=0.0,
                    high=0.0,
                    name="shd: exact moments, soft interventions, the transitive closure in every graph",
                    source=ITEM,
                )
            )
        methods = [POPULATION, ORACLE, GAUSSIAN, SHUFFLED_SCORES]
        return Study(
            name="crl/lscale",
            replicate=partial(score_based, config=self),
            settings=grid(kind=self.kinds, observed=self.observed, n=self.samples),
            replications=self.graphs,
            seed=self.seed,
            shared=("n",),
            config={"oracle_tolerance": self.oracle_tolerance, "tolerance": self.tolerance},
            claims=tuple(claims),
            tables=(
                Table(
                    title="MCC",
                    metric="mcc",
                    rows=("kind", "observed", "n"),
                    columns="method",
                    where={"method": [*methods, "PCA", "Linear ICA", "Supervised linear", scores.CHANCE]},
                    note="Soft interventions identify each latent up to a combination with its ancestors. Reported: "
                    "released code on its own graphs.",
                ),
                Table(
                    title="SHD",
                    metric="shd",
                    rows=("kind", "observed", "n"),
                    columns="method",
                    where={"method": [*methods, scores.CHANCE]},
                    note="To the graph, or under soft interventions to its transitive closure; 5 nodes.",
                ),
            ),
        )


def score_based(key: Array, setting: dict, *, config: ScoreBased) -> dict:
    """Scores on one random model at one sample size."""
    keys = jax.random.split(key, 6)
    hard = setting["kind"] == "hard"
    model = varici_model(keys[0], observed=setting["observed"], hard=hard, least_signal=0.02)
    z = draw_latents(keys[1], model.interventions, setting["n"])
    d, graph = z.shape[2], model.interventions.graph
    graph = graph if hard else transitive_closure(graph)
    exact, sampled = moments_of(*model.moments(), d), _mixed_moments(model, z)
    mixed = _mixed_moments(model, scores.shuffled(keys[2], z[:, : min(SHUFFLED_ROWS, setting["n"])]))
    fits = {
        POPULATION: lscale(exact, gaussian_score_changes(exact), tolerance=1e-8, hard=hard),
        ORACLE: lscale(sampled, _oracle_changes(exact, sampled), tolerance=config.oracle_tolerance, hard=hard),
        GAUSSIAN: lscale(sampled, gaussian_score_changes(sampled), tolerance=config.tolerance, hard=hard),
        SHUFFLED_SCORES: lscale(mixed, gaussian_score_changes(mixed), tolerance=config.tolerance, hard=hard),
    }
    seen, observed = z[0, : scores.ROWS], z[0, : scores.ROWS] @ model.mixing.T
    chance = scores.chance(keys[3], seen)
    codes = {name: observed @ fit.unmixing.T for name, fit in fits.items()}
    metrics = scores.scored(seen, {**codes, **scores.baselines(keys[4], seen, observed)}, chance)
    for name, fit in fits.items():
        metrics[name]["shd"] = shd(graph, fit.graph)
    # A copy with the kind in its name, for claims about every graph of a kind.
    metrics[POPULATION] |= {f"{name}_{setting['kind']}": metrics[POPULATION][name] for name in ("mcc", "shd")}
    metrics[scores.CHANCE] = {
        "mcc": chance,
        "shd": graph_chance_level(shd, keys[5], graph).mean,
        "varsortability": scores.varsortability_of(model.interventions),
    }
    return metrics


def _oracle_changes(exact: Moments, sampled: Moments) -> Float[Array, "d d d"]:
    """Changes of the true score, averaged over sampled rows and expressed in the basis of the sample."""
    turn = sampled.basis.T @ exact.basis
    # The score of N(0, C) is -C^-1 x, so its change has the slope of the difference of precisions.
    slope = turn @ (exact.precision()[1:] - exact.precision()[0]) @ turn.T
    return slope @ sampled.covariance[0] @ slope
