"""Benchmark designs for nonlinear instrumental-variable regression, as pure functions of a key.

Each draws an :class:`~causalrep.data.NonlinearIVSample`, with the structural function's values and a test grid
beside the data.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


class NonlinearIVSample(NamedTuple):
    """A sample of a nonlinear instrumental-variable design.

    Attributes:
        y: Outcome (n,).
        t: Endogenous treatments (n, p).
        z: Excluded instruments (n, k).
        x: Exogenous controls (n, q), or None.
        test_t: Treatments at which the structural function is judged (m, p).
        test_x: Controls there (m, q), or None.
        test_f: The structural function there (m,).
    """

    y: Float[Array, " n"]
    t: Float[Array, "n p"]
    z: Float[Array, "n k"]
    x: Float[Array, "n q"] | None
    test_t: Float[Array, "m p"]
    test_x: Float[Array, "m q"] | None
    test_f: Float[Array, " m"]


def newey_powell_function(x: Array) -> Array:
    """The NP design's structural function, ``log(|16x - 8| + 1) sign(x - 1/2)``."""
    return jnp.log(jnp.abs(16 * x - 8) + 1) * jnp.sign(x - 0.5)


def chen_christensen_function(x: Array) -> Array:
    """The CC design's structural function, ``4x - 2``."""
    return 4 * x - 2


NEWEY_POWELL_FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "NP": newey_powell_function,
    "CC": chen_christensen_function,
}


def newey_powell(key: Key[Array, ""], *, n: int, design: str = "NP", grid: int = 1000) -> NonlinearIVSample:
    """The design of Newey and Powell as KIV's authors use it: everything on the unit interval.

    ``(u, t, w)`` are standard normal with ``cov(u, t) = 1/2``; ``x = Phi((w + t) / sqrt 2)``, ``z = Phi(w)``,
    ``y = f(x) + u``. A regression of y on x is biased however large n is.

    Args:
        key: Random key.
        n: Sample size.
        design: ``"NP"``, the logarithm with a kink, or ``"CC"``, a line.
        grid: Test points, equally spaced on [0, 1].

    Source: Singh, Sahani, Gretton (2019), arXiv 1906.00232, after Newey and Powell (2003) and Chen and Christensen
    (2018).
    """
    f = NEWEY_POWELL_FUNCTIONS[design]
    u, own, w = jax.random.normal(key, (3, n))
    t = 0.5 * u + jnp.sqrt(0.75) * own
    x = jax.scipy.stats.norm.cdf((w + t) / jnp.sqrt(2.0))
    test = jnp.linspace(0.0, 1.0, grid)
    z = jax.scipy.stats.norm.cdf(w)
    return NonlinearIVSample(f(x) + u, x[:, None], z[:, None], None, test[:, None], None, f(test))


def demand_psi(t: Array) -> Array:
    """Seasonal demand in the demand design, ``2 ((t - 5)^4 / 600 + exp(-4 (t - 5)^2) + t / 10 - 2)``."""
    return 2 * ((t - 5) ** 4 / 600 + jnp.exp(-4 * (t - 5) ** 2) + t / 10 - 2)


def demand_function(price: Array, t: Array, s: Array) -> Array:
    """The demand design's structural function, ``100 + (10 + p) s psi(t) - 2 p``."""
    return 100 + (10 + price) * s * demand_psi(t) - 2 * price


def demand(
    key: Key[Array, ""], *, n: int, rho: Float[Array, ""] | float = 0.5, noise: float = 1.0
) -> NonlinearIVSample:
    """The airline-demand design of Hartford et al.: fuel cost moves price; season and customer type are controls.

    ``s`` is uniform on 1..7, ``t`` on (0, 10), the cost ``c`` and ``v`` are standard normal,
    ``e = rho v + sqrt(1 - rho^2) N(0, 1)``; price ``p = 25 + (c + 3) psi(t) + v`` and demand
    ``y = 100 + (10 + p) s psi(t) - 2 p + e``. The treatment is p, the controls are (t, s), the instrument is c. Test
    points: p on 20 values in [10, 25], t on 20 in [0, 10], s on 1..7.

    As published (``noise=1``) the design hardly tells an instrumental-variable method from a regression: the noise has
    variance 1 in an outcome of variance near 25,000, and price is nearly a function of time, so most test points lie
    off the training data and the error measures extrapolation. ``noise=10`` scales v and e; the bias of a regression is
    then up to ``100 rho^2`` in squared error, still little beside the errors of estimation at n = 1,000, and the
    instrument becomes weak. Never judge deconfounding by this design alone.

    Args:
        key: Random key.
        n: Sample size.
        rho: Confounding.
        noise: Factor on v and e; 1 is the published design, 10 the scaled one.

    Source: Hartford, Lewis, Leyton-Brown, Taddy (2017), "Deep IV"; test grid as in Singh et al. (2019), whose released
    script draws e with standard deviation ``1 - rho^2`` (here its square root, as in the paper).
    """
    s_key, t_key, normal_key = jax.random.split(key, 3)
    s = jax.random.randint(s_key, (n,), 1, 8).astype(float)
    t = jax.random.uniform(t_key, (n,), maxval=10.0)
    cost, v, own = jax.random.normal(normal_key, (3, n))
    e = noise * (rho * v + jnp.sqrt(1 - jnp.square(rho)) * own)
    price = 25 + (cost + 3) * demand_psi(t) + noise * v
    grids = jnp.meshgrid(jnp.linspace(10, 25, 20), jnp.linspace(0, 10, 20), jnp.arange(1.0, 8.0), indexing="ij")
    test_price, test_t, test_s = (grid.reshape(-1) for grid in grids)
    return NonlinearIVSample(
        demand_function(price, t, s) + e,
        price[:, None],
        cost[:, None],
        jnp.column_stack([t, s]),
        test_price[:, None],
        jnp.column_stack([test_t, test_s]),
        demand_function(test_price, test_t, test_s),
    )


ZOO_FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "abs": jnp.abs,
    "sin": jnp.sin,
    "step": lambda x: jnp.where(x < 0, 1.0, 2.5),
    "linear": lambda x: x,
    "2dpoly": lambda x: -1.5 * x + 0.9 * x**2,
    "3dpoly": lambda x: -1.5 * x + 0.9 * x**2 + x**3,
    "sigmoid": lambda x: 2 / (1 + jnp.exp(-2 * x)),
}


def zoo(
    key: Key[Array, ""], *, n: int, function: str | Callable[[Array], Array], tests: int = 2000
) -> NonlinearIVSample:
    """The scenarios of DeepGMM: strong confounding, two instruments, one of seven functions.

    ``z ~ N(0, I_2)``, ``e ~ N(0, 1)``, ``x = z1 + z2 + 2 e``, ``y = g(x) + 5 e + N(0, 1/2)``. Regression of y on x is
    biased by ``5/3 x``: on ``linear`` its slope tends to 2.667. Test points are a new draw of x.

    Args:
        key: Random key.
        n: Sample size.
        function: g, a key of :data:`ZOO_FUNCTIONS` or a function of its own.
        tests: Test points.

    Source: Bennett, Kallus, Schnabel (2019), "Deep Generalized Method of Moments for Instrumental Variable Analysis",
    in its released code's constants (which has a second family too, :func:`agmm_zoo`).
    """
    g = ZOO_FUNCTIONS[function] if isinstance(function, str) else function
    train_key, test_key, noise_key = jax.random.split(key, 3)

    def draw(key: jax.Array, n: int) -> tuple[Array, Array, Array]:
        z1, z2, e = jax.random.normal(key, (3, n))
        return jnp.column_stack([z1, z2]), z1 + z2 + 2 * e, e

    z, x, e = draw(train_key, n)
    y = g(x) + 5 * e + jnp.sqrt(0.5) * jax.random.normal(noise_key, (n,))
    _, test, _ = draw(test_key, tests)
    return NonlinearIVSample(y, x[:, None], z, None, test[:, None], None, g(test))


def agmm_zoo(
    key: Key[Array, ""],
    *,
    n: int,
    function: str | Callable[[Array], Array],
    strength: float = 0.5,
    tests: int = 2000,
) -> NonlinearIVSample:
    """The zoo of adversarial GMM: instruments that act on half of their range, uniform on (-3, 3).

    ``x = 2 s (z1 1(z1 > 0) + z2 1(z2 < 0)) + 2 (1 - s) u + N(0, .01)``, ``y = g(x) + 2 u + N(0, .01)``, with u standard
    normal.

    Args:
        key: Random key.
        n: Sample size.
        function: g, a key of :data:`ZOO_FUNCTIONS` or a function of its own.
        strength: s, of the instruments against the confounder.
        tests: Test points, a new draw of x.

    Source: Lewis and Syrgkanis (2018), "Adversarial Generalized Method of Moments", in the constants of DeepGMM's
    released code.
    """
    g = ZOO_FUNCTIONS[function] if isinstance(function, str) else function
    train_key, test_key, noise_key = jax.random.split(key, 3)

    def draw(key: jax.Array, n: int) -> tuple[Array, Array, Array]:
        z_key, normal_key = jax.random.split(key)
        z1, z2 = jax.random.uniform(z_key, (2, n), minval=-3.0, maxval=3.0)
        u, own = jax.random.normal(normal_key, (2, n))
        moved = z1 * (z1 > 0) + z2 * (z2 < 0)
        x = 2 * strength * moved + 2 * (1 - strength) * u + 0.1 * own
        return jnp.column_stack([z1, z2]), x, u

    z, x, u = draw(train_key, n)
    y = g(x) + 2 * u + 0.1 * jax.random.normal(noise_key, (n,))
    _, test, _ = draw(test_key, tests)
    return NonlinearIVSample(y, x[:, None], z, None, test[:, None], None, g(test))


def sine(key: Key[Array, ""], *, n: int, grid: int = 1000) -> NonlinearIVSample:
    """The sine design: ``z ~ U(-3, 3)^2``, ``x = z1 + e + .1 N(0, 1)``, ``y = (sin x + e + .1 N(0, 1)) / sqrt 1.5``.

    Only the first instrument acts. Test points are equally spaced on [-3, 3].
    """
    z_key, normal_key = jax.random.split(key)
    z = jax.random.uniform(z_key, (n, 2), minval=-3.0, maxval=3.0)
    e, x_noise, y_noise = jax.random.normal(normal_key, (3, n))
    x = z[:, 0] + e + 0.1 * x_noise
    scale = jnp.sqrt(1.5)
    test = jnp.linspace(-3.0, 3.0, grid)
    y = (jnp.sin(x) + e + 0.1 * y_noise) / scale
    return NonlinearIVSample(y, x[:, None], z, None, test[:, None], None, jnp.sin(test) / scale)
