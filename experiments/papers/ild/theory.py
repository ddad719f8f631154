"""Checks of ILD's theory on random models: round trips, densities, and the canonical form."""

import dataclasses

import jax
import jax.numpy as jnp

from causalrep.base.validation import check_range
from causalrep.latent import canonical_form, counterfactual, log_likelihood, noise_of, observe
from causalrep.latent.ild.model import ILDModel, Mixing
from causalrep.latent.ild.scm import LatentSCM, intervention_set, noise_to_latent
from causalrep.study import Study, Table, Within

ROWS = 20
METHOD = "random affine ILD"


@dataclasses.dataclass(frozen=True)
class Theory:
    """Checks of random models.

    Attributes:
        models: Number of models per cell.
        sizes: Numbers of latents.
        seed: Random seed.
    """

    models: int = 200
    sizes: tuple[int, ...] = (3, 6)
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("models", self.models, at_least=1)

    def study(self) -> Study:
        """The study; replications are random models, in float64."""
        names = ("round_trip", "log_density", "counterfactual", "density_kept", "identities")
        sources = ("item 1", "item 1", "item 2", "item 2", "item 2")
        bounds = (1e-5, 1e-5, 1e-6, 1e-6, 1e-6)
        return Study(
            name="ild/theory",
            replicate=replicate,
            settings=[{"latents": m} for m in self.sizes],
            replications=self.models,
            seed=self.seed,
            claims=(
                *(
                    Within(
                        aggregate="every",
                        metric=metric,
                        method=METHOD,
                        high=bound,
                        name=f"{metric}: largest error over all random models at most {bound:g}",
                        source=f"section 9, {source}",
                    )
                    for metric, bound, source in zip(names, bounds, sources, strict=True)
                ),
                Within(
                    aggregate="every",
                    metric="set_last",
                    method=METHOD,
                    low=1.0,
                    name="set_last: interventions come last in every canonical form",
                    source="section 9, item 2",
                ),
            ),
            tables=(
                Table(
                    title="Errors on random models",
                    metric=(*names, "set_last"),
                    rows=("latents",),
                    note="Means over models of the largest absolute error over rows; `set_last` is the share of "
                    "models whose canonical form intervenes on the last latents alone.",
                ),
            ),
        )


def replicate(key, setting):
    """One random model with a random intervention set."""
    m, domains = setting["latents"], 3
    model_key, rows_key = jax.random.split(key)
    model, moved = random_model(model_key, m, domains)
    noise_key, domain_key, target_key = jax.random.split(rows_key, 3)
    domain, target = (jax.random.randint(key, (ROWS,), 0, domains) for key in (domain_key, target_key))
    x = observe(model, jax.random.normal(noise_key, (ROWS, m)), domain)
    there = counterfactual(model, x, domain, target)
    canonical = canonical_form(model)
    maps = noise_to_latent(canonical.model.scm)
    stays = jnp.arange(m) < m - jnp.sum(moved)
    identities = jnp.where(stays[:, None], maps - jnp.eye(m), 0.0)
    last = intervention_set(canonical.model.scm, 1e-7)
    return {
        METHOD: {
            "round_trip": _largest(observe(model, noise_of(model, x, domain), domain) - x),
            "log_density": _largest(log_likelihood(model, x, domain) - _by_autodiff(model, x, domain)),
            "counterfactual": _largest(counterfactual(canonical.model, x, domain, target) - there),
            "density_kept": _largest(log_likelihood(canonical.model, x, domain) - log_likelihood(model, x, domain)),
            "identities": _largest(identities) + _largest(maps[0] - jnp.eye(m)),
            "set_last": jnp.all(last == ~stays),
        }
    }


def random_model(key: jax.Array, m: int, domains: int) -> tuple[ILDModel, jax.Array]:
    """An affine ILD and its intervention set; shifts drawn inside the equations stay with their latent."""
    keys = jax.random.split(key, 6)
    # At least one latent is intervened on.
    moved = jax.random.bernoulli(keys[0], 0.4, (m,)) | (jnp.arange(m) == jax.random.randint(keys[1], (), 0, m))
    own = jnp.where(moved, jnp.arange(domains)[:, None], 0)  # domain whose draw a latent's mechanism is
    draws = jax.random.normal(keys[2], (domains, m, m + 2))
    rows = draws[own, jnp.arange(m)]
    weights, scales = jnp.tril(rows[:, :, :m], -1) / 2, jnp.exp(rows[:, :, m] / 2)
    unit = jnp.eye(m)
    shifts = jax.vmap(lambda a, c: jax.scipy.linalg.solve_triangular(unit - a, c, lower=True, unit_diagonal=True))(
        weights, rows[:, :, m + 1]
    )
    orthogonal = jnp.linalg.qr(jax.random.normal(keys[3], (m, m)))[0]
    stretch = jax.random.uniform(keys[4], (m,), minval=0.5, maxval=2.0)
    mixing = Mixing((orthogonal * stretch)[None], jax.random.normal(keys[5], (1, m)))
    return ILDModel(LatentSCM(weights, scales, shifts), mixing), moved


def _by_autodiff(model: ILDModel, x: jax.Array, domain: jax.Array) -> jax.Array:
    def one(x: jax.Array, d: jax.Array) -> jax.Array:
        inverse = lambda x: noise_of(model, x[None], d[None])[0]  # noqa: E731
        return jax.scipy.stats.norm.logpdf(inverse(x)).sum() + jnp.linalg.slogdet(jax.jacobian(inverse)(x))[1]

    return jax.vmap(one)(x, domain)


def _largest(errors: jax.Array) -> jax.Array:
    return jnp.max(jnp.abs(errors))
