"""Synthetic functional connectivity: subjects whose brain networks depend on age, sex, race and individual factors.

It stands in for restricted cohorts such as the Philadelphia Neurodevelopmental Cohort. The simulation is our own, with
the sizes of such data scaled down.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.base.validation import check_range

AGE_MEAN, AGE_SD = 15.0, 4.04  # of the uniform distribution on [8, 22] years
# Numbers of phenotypes that depend on demographics, that depend on one subject factor each, and that are noise.
DEMOGRAPHIC, INTRINSIC, NULL = 40, 5, 55


class FCPopulation(NamedTuple):
    """Parameters that all subjects share; the E edges are the pairs of regions.

    Attributes:
        mean: Connectivity of the average subject (E,).
        age: Change per standard deviation of age; 0 on 60% of the edges (E,).
        sex: Difference between the sexes; 0 on 70% of the edges (E,).
        race: Difference between two groups; 0 on 70% of the edges (E,).
        loadings: Loadings of the subject factors (K, E).
        fields: Coefficients of age, sex and race in the demographic phenotypes (40, 3).
    """

    mean: Float[Array, " e"]
    age: Float[Array, " e"]
    sex: Float[Array, " e"]
    race: Float[Array, " e"]
    loadings: Float[Array, "k e"]
    fields: Float[Array, "f 3"]


class FCSample(NamedTuple):
    """Subjects of a population.

    Attributes:
        x: Connectivity: the strict upper triangle of the matrix of regions, row by row (n, E).
        age: Age in years, uniform on [8, 22] (n,).
        sex: Sex, 0 or 1 (n,).
        race: Group, 0 or 1 (n,).
        factors: Subject factors, independent of demographics (n, K).
        fields: Phenotypes: 40 depend on demographics, then 5 on one factor each, then 55 are noise (n, 100).
    """

    x: Float[Array, "n e"]
    age: Float[Array, " n"]
    sex: Float[Array, " n"]
    race: Float[Array, " n"]
    factors: Float[Array, "n k"]
    fields: Float[Array, "n f"]

    @property
    def demographics(self) -> Float[Array, "n 3"]:
        """Age in years, sex and race (n, 3)."""
        return jnp.column_stack([self.age, self.sex, self.race])


def fc_population(key: Key[Array, ""], *, regions: int = 30, factors: int = 8) -> FCPopulation:
    """Draw the parameters of a population.

    Args:
        key: Random key.
        regions: Number R of brain regions, with E = R (R - 1) / 2 edges.
        factors: Number K of subject factors, at least 5 because 5 phenotypes depend on one each.

    Raises:
        InputError: If there are fewer factors.
    """
    check_range("factors", factors, at_least=INTRINSIC)
    keys = jax.random.split(key, 8)
    coordinates = jax.random.normal(keys[0], (regions, 3))
    upper = jnp.triu_indices(regions, 1)
    mean = 0.25 * jnp.tanh((coordinates @ coordinates.T)[upper] / 3)
    edges = mean.shape[0]

    def sparse(pair: Key[Array, " 2"], share: float, sd: float) -> Float[Array, " e"]:
        mask_key, value_key = pair
        return sd * jax.random.normal(value_key, (edges,)) * jax.random.bernoulli(mask_key, share, (edges,))

    return FCPopulation(
        mean=mean,
        age=sparse(keys[1:3], 0.4, 0.10),
        sex=sparse(jax.random.split(keys[3]), 0.3, 0.06),
        race=sparse(jax.random.split(keys[4]), 0.3, 0.06),
        loadings=0.06 * jax.random.normal(keys[5], (factors, edges)),
        fields=jax.random.normal(keys[6], (DEMOGRAPHIC, 3)) * jnp.array([1.0, 0.5, 0.7]),
    )


def draw_fc(key: Key[Array, ""], population: FCPopulation, *, n: int = 1000) -> FCSample:
    """Draw n subjects, whose connectivity is the sum of the effects of demographics and factors, and noise.

    >>> from causalrep.keys import root
    >>> subjects = draw_fc(root(1), fc_population(root(0)), n=20)
    >>> subjects.x.shape, subjects.fields.shape
    ((20, 435), (20, 100))
    """
    keys = jax.random.split(key, 7)
    factors, edges = population.loadings.shape
    age = jax.random.uniform(keys[0], (n,), minval=8.0, maxval=22.0)
    sex, race = (jax.random.bernoulli(k, 0.5, (n,)).astype(age.dtype) for k in keys[1:3])
    s = jax.random.normal(keys[3], (n, factors))
    z_age = (age - AGE_MEAN) / AGE_SD
    x = (
        population.mean
        + z_age[:, None] * population.age
        + (sex - 0.5)[:, None] * population.sex
        + (race - 0.5)[:, None] * population.race
        + s @ population.loadings
        + 0.08 * jax.random.normal(keys[4], (n, edges))
    )
    coded = jnp.column_stack([z_age, 2 * sex - 1, 2 * race - 1])
    noise = jax.random.normal(keys[5], (n, DEMOGRAPHIC + NULL))
    demographic = coded @ population.fields.T + noise[:, :DEMOGRAPHIC]
    intrinsic = s[:, :INTRINSIC] + 0.8 * jax.random.normal(keys[6], (n, INTRINSIC))
    return FCSample(x, age, sex, race, s, jnp.column_stack([demographic, intrinsic, noise[:, DEMOGRAPHIC:]]))
