"""VLUCI's generative model and its two amortized posteriors, as NumPyro programs over Flax networks.

U moves the treatment and the outcome, as the covariates x do, and is independent of x::

    p(u)       = N(0, I_k), or uniform on {-1, +1}^k
    p(t|x,u)   = Bern(g(a(x) + b(x)' u))              g: the inverse logit or probit
    p(y|x,t,u) = N(m_t(x) + c_t(x)' u, s_t^2)         or Bern(sigmoid(.)) for a binary outcome

with posteriors ``q1(u|x,t)`` and ``q2(u|x,t,y)``. This is our specification: the networks of the
paper are not public.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, PyTree
from numpyro import handlers

from causalrep.base.validation import check_choice, check_counts
from causalrep.confounders.closed_forms import affine_posterior
from causalrep.confounders.outcomes import own_arm
from causalrep.confounders.vluci.laws import Family, Finite, Gaussian, Posterior, as_posterior, levels, outputs, support
from causalrep.errors import InputError
from causalrep.nn import trained_mlp

Batch = Mapping[str, jax.Array]
Form = Literal["affine", "free"]
Link = Literal["logit", "probit"]
Outcome = Literal["gaussian", "bernoulli"]
# Smallest scale of the standardized outcome: without a floor the likelihood could grow without bound.
SCALE_FLOOR = 0.05
# Initial coefficient of U in the outcome. The sign of U is not identified, and must be the same in both arms.
START = 0.5


@dataclass(frozen=True)
class LatentModel:
    """The assumed law of the unobserved confounder U. Every field but ``hidden`` decides what is identified.

    Attributes:
        latent: Prior of U, ``"gaussian"`` or ``"two_point"``.
        dim: k, the dimension of U.
        form: ``"affine"``: treatment and outcome are affine in u, with coefficients that depend on x. ``"free"``:
            networks of (x, u), which identify less.
        link: Link of the treatment.
        outcome: ``"gaussian"``, or ``"bernoulli"`` for outcomes 0 and 1.
        posterior: ``"network"``: both posteriors are amortized. ``"exact"``: Bayes' rule, where it has a closed form:
            for both posteriors of a two-point U, and for ``q2``, given ``q1``, of a scalar Gaussian U with an affine
            Gaussian outcome.
        hidden: Hidden widths of all networks.
    """

    latent: Family = "gaussian"
    dim: int = 1
    form: Form = "affine"
    link: Link = "logit"
    outcome: Outcome = "gaussian"
    posterior: Literal["network", "exact"] = "network"
    hidden: tuple[int, ...] = (64, 64)

    def __post_init__(self) -> None:
        check_choice("latent", self.latent, ("gaussian", "two_point"))
        check_choice("form", self.form, ("affine", "free"))
        check_choice("link", self.link, ("logit", "probit"))
        check_choice("outcome", self.outcome, ("gaussian", "bernoulli"))
        check_choice("posterior", self.posterior, ("network", "exact"))
        check_counts(dim=self.dim)
        if self.latent == "two_point" and self.dim > 8:
            raise InputError("dim", found=self.dim, expected="at most 8 for a two-point latent: sums run over 2^dim")
        closed = self.latent == "two_point" or (self.dim, self.form, self.outcome) == (1, "affine", "gaussian")
        if self.posterior == "exact" and not closed:
            raise InputError(
                "posterior",
                found=f"'exact' with a Gaussian latent, dim={self.dim}, form={self.form!r}, outcome={self.outcome!r}",
                expected="a two-point latent, or a scalar Gaussian one with an affine Gaussian outcome",
            )


class OutcomeLaw(NamedTuple):
    """The outcome given u in both arms: locations (n, 2), log odds if it is binary, and scales (2,)."""

    location: Float[Array, "n 2"]
    scale: Float[Array, " 2"]


class Networks(nn.Module):
    """The networks of a :class:`LatentModel`.

    Attributes:
        model: The assumed law of U.
    """

    model: LatentModel

    def setup(self) -> None:
        """Coefficients of u start as constants, and the posteriors at the prior."""
        model = self.model
        if model.form == "affine":
            self.treatment_net, *self.outcome_nets = Affine(model), Affine(model, START), Affine(model, START)
        else:
            self.treatment_net, *self.outcome_nets = (trained_mlp((*model.hidden, 1), nn.elu) for _ in range(3))
        self.log_scale = self.param("log_scale", nn.initializers.constant(-0.5), (2,), jnp.float32)
        self.q1_net, self.q2_net = PosteriorNet(model), PosteriorNet(model)

    def __call__(self, batch: Batch) -> None:
        """Use every network once, so that Flax initializes all of them."""
        u = jnp.zeros((batch["x"].shape[0], self.model.dim), batch["x"].dtype)
        self.treatment_logit(batch["x"], u), self.outcome_law(batch["x"], u)
        self.q1_net(jnp.column_stack([batch["x"], batch["t"]]))
        self.q2_net(jnp.column_stack([batch["x"], batch["t"], batch["y"]]))

    def treatment_logit(self, x: Float[Array, "n d"], u: Float[Array, "n k"]) -> Float[Array, " n"]:
        """``a(x) + b(x)' u``."""
        return _evaluate(self.treatment_net, x, u)

    def outcome_law(self, x: Float[Array, "n d"], u: Float[Array, "n k"]) -> OutcomeLaw:
        """``m_t(x) + c_t(x)' u`` and ``s_t`` for t = 0, 1."""
        location = jnp.column_stack([_evaluate(net, x, u) for net in self.outcome_nets])
        return OutcomeLaw(location, self.scales())

    def scales(self) -> Float[Array, " 2"]:
        """``s_t`` for t = 0, 1."""
        return SCALE_FLOOR + jnp.exp(self.log_scale)

    def outcome_slopes(self, x: Float[Array, "n d"]) -> tuple[Float[Array, "n 2 k"], Float[Array, " 2"]]:
        """``c_t(x)`` and ``s_t`` for t = 0, 1, of the affine form."""
        return jnp.stack([net(x)[1] for net in self.outcome_nets], axis=1), self.scales()

    def q1(self, batch: Batch) -> Posterior:
        """``q1(u|x,t)``."""
        x, t = batch["x"], batch["t"]
        if self.model.posterior == "exact" and self.model.latent == "two_point":
            logits = self._at_points(x, lambda u: self.treatment_site(x, u).log_prob(t))
            return Finite(logits)
        return as_posterior(self.model.latent, self.q1_net(jnp.column_stack([x, t])))

    def q2(self, batch: Batch) -> Posterior:
        """``q2(u|x,t,y)``."""
        x, t, y = batch["x"], batch["t"], batch["y"]
        if self.model.posterior == "network":
            return as_posterior(self.model.latent, self.q2_net(jnp.column_stack([x, t, y])))
        # q2 is proportional to q1(u) p(y|x,t,u): a finite sum, or the conjugate update of a normal q1.
        first = self.q1(batch)
        if isinstance(first, Finite):
            return Finite(first.log_probs + self._at_points(x, lambda u: self.outcome_site(x, t, u).log_prob(y)))
        arms = [net(x) for net in self.outcome_nets]
        m, c = (own_arm(t, *both) for both in zip(*arms, strict=True))
        scale = own_arm(t, *self.scales())
        mean, covariance = affine_posterior(first.loc, first.variance(), y - m, c, scale)
        return Gaussian(mean, jnp.log(jnp.diagonal(covariance, axis1=1, axis2=2)))

    def program(self, batch: Batch, latent: Posterior, observed: tuple[str, ...], kl_weight: float = 1.0) -> None:
        """The NumPyro model: ``u`` from ``latent``, then the observed ones of treatment ``"t"`` and outcome ``"y"``.

        Args:
            batch: ``x``, ``t`` and ``y``, standardized.
            latent: The distribution of u: the prior, or q1 for ``L_Y``.
            observed: Names of the observed sites.
            kl_weight: Weight of the divergence of u's posterior from ``latent``.
        """
        x, t, y = batch["x"], batch["t"], batch["y"]
        with numpyro.plate("rows", x.shape[0]):
            u = levels(self.model.latent, self.model.dim, _latent_site(latent, kl_weight))
            if "t" in observed:
                numpyro.sample("t", self.treatment_site(x, u), obs=t)
            if "y" in observed:
                numpyro.sample("y", self.outcome_site(x, t, u), obs=y)

    def treatment_site(self, x: Float[Array, "n d"], u: Float[Array, "n k"]) -> dist.Distribution:
        """``p(t|x,u)``."""
        index = self.treatment_logit(x, u)
        if self.model.link == "logit":
            return dist.Bernoulli(logits=index)
        # Log odds of a normal probability, log Phi(a) - log Phi(-a), accurate in both tails.
        return dist.Bernoulli(logits=jax.scipy.stats.norm.logcdf(index) - jax.scipy.stats.norm.logcdf(-index))

    def outcome_site(self, x: Float[Array, "n d"], t: Float[Array, " n"], u: Float[Array, "n k"]) -> dist.Distribution:
        """``p(y|x,t,u)``."""
        law = self.outcome_law(x, u)
        location = own_arm(t, *law.location.T)
        if self.model.outcome == "bernoulli":
            return dist.Bernoulli(logits=location)
        return dist.Normal(location, own_arm(t, *law.scale))

    def _at_points(self, x: Array, log_prob) -> Float[Array, "n s"]:
        points = support(self.model.dim)
        return jnp.column_stack([log_prob(jnp.broadcast_to(point, (x.shape[0], len(point)))) for point in points])


class Affine(nn.Module):
    """Intercept (n,) and coefficients (n, k) of u as functions of x.

    Attributes:
        model: The assumed law of U.
        start: Initial coefficients, the same for all x.
    """

    model: LatentModel
    start: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> tuple[Float[Array, " n"], Float[Array, "n k"]]:
        """Intercepts and coefficients."""
        features = trained_mlp(self.model.hidden, nn.elu, activate_final=True)(x)
        constant = nn.initializers.constant(self.start)
        # Flax names this layer Dense_0, and with_treatment_slopes sets it by that name.
        slopes = nn.Dense(self.model.dim, kernel_init=nn.initializers.zeros, bias_init=constant)(features)
        return nn.Dense(1)(features)[:, 0], slopes


class PosteriorNet(nn.Module):
    """Parameters of a posterior as a function of the observed values; before training it equals the prior.

    Attributes:
        model: The assumed law of U.
    """

    model: LatentModel

    @nn.compact
    def __call__(self, seen: Float[Array, "n d"]) -> Float[Array, "n o"]:
        """Parameters, in the form that :func:`~causalrep.confounders.vluci.laws.as_posterior` takes."""
        features = trained_mlp(self.model.hidden, nn.elu, activate_final=True)(seen)
        return nn.Dense(outputs(self.model.latent, self.model.dim), kernel_init=nn.initializers.zeros)(features)


def guide(latent: Posterior, kl_weight: float = 1.0) -> None:
    """The NumPyro guide: ``u`` from a posterior."""
    with numpyro.plate("rows", latent.mean().shape[0]):
        _latent_site(latent, kl_weight)


def apply(model: LatentModel, params: PyTree, method: str, *args):
    """A method of the model's :class:`Networks` at some parameters."""
    return Networks(model).apply(params, *args, method=method)


def with_treatment_slopes(params: PyTree, slopes: Float[Array, " k"]) -> PyTree:
    """Initial parameters of the affine form whose treatment has the coefficients ``slopes`` of u for every x."""
    networks = params["params"]
    net = networks["treatment_net"]
    head = {"kernel": jnp.zeros_like(net["Dense_0"]["kernel"]), "bias": slopes.astype(net["Dense_0"]["bias"].dtype)}
    return {"params": {**networks, "treatment_net": {**net, "Dense_0": head}}}


def _latent_site(latent: Posterior, kl_weight: float):
    with handlers.scale(scale=kl_weight):
        return numpyro.sample("u", latent.site())


def _evaluate(net: nn.Module, x: Array, u: Array) -> Array:
    if isinstance(net, Affine):
        intercept, slopes = net(x)
        return intercept + jnp.sum(slopes * u, axis=-1)
    return net(jnp.column_stack([x, u]))[:, 0]
