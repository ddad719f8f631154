"""The joint law of treatment and outcome when one linear confounder is hidden, with the confounder integrated out."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

Law = Literal["two_point", "gaussian"]


class Confounded(dist.Distribution):
    """``(t, y)`` with ``t = 1`` with probability ``g(index + b u)`` and ``y ~ N(base + effect t + c u, s^2)``.

    With ``law="two_point"``, u is a fair coin on {-1, +1}, g the inverse logit, and the density a sum of two terms.
    With ``law="gaussian"``, u is standard normal and g the normal distribution function (Heckman's selection). Then the
    outcome equation alone gives ``u ~ N(m, v)``, with ``m = c residual / (c^2 + s^2)`` and ``v = s^2 / (c^2 + s^2)``,
    and the density is that of ``N(0, c^2 + s^2)`` at the residual times
    ``Phi((2t - 1) (index + b m) / sqrt(1 + b^2 v))``.

    Args:
        index: Index of the treatment at u = 0 (n,).
        base: Expected outcome without treatment at u = 0 (n,).
        effect: Effect of the treatment (n,).
        b: Coefficient of u in the treatment.
        c: Coefficient of u in the outcome.
        s: Standard deviation of the outcome's noise.
        law: Law of u.
        validate_args: Whether NumPyro checks the parameters; None leaves it to NumPyro.
    """

    support = constraints.real_vector
    pytree_data_fields = ("index", "base", "effect", "b", "c", "s")
    pytree_aux_fields = ("law",)

    def __init__(
        self,
        index: Float[Array, " n"],
        base: Float[Array, " n"],
        effect: Float[Array, " n"],
        b: Float[Array, ""],
        c: Float[Array, ""],
        s: Float[Array, ""],
        law: Law,
        *,
        validate_args: bool | None = None,
    ):
        self.index, self.base, self.effect, self.b, self.c, self.s, self.law = index, base, effect, b, c, s, law
        super().__init__(jnp.shape(index), (2,), validate_args=validate_args)

    def log_prob(self, value: Float[Array, "n 2"]) -> Float[Array, " n"]:
        """Log density of treatment and outcome, with u integrated out."""
        t, residual = value[..., 0], self._residual(value)
        if self.law == "two_point":
            each = [self._given(u, t, residual) for u in (-1.0, 1.0)]
            return jnp.logaddexp(*each) - jnp.log(2.0)
        mean, variance = self._normal_posterior(residual)
        index = (self.index + self.b * mean) / jnp.sqrt(1 + self.b**2 * variance)
        return norm.logpdf(residual, 0.0, jnp.hypot(self.c, self.s)) + norm.logcdf((2 * t - 1) * index)

    def confounder(self, value: Float[Array, "n 2"]) -> Float[Array, " n"]:
        """``E[u | t, y]``."""
        t, residual = value[..., 0], self._residual(value)
        if self.law == "two_point":
            return jnp.tanh(0.5 * (self._given(1.0, t, residual) - self._given(-1.0, t, residual)))
        mean, variance = self._normal_posterior(residual)
        scale = jnp.sqrt(1 + self.b**2 * variance)
        signed = (2 * t - 1) * (self.index + self.b * mean) / scale
        # The treatment truncates this normal law, which shifts its mean by the inverse Mills ratio phi / Phi.
        # Logarithms keep the ratio finite in the tails.
        mills = jnp.exp(norm.logpdf(signed) - norm.logcdf(signed))
        return mean + (2 * t - 1) * self.b * variance / scale * mills

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "*s n 2"]:
        """Treatments and outcomes, with a confounder drawn for each unit."""
        u_key, t_key, y_key = jax.random.split(key, 3)
        shape = sample_shape + self.batch_shape
        coin = self.law == "two_point"
        u = jax.random.rademacher(u_key, shape).astype(float) if coin else jax.random.normal(u_key, shape)
        index = self.index + self.b * u
        t = jax.random.bernoulli(t_key, jax.nn.sigmoid(index) if coin else norm.cdf(index)).astype(u.dtype)
        y = self.base + self.effect * t + self.c * u + self.s * jax.random.normal(y_key, shape)
        return jnp.stack([t, y], axis=-1)

    def _residual(self, value: Array) -> Array:
        return value[..., 1] - self.base - self.effect * value[..., 0]

    def _given(self, u: float, t: Array, residual: Array) -> Array:
        signed = (2 * t - 1) * (self.index + self.b * u)
        return jax.nn.log_sigmoid(signed) + norm.logpdf(residual, self.c * u, self.s)

    def _normal_posterior(self, residual: Array) -> tuple[Array, Array]:
        total = self.c**2 + self.s**2
        return self.c * residual / total, self.s**2 / total
