"""DemoVAE on synthetic connectivity: associations kept and lost, leakage, demographic change, synthetic groups."""

import dataclasses
from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from causalrep.base.validation import check_range
from causalrep.confounders import DemoVAEModel, demovae, leakage, residualization
from causalrep.confounders.removal.demovae.fit import decode, encode, sample
from causalrep.confounders.removal.guides import Guides, linear_guides
from causalrep.data import draw_fc, fc_population
from causalrep.data.simulators.confounders.connectivity import AGE_MEAN, AGE_SD, DEMOGRAPHIC, INTRINSIC, NULL, FCSample
from causalrep.metrics import association_scan, correlations, r2
from causalrep.study import Ordering, Study, Table, Within, grid
from causalrep.training.rows import Schedule
from causalrep.training.trained import Trained

LAYOUT = (1, 2, 2)  # age, sex, race
VARIABLES = ("age", "sex", "race")
SIGNIFICANT = 0.05
YEARS = 4.0  # of the demographic change
FOLDS = 3
RAW, RESIDUAL = "Raw connectivity", "Linear residualization"
# The parts of DemoVAE that each network leaves out.
PLAIN = {"conditional": False, "demographics": 0.0, "guide": 0.0}
NETWORKS = {
    "Autoencoder": {**PLAIN, "covariance": 0.0, "mean": 0.0},
    "No demographics": PLAIN,
    "DemoVAE, no decorrelation": {"demographics": 0.0},
    "DemoVAE, no guide": {"guide": 0.0},
    "DemoVAE": {},
}


@dataclasses.dataclass(frozen=True)
class StandIn:
    """Training subjects and as many new ones to audit, from one population per replication.

    Attributes:
        name: Config name.
        replications: Number of populations.
        samples: Number of training subjects, and of new ones.
        latents: L, the number of latents.
        hidden: Width of the networks.
        epochs: Number of full-batch updates.
        networks: Names among :data:`NETWORKS`.
        seed: Random seed.
    """

    name: str = "demovae/standin"
    replications: int = 5
    samples: int = 1000
    latents: int = 16
    hidden: int = 200
    epochs: int = 2000
    networks: tuple[str, ...] = tuple(NETWORKS)
    seed: int = 0

    def __post_init__(self) -> None:
        for field in ("replications", "samples", "latents", "hidden", "epochs"):
            check_range(field, getattr(self, field), at_least=1)

    def study(self) -> Study:
        """The study, with populations as replications."""
        hits = ("hits_demographic", "hits_intrinsic", "hits_null", "train_hits_demographic")
        leaks = tuple(f"{kind}_{name}" for kind in ("corr", "linear", "kernel", "chance") for name in VARIABLES)
        fit = ("factor_r2", "offdiagonal", "least_variance", "most_variance", "rmse")
        change = (
            "age_moved",
            "sex_flipped",
            "race_flipped",
            "group_rmse_sex",
            "group_rmse_race",
            "group_corr_sex",
            "group_corr_race",
        )
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=grid(samples=[self.samples]),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            claims=claims(),
            tables=(
                Table(
                    title="Fields with a significant association",
                    metric=hits,
                    note="Of 40 phenotypes that follow demographics, 5 that follow a subject factor and 55 of noise: "
                    "those with a feature at p < .05, Bonferroni-corrected, in new subjects.",
                ),
                Table(
                    title="What features tell of demographics in new subjects",
                    metric=("train_corr", *leaks),
                    note="corr: largest absolute correlation; train_corr: that of the subjects trained on, with any "
                    "of the three. linear, kernel: cross-fitted R2 of age, accuracy of sex and race, by ridge or "
                    "logistic regression and by kernel ridge regression.",
                ),
                Table(
                    title="Latents and reconstruction",
                    metric=fit,
                    reported=False,
                    note="factor_r2: of the true subject factors given the features. Moments of the latents are "
                    "those of the training subjects, in units of the prior's variance.",
                ),
                Table(
                    title="Demographic change and synthetic groups",
                    metric=change,
                    reported=False,
                    note="age_moved: years, by a linear age model, when connectivity is decoded with age + 4. "
                    "flipped: share read as the other group. group: difference between synthetic groups against that "
                    "between new subjects.",
                ),
            ),
        )


def claims():
    """Claims of section 9 of the card; the bounds on residualization and on chance hits are ours."""
    common = {"min_replications": 3, "source": "card, section 9"}
    ours = {"min_replications": 3, "source": "card, section 9; the bound is ours"}
    demo = "DemoVAE"
    return (
        Within(metric="hits_demographic", method="Autoencoder", low=36, **common),
        Within(metric="hits_demographic", method=demo, high=8, **common),
        Within(metric="hits_intrinsic", method=demo, low=4, **common),
        Within(metric="linear_age", method=demo, high=0.05, **common),
        Within(metric="above_chance_sex", method=demo, low=-0.06, high=0.06, **common),
        Within(metric="above_chance_race", method=demo, low=-0.06, high=0.06, **common),
        Within(metric="factor_r2", method=demo, low=0.9, **common),
        Within(metric="offdiagonal", method=demo, high=0.25, **common),
        Within(metric="least_variance", method=demo, low=0.8, **common),
        Within(metric="most_variance", method=demo, high=1.2, **common),
        Within(metric="age_moved", method=demo, low=YEARS - 1.5, high=YEARS + 1.5, **common),
        Within(metric="sex_flipped", method=demo, low=0.9, **common),
        Within(metric="race_flipped", method=demo, low=0.9, **common),
        Within(metric="hits_beyond_residualization", method=demo, low=-4, high=4, **ours),
        Within(metric="train_corr", method=RESIDUAL, high=1e-3, **ours),
        Within(
            metric="hits_null",
            method=demo,
            high=0.1 * NULL,
            **ours,
            name="negative control: DemoVAE's latents go with at most 10% of the fields of noise",
        ),
        Ordering(metric="hits_demographic", methods=(demo, "Autoencoder"), **common),
        Ordering(metric="linear_age", methods=(demo, "DemoVAE, no decorrelation", "Autoencoder"), **common),
    )


def replicate(key, setting, *, config: StandIn):
    """Every method on one population."""
    population_key, train_key, test_key, fit_key, audit_key = jax.random.split(key, 5)
    population = fc_population(population_key)
    train, test = (draw_fc(k, population, n=setting["samples"]) for k in (train_key, test_key))
    d_train, d_test = coded(train), coded(test)
    guides = linear_guides(train.x, d_train, LAYOUT)
    line = residualization(train.x, d_train)
    schedule = Schedule(epochs=config.epochs, batch_size=setting["samples"], learning_rate=1e-3)
    left = [s.x - line.explained(d) for s, d in ((train, d_train), (test, d_test))]
    # One program audits all features of the same width.
    audits = jax.lax.map(
        lambda pair: audit(audit_key, *pair, train, test),
        (jnp.stack([train.x, left[0]]), jnp.stack([test.x, left[1]])),
    )
    metrics = unstacked(audits, (RAW, RESIDUAL))
    metrics[RESIDUAL] |= changes(lambda d: left[1] + line.explained(d), test, guides)
    models = {
        name: DemoVAEModel(LAYOUT, config.latents, (config.hidden,), **NETWORKS[name]) for name in config.networks
    }
    fits, latents = {}, []
    for name, model in models.items():
        fits[name] = demovae(fit_key, train.x, d_train, model=model, schedule=schedule)
        latents.append([encode(model, fits[name], s.x, d) for s, d in ((train, d_train), (test, d_test))])
    pairs = [jnp.stack(part) for part in zip(*latents)]
    metrics |= unstacked(jax.lax.map(lambda pair: audit(audit_key, *pair, train, test), pairs), models)
    for (name, model), (z_train, z_test) in zip(models.items(), latents):
        metrics[name] |= moments(z_train, model) | {"diverged": fits[name].diverged.astype(jnp.float32)}
        metrics[name] |= generated(audit_key, model, fits[name], z_test, test, guides)
        beyond = metrics[name]["hits_demographic"] - metrics[RESIDUAL]["hits_demographic"]
        metrics[name]["hits_beyond_residualization"] = beyond
    return metrics


def unstacked(metrics: dict[str, Array], names: Iterable[str]) -> dict[str, dict[str, Array]]:
    """Metrics stacked along their first axis, separated by method."""
    return {name: {metric: values[j] for metric, values in metrics.items()} for j, name in enumerate(names)}


def coded(s: FCSample) -> Array:
    """Age standardized by the population's moments; one column for each level of sex and race."""
    columns = [(s.age - AGE_MEAN) / AGE_SD, 1 - s.sex, s.sex, 1 - s.race, s.race]
    return jnp.column_stack(columns)


def audit(key, f_train: Array, f_test: Array, train: FCSample, test: FCSample) -> dict[str, Array]:
    """Associations of features with phenotypes, leakage, and how well features predict the subject factors."""
    hit = (association_scan(f_test, test.fields).p_value < SIGNIFICANT).astype(jnp.float32)
    train_hit = (association_scan(f_train, train.fields).p_value < SIGNIFICANT).astype(jnp.float32)
    last = DEMOGRAPHIC + INTRINSIC
    leaks = leakage(key, f_test, coded(test), LAYOUT, n_folds=FOLDS)
    named = {
        "corr": leaks.max_correlation,
        "linear": leaks.linear,
        "kernel": leaks.nonlinear,
        "chance": leaks.chance,
        "above_chance": leaks.linear - leaks.chance,
    }
    return {
        "hits_demographic": hit[:DEMOGRAPHIC].sum(),
        "hits_intrinsic": hit[DEMOGRAPHIC:last].sum(),
        "hits_null": hit[last:].sum(),
        "train_hits_demographic": train_hit[:DEMOGRAPHIC].sum(),
        "factor_r2": jnp.mean(r2(test.factors, f_test)),
        "train_corr": jnp.max(correlations(coded(train), f_train)),
        **{f"{kind}_{name}": part[j] for kind, part in named.items() for j, name in enumerate(VARIABLES)},
    }


def moments(z: Array, model: DemoVAEModel) -> dict[str, Array]:
    """Covariance of the latents in units of the prior's."""
    covariance = jnp.cov(z.T) / model.prior_variance
    diagonal = jnp.diagonal(covariance)
    return {
        "offdiagonal": jnp.max(jnp.abs(covariance - jnp.diag(diagonal))),
        "least_variance": diagonal.min(),
        "most_variance": diagonal.max(),
    }


def changes(with_demographics, test: FCSample, guides: Guides) -> dict[str, Array]:
    """Predictions of linear models, fitted to real training data, for connectivity with other demographics.

    Args:
        with_demographics: Maps coded demographics to the connectivity that the new subjects would have with them.
        test: New subjects.
        guides: The linear models.
    """
    d = coded(test)

    def read(demographics: Array) -> Array:
        return with_demographics(demographics) @ guides.slopes + guides.intercepts

    own, older = read(d), read(d.at[:, 0].add(YEARS / AGE_SD))
    changed = {"age_moved": AGE_SD * jnp.mean(older[:, 0] - own[:, 0])}
    for name, start in (("sex", 1), ("race", 3)):
        other = read(d.at[:, start : start + 2].set(1 - d[:, start : start + 2]))
        changed[f"{name}_flipped"] = jnp.mean(((other[:, start + 1] > 0) != (d[:, start + 1] > 0)).astype(jnp.float32))
    return changed


def generated(key, model: DemoVAEModel, fitted: Trained, z: Array, test: FCSample, guides: Guides) -> dict[str, Array]:
    """Reconstruction, and for a decoder that is given demographics: demographic change and synthetic groups."""
    edges, d = test.x.shape[1], coded(test)
    rebuild = partial(decode, model, fitted, z, columns=edges)
    metrics = {"rmse": jnp.sqrt(jnp.mean((rebuild(d) - test.x) ** 2))}
    if not model.conditional:
        return metrics
    metrics |= changes(rebuild, test, guides)
    for name, start in (("sex", 1), ("race", 3)):
        real, made = [], []
        for level, k in enumerate(jax.random.split(key)):
            mine = d[:, start + level]
            real.append(mine @ test.x / mine.sum())
            asked = d.at[:, start : start + 2].set(jax.nn.one_hot(level, 2))
            made.append(sample(k, model, fitted, asked, columns=edges).mean(0))
        truth, synthetic = real[1] - real[0], made[1] - made[0]
        metrics[f"group_rmse_{name}"] = jnp.linalg.norm(synthetic - truth) / jnp.linalg.norm(truth)
        metrics[f"group_corr_{name}"] = jnp.corrcoef(synthetic, truth)[0, 1]
    return metrics
