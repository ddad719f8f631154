"""Benchmark simulations for nonlinear instrumental-variable regression, as pure functions of a key.

Each draws a :class:`NonlinearIVSample`: a sample, and test points with the values of the structural function.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.base.validation import check_choice

Structural = Callable[[Array], Array]


class NonlinearIVSample(NamedTuple):
    """A sample with instruments, and test points.

    Attributes:
        y: Outcome (n,).
        t: Endogenous treatments (n, p).
        z: Excluded instruments (n, k).
        x: Exogenous controls (n, q), or None.
        test_t: Treatments at which the structural function is scored (m, p).
        test_x: Controls at these points (m, q), or None.
        test_f: Structural function at these points (m,).
    """

    y: Float[Array, " n"]
    t: Float[Array, "n p"]
    z: Float[Array, "n k"]
    x: Float[Array, "n q"] | None
    test_t: Float[Array, "m p"]
    test_x: Float[Array, "m q"] | None
    test_f: Float[Array, " m"]


NEWEY_POWELL_FUNCTIONS: Mapping[str, Structural] = {
    "NP": lambda t: jnp.log(jnp.abs(16 * t - 8) + 1) * jnp.sign(t - 0.5),
    "CC": lambda t: 4 * t - 2,
}


def newey_powell(key: Key[Array, ""], *, n: int, function: str = "NP", grid: int = 1000) -> NonlinearIVSample:
    """The simulation of Newey and Powell as the authors of KIV use it, with all variables on the unit interval.

    ``(u, v, w)`` are standard normal with ``cov(u, v) = 1/2``; the treatment is ``t = Phi((w + v) / sqrt 2)``, the
    instrument ``z = Phi(w)``, and ``y = f(t) + u``. A regression of y on t is biased however large n is.

    Args:
        key: Random key.
        n: Sample size.
        function: Structural function f: ``"NP"`` is ``log(|16t - 8| + 1) sign(t - 1/2)``, which has a kink, and
            ``"CC"`` is ``4t - 2``.
        grid: Number of test points, equally spaced on [0, 1].

    Raises:
        InputError: If the function is unknown.

    Source: Singh, Sahani, Gretton (2019), arXiv 1906.00232, after Newey and Powell (2003) and Chen and Christensen
    (2018).

    >>> from causalrep.keys import root
    >>> sample = newey_powell(root(0), n=100)
    >>> sample.t.shape, sample.test_f.shape
    ((100, 1), (1000,))
    """
    f = _structural(function, NEWEY_POWELL_FUNCTIONS)
    u, own, w = jax.random.normal(key, (3, n))
    v = 0.5 * u + jnp.sqrt(0.75) * own
    t = jax.scipy.stats.norm.cdf((w + v) / jnp.sqrt(2.0))
    test = jnp.linspace(0.0, 1.0, grid)
    z = jax.scipy.stats.norm.cdf(w)
    return NonlinearIVSample(f(t) + u, t[:, None], z[:, None], None, test[:, None], None, f(test))


def demand_psi(time: Array) -> Array:
    """Seasonal demand, ``2 ((t - 5)^4 / 600 + exp(-4 (t - 5)^2) + t / 10 - 2)``."""
    return 2 * ((time - 5) ** 4 / 600 + jnp.exp(-4 * (time - 5) ** 2) + time / 10 - 2)


def demand_function(price: Array, time: Array, kind: Array) -> Array:
    """The structural function of :func:`demand`, ``100 + (10 + p) s psi(t) - 2 p``."""
    return 100 + (10 + price) * kind * demand_psi(time) - 2 * price


def demand(
    key: Key[Array, ""], *, n: int, rho: Float[Array, ""] | float = 0.5, noise: float = 1.0
) -> NonlinearIVSample:
    """The airline demand of Hartford et al.: fuel cost moves the price; season and type of customer are controls.

    The type ``s`` is uniform on 1..7 and the time ``t`` on (0, 10); the cost ``c`` and ``v`` are standard normal, and
    ``e = rho v + sqrt(1 - rho^2) N(0, 1)``. The price is ``p = 25 + (c + 3) psi(t) + v`` and the demand
    ``y = 100 + (10 + p) s psi(t) - 2 p + e``. The treatment is p, the controls are (t, s), and the instrument is c.
    Test points are all combinations of 20 prices in [10, 25], 20 times in [0, 10], and the 7 types.

    As published (``noise=1``) the simulation hardly tells an instrumental-variable method from a regression. The noise
    has variance 1 in an outcome of variance near 25,000, and the price is nearly a function of time, so that most test
    points lie off the training data and the error measures extrapolation. ``noise=10`` scales v and e. The bias of a
    regression is then up to ``100 rho^2`` in squared error, which is still small compared with the estimation error at
    n = 1,000, and the instrument becomes weak. Never judge deconfounding by this simulation alone.

    Args:
        key: Random key.
        n: Sample size.
        rho: Strength of the confounding, in [-1, 1].
        noise: Factor on v and e: 1 as published, or 10.

    Source: Hartford, Lewis, Leyton-Brown, Taddy (2017), "Deep IV"; test grid as in Singh et al. (2019), whose released
    script draws e with standard deviation ``1 - rho^2`` (here its square root, as in the paper).

    >>> from causalrep.keys import root
    >>> sample = demand(root(0), n=100)
    >>> sample.x.shape, sample.test_f.shape
    ((100, 2), (2800,))
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


ZOO_FUNCTIONS: Mapping[str, Structural] = {
    "abs": jnp.abs,
    "sin": jnp.sin,
    "step": lambda t: jnp.where(t < 0, 1.0, 2.5),
    "linear": lambda t: t,
    "2dpoly": lambda t: -1.5 * t + 0.9 * t**2,
    "3dpoly": lambda t: -1.5 * t + 0.9 * t**2 + t**3,
    "sigmoid": lambda t: 2 / (1 + jnp.exp(-2 * t)),
}


def zoo(key: Key[Array, ""], *, n: int, function: str | Structural, tests: int = 2000) -> NonlinearIVSample:
    """The scenarios of DeepGMM: strong confounding, two instruments, and one of seven structural functions.

    ``z ~ N(0, I_2)``, ``u ~ N(0, 1)``, ``t = z1 + z2 + 2 u`` and ``y = g(t) + 5 u + N(0, 1/2)``. Regression of y on t
    has the bias ``5/3 t``: with ``"linear"`` its slope tends to 2.667. Test points are a new draw of t.

    Args:
        key: Random key.
        n: Sample size.
        function: Structural function g: a key of :data:`ZOO_FUNCTIONS`, or any function of an array.
        tests: Number of test points.

    Raises:
        InputError: If the function is unknown.

    Source: Bennett, Kallus, Schnabel (2019), "Deep Generalized Method of Moments for Instrumental Variable Analysis",
    with the constants of its released code (which also has a second family, :func:`agmm_zoo`).

    >>> from causalrep.keys import root
    >>> zoo(root(0), n=100, function="sin").z.shape
    (100, 2)
    """

    def draw(key: jax.Array, n: int) -> tuple[Array, Array, Array]:
        z1, z2, u = jax.random.normal(key, (3, n))
        return jnp.column_stack([z1, z2]), z1 + z2 + 2 * u, u

    return _scenario(key, draw, function, n=n, tests=tests, confounding=5, noise=jnp.sqrt(0.5))


def agmm_zoo(
    key: Key[Array, ""],
    *,
    n: int,
    function: str | Structural,
    strength: float = 0.5,
    tests: int = 2000,
) -> NonlinearIVSample:
    """The scenarios of adversarial GMM: uniform instruments on (-3, 3), each of which acts on half of its range.

    ``t = 2 s (z1 1(z1 > 0) + z2 1(z2 < 0)) + 2 (1 - s) u + N(0, .01)`` and ``y = g(t) + 2 u + N(0, .01)``, with u
    standard normal. Test points are a new draw of t.

    Args:
        key: Random key.
        n: Sample size.
        function: Structural function g: a key of :data:`ZOO_FUNCTIONS`, or any function of an array.
        strength: Strength s of the instruments relative to the confounder.
        tests: Number of test points.

    Raises:
        InputError: If the function is unknown.

    Source: Lewis and Syrgkanis (2018), "Adversarial Generalized Method of Moments", with the constants of DeepGMM's
    released code.

    >>> from causalrep.keys import root
    >>> agmm_zoo(root(0), n=100, function="abs").z.shape
    (100, 2)
    """

    def draw(key: jax.Array, n: int) -> tuple[Array, Array, Array]:
        z_key, normal_key = jax.random.split(key)
        z1, z2 = jax.random.uniform(z_key, (2, n), minval=-3.0, maxval=3.0)
        u, own = jax.random.normal(normal_key, (2, n))
        moved = z1 * (z1 > 0) + z2 * (z2 < 0)
        return jnp.column_stack([z1, z2]), 2 * strength * moved + 2 * (1 - strength) * u + 0.1 * own, u

    return _scenario(key, draw, function, n=n, tests=tests, confounding=2, noise=0.1)


def sine(key: Key[Array, ""], *, n: int, grid: int = 1000) -> NonlinearIVSample:
    """A sine: ``z ~ U(-3, 3)^2``, ``t = z1 + u + .1 N(0, 1)``, ``y = (sin t + u + .1 N(0, 1)) / sqrt 1.5``.

    The second instrument has no effect.

    Args:
        key: Random key.
        n: Sample size.
        grid: Number of test points, equally spaced on [-3, 3].

    >>> from causalrep.keys import root
    >>> sine(root(0), n=100).z.shape
    (100, 2)
    """
    z_key, normal_key = jax.random.split(key)
    z = jax.random.uniform(z_key, (n, 2), minval=-3.0, maxval=3.0)
    u, t_noise, y_noise = jax.random.normal(normal_key, (3, n))
    t = z[:, 0] + u + 0.1 * t_noise
    scale = jnp.sqrt(1.5)
    test = jnp.linspace(-3.0, 3.0, grid)
    y = (jnp.sin(t) + u + 0.1 * y_noise) / scale
    return NonlinearIVSample(y, t[:, None], z, None, test[:, None], None, jnp.sin(test) / scale)


def _structural(function: str | Structural, known: Mapping[str, Structural]) -> Structural:
    return function if callable(function) else known[check_choice("function", function, tuple(known))]


def _scenario(
    key: Key[Array, ""],
    draw: Callable[[Array, int], tuple[Array, Array, Array]],
    function: str | Structural,
    *,
    n: int,
    tests: int,
    confounding: float,
    noise: Float[Array, ""] | float,
) -> NonlinearIVSample:
    """``y = g(t) + confounding u + noise N(0, 1)`` for a ``draw`` of instruments, treatment and confounder u."""
    g = _structural(function, ZOO_FUNCTIONS)
    train_key, test_key, noise_key = jax.random.split(key, 3)
    z, t, u = draw(train_key, n)
    y = g(t) + confounding * u + noise * jax.random.normal(noise_key, (n,))
    _, test, _ = draw(test_key, tests)
    return NonlinearIVSample(y, t[:, None], z, None, test[:, None], None, g(test))
