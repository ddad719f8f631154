"""Population closed forms of IV-like regression in the linear Gaussian model (IVL paper, Example 2).

With ``Sigma = E[X X^T]``, ``v = E[X xi]`` and Gamma the augmentation's directions at strength gamma, every estimator's
error ``h - f`` solves ``(Sigma + s gamma^2 Gamma^T Gamma) e = v``: ERM at ``s = 0``, DA+ERM at ``s = 1``,
DA+IVL_alpha at ``s = 1 + 1/alpha``. So DA+IVL_alpha at strength gamma is DA+ERM at strength
``gamma sqrt(1 + 1/alpha)``: the penalty acts as a stronger augmentation without drawing one.

**When does it help?** In the norm of Sigma the risk never increases with s. It stays equal exactly when
``Gamma Sigma^{-1} v = 0``: the augmentation's directions are orthogonal to ERM's error. The paper states the condition
as ``Gamma v = 0``, which is neither necessary nor sufficient. With ``Sigma = [[2, 1], [1, 2]]``, ``Gamma = (0, 1)`` and
``v = (1, 0)`` it is met, yet the risk falls from 2/3 to 0.56. In the Euclidean norm no such order holds.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from causalrep.data import LinearSEM
from causalrep.linalg import spd_solve
from causalrep.precision import full_products


@full_products
def treatment_covariance(
    sem: LinearSEM, *, kappa: Float[Array, ""] | float = 1.0, sigma: float = 0.1
) -> Float[Array, "m m"]:
    """Sigma = E[X X^T] of the model, at its equilibrium if it is cyclic (m, m)."""
    x_of_noise = _reduced_form(sem, kappa)
    return x_of_noise @ _noise_covariance(sem, kappa, sigma) @ x_of_noise.T


@full_products
def confounding_vector(
    sem: LinearSEM, *, kappa: Float[Array, ""] | float = 1.0, sigma: float = 0.1
) -> Float[Array, " m"]:
    """The vector v = E[X xi] with xi = Y - f^T X (m,); without feedback it is ``kappa T^T eps``."""
    return _reduced_form(sem, kappa) @ _noise_covariance(sem, kappa, sigma)[:, -1]


@full_products
def population_error(
    covariance: Float[Array, "m m"],
    confounding: Float[Array, " m"],
    gamma_directions: Float[Array, "k m"],
    *,
    strength: Float[Array, ""] | float = 1.0,
    alpha: Float[Array, ""] | float = jnp.inf,
) -> Float[Array, " m"]:
    """Error ``h - f`` of DA+IVL_alpha in the population.

    Args:
        covariance: Covariance Sigma of the treatment (m, m).
        confounding: Vector v (m,).
        gamma_directions: Directions Gamma of the augmentation (k, m).
        strength: Strength gamma of the augmentation; 0 gives ERM.
        alpha: Weight of the ordinary risk; infinity gives DA+ERM.
    """
    penalty = jnp.square(strength) * (1.0 + 1.0 / alpha)
    return spd_solve(covariance + penalty * gamma_directions.T @ gamma_directions, confounding)


def augmentation_helps(
    covariance: Float[Array, "m m"],
    confounding: Float[Array, " m"],
    gamma_directions: Float[Array, "k m"],
    *,
    tolerance: float = 1e-9,
) -> Bool[Array, ""]:
    """Whether augmentation strictly lowers the causal risk in the Sigma norm: ``Gamma Sigma^{-1} v != 0``.

    This corrects the condition for equality in the paper (see the module's docstring).
    """
    error = spd_solve(covariance, confounding)
    return jnp.linalg.norm(gamma_directions @ error) > tolerance * jnp.linalg.norm(error)


def _reduced_form(sem: LinearSEM, kappa) -> Float[Array, "m m+1"]:
    """X as a linear map of (exogenous part of X, exogenous part of Y) at the equilibrium."""
    gain = kappa / (1.0 - kappa * sem.f @ sem.tau)
    m = sem.f.shape[0]
    on_x = jnp.eye(m, dtype=sem.f.dtype) + gain * jnp.outer(sem.tau, sem.f)
    return jnp.concatenate([on_x, gain * sem.tau[:, None]], axis=1)


def _noise_covariance(sem: LinearSEM, kappa, sigma: float) -> Float[Array, "m+1 m+1"]:
    """Covariance of (T^T C + sigma N_X, kappa eps^T C + sigma N_Y)."""
    loadings = jnp.concatenate([sem.t, kappa * sem.eps[:, None]], axis=1)
    return loadings.T @ loadings + sigma**2 * jnp.eye(loadings.shape[1], dtype=loadings.dtype)
