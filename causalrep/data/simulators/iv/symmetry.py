"""The structural models of the IVL paper, and the augmentations that leave their outcomes invariant.

Source: Akbar, Kilbertus, Shen, Muandet, Dai, "An Analysis of Causal Effect Estimation using Outcome Invariant Data
Augmentation", NeurIPS 2025 (arXiv 2510.25128), Example 2 and appendix E.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.base.validation import check_choice
from causalrep.precision import full_products


class LinearSEM(NamedTuple):
    """Parameters of ``X = kappa tau^T Y + T^T C + sigma N_X``, ``Y = f^T X + kappa eps^T C + sigma N_Y``.

    Attributes:
        f: Causal effect of X on Y (m,).
        eps: Effect of the confounder on Y (c,).
        t: Effect of the confounder on X (c, m).
        tau: Feedback of Y on X, zero in the acyclic model (m,).
        gamma: Directions Gamma of the augmentation, rows orthogonal to f (k, m). Rows that a partial null space omits
            are zero.
    """

    f: Float[Array, " m"]
    eps: Float[Array, " c"]
    t: Float[Array, "c m"]
    tau: Float[Array, " m"]
    gamma: Float[Array, "k m"]


class LinearSample(NamedTuple):
    """A sample of the linear model, with one augmentation of each row.

    Attributes:
        x: Treatment (n, m).
        y: Outcome (n,).
        gx: Augmented treatment ``X + gamma Gamma^T G`` (n, m).
        g: Augmentation parameters G (n, k); columns of omitted directions are zero.
    """

    x: Float[Array, "n m"]
    y: Float[Array, " n"]
    gx: Float[Array, "n m"]
    g: Float[Array, "n k"]


def sample_linear_sem(
    key: Key[Array, ""],
    *,
    treatments: int = 32,
    confounders: int = 32,
    cyclic: bool = False,
    keep: float = 1.0,
) -> LinearSEM:
    """Draw the parameters of one linear structural model and the directions of its augmentation.

    All entries of f, eps and T are standard normal. Gamma is an orthonormal basis of null(f^T).

    Args:
        key: Random key.
        treatments: Dimension m of X.
        confounders: Dimension c of C.
        cyclic: Whether f and tau are uniform on the unit sphere (the paper's Fig. 6); otherwise tau is 0.
        keep: Probability that a basis vector of null(f^T) is a direction of the augmentation. 1 keeps all of
            them; the paper's Fig. 7 uses 2/3 and Fig. 5 uses 1/3. The draw is repeated until at least one is kept.

    Returns:
        The model, with k = m - 1 rows in ``gamma``.

    >>> from causalrep.keys import root
    >>> sample_linear_sem(root(0), treatments=5).gamma.shape
    (4, 5)
    """
    f_key, eps_key, t_key, tau_key, keep_key = jax.random.split(key, 5)
    f = jax.random.normal(f_key, (treatments,))
    tau = jnp.zeros_like(f)
    if cyclic:
        f = f / jnp.linalg.norm(f)
        tau = jax.random.normal(tau_key, (treatments,))
        tau = tau / jnp.linalg.norm(tau)
    # The first column of a complete QR of f spans f; the other m - 1 are an orthonormal basis of null(f^T).
    complete, _ = jnp.linalg.qr(f[:, None], mode="complete")
    basis = complete[:, 1:].T
    if keep < 1.0:
        basis = basis * _kept_directions(keep_key, treatments - 1, keep)[:, None]
    return LinearSEM(
        f=f,
        eps=jax.random.normal(eps_key, (confounders,)),
        t=jax.random.normal(t_key, (confounders, treatments)),
        tau=tau,
        gamma=basis,
    )


@full_products
def draw_linear(
    key: Key[Array, ""],
    sem: LinearSEM,
    *,
    n: int,
    kappa: Float[Array, ""] | float = 1.0,
    gamma: Float[Array, ""] | float = 1.0,
    sigma: float = 0.1,
) -> LinearSample:
    """Draw n rows of the model at its equilibrium, and augment each of them once.

    Args:
        key: Random key.
        sem: The structural model.
        n: Sample size.
        kappa: Strength of the confounding, and of the feedback in the cyclic model, where 1/kappa must differ from
            f.tau.
        gamma: Strength of the augmentation.
        sigma: Standard deviation of the noise.

    >>> from causalrep.keys import root
    >>> draw_linear(root(1), sample_linear_sem(root(0), treatments=5), n=100).gx.shape
    (100, 5)
    """
    c_key, x_key, y_key, g_key = jax.random.split(key, 4)
    confounders, treatments = sem.t.shape
    c = jax.random.normal(c_key, (n, confounders))
    exogenous_x = c @ sem.t + sigma * jax.random.normal(x_key, (n, treatments))
    exogenous_y = kappa * (c @ sem.eps) + sigma * jax.random.normal(y_key, (n,))
    # Substitute X into the equation of Y and solve it: Y = (f.U_X + U_Y) / (1 - kappa f.tau), the unique equilibrium.
    y = (exogenous_x @ sem.f + exogenous_y) / (1.0 - kappa * sem.f @ sem.tau)
    x = exogenous_x + kappa * y[:, None] * sem.tau
    used = jnp.any(sem.gamma != 0.0, axis=1)
    g = jax.random.normal(g_key, (n, sem.gamma.shape[0])) * used
    return LinearSample(x=x, y=y, gx=x + gamma * (g @ sem.gamma), g=g)


def _kept_directions(key: Key[Array, ""], count: int, probability: float) -> Float[Array, " k"]:
    """Independent Bernoulli draws as 0 and 1, repeated until at least one is 1 (k,)."""

    def draw(state):
        key, _ = state
        key, draw_key = jax.random.split(key)
        return key, jax.random.bernoulli(draw_key, probability, (count,))

    _, kept = jax.lax.while_loop(lambda state: ~jnp.any(state[1]), draw, (key, jnp.zeros(count, bool)))
    return kept.astype(jnp.zeros(()).dtype)


class NonlinearIVLSample(NamedTuple):
    """A sample of the nonlinear simulation, with one augmentation of each row.

    Attributes:
        x: Treatment (n,).
        y: Outcome (n,).
        gx: Augmented treatment (n,).
        g: Augmentation parameter, standardized (n,).
        structural: Structural function f at x (n,).
    """

    x: Float[Array, " n"]
    y: Float[Array, " n"]
    gx: Float[Array, " n"]
    g: Float[Array, " n"]
    structural: Float[Array, " n"]


def nonlinear_ivl(key: Key[Array, ""], function: str, *, n: int) -> NonlinearIVLSample:
    """``X = 2C + N_X`` and ``Y = f(X) + 5C + N_Y / sqrt(2)`` with standard normal C and noise, and a symmetry of f.

    The augmentation of ``"abs"`` multiplies x by g in {-1, 1}, that of ``"sin"`` adds ``2 pi g`` and that of ``"sign"``
    multiplies by ``10^g``, both with g in {-1, 0, 1}. The parameter g is uniform on its values. Regression of y on x
    estimates ``f(x) + 2x``.

    Args:
        key: Random key.
        function: Structural function f: ``"abs"``, ``"sin"`` or ``"sign"``.
        n: Sample size.

    Source: history of the IVL paper's repository; the simulation is not in the final paper.

    Raises:
        InputError: If the function is none of these.

    >>> from causalrep.keys import root
    >>> nonlinear_ivl(root(0), "sin", n=100).gx.shape
    (100,)
    """
    check_choice("function", function, ("abs", "sin", "sign"))
    c_key, x_key, y_key, g_key = jax.random.split(key, 4)
    c = jax.random.normal(c_key, (n,))
    x = 2.0 * c + jax.random.normal(x_key, (n,))
    values = jnp.array([-1.0, 1.0] if function == "abs" else [-1.0, 0.0, 1.0])
    g = jax.random.choice(g_key, values, (n,))
    structural = {"abs": jnp.abs, "sin": jnp.sin, "sign": jnp.sign}[function](x)
    gx = {"abs": x * g, "sin": x + 2.0 * jnp.pi * g, "sign": x * 10.0**g}[function]
    y = structural + 5.0 * c + jax.random.normal(y_key, (n,)) / jnp.sqrt(2.0)
    return NonlinearIVLSample(x, y, gx, g / jnp.std(values), structural)
