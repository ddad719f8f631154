"""Intact-VAE: a variational autoencoder whose code is a prognostic score, with covariates in the prior.

    p(z|x) = N(h(x), k(x)^2),   p(y|z,t) = N(f_t(z), g_t(z)^2),   q(z|x,t,y) = N(r_t(x,y), s_t(x,y)^2)
    maximize  E_q[log p(y|z,t)] - beta KL(q(z|x,t,y) | p(z|x))

A prognostic score is a function of the covariates through which alone the outcome depends on them; z has its dimension.
The prior is *balanced*: it is the same in both arms, so that ``mu_t(x) = E_{p(z|x)} f_t(z)`` compares like with like.
With ``balanced=False`` it depends on the treatment, ``p(z|x,t)``.

**Assumptions.** Wu and Fukumizu (2021), arXiv 2101.06662, proposed it for unobserved confounding. A note by the authors
on that preprint calls its theory flawed and points to "beta-Intact-VAE: Identifying and Estimating Causal Effects under
Limited Overlap" (ICLR 2022), which identifies effects if the *observed* covariates contain a prognostic score, that is,
if nothing is hidden. If a confounder is hidden, the method adjusts for the part of it that the covariates show and for
no more. Widths and training are this library's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
from jaxtyping import Array, Float, Key, PyTree

from causalrep.base.domains import Domain, Real, Whole, Widths
from causalrep.base.summary import Summary
from causalrep.confounders.outcomes import PotentialOutcomes, averages_without_errors, own_arm
from causalrep.confounders.rows import divide
from causalrep.effects import EffectEstimator
from causalrep.effects.design import EffectDesign
from causalrep.effects.scores import Average
from causalrep.errors import NoIntervalError
from causalrep.keys import derive, root
from causalrep.nn import trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Schedule, check_schedule, scaling_of
from causalrep.training.trained import Trained, refuse_divergence, trained

Batch = Mapping[str, jax.Array]
SCHEDULE = Schedule(epochs=200, batch_size=128, learning_rate=1e-3, weight_decay=1e-4, validation_share=0.2)
# Smallest standard deviation of any normal, in standardized units: densities stay bounded.
SCALE_FLOOR = 0.05
NO_INTERVAL = "Intact-VAE has no interval: regularization and early stopping leave a bias of unknown size."


@dataclass(frozen=True)
class IntactVAEModel:
    """The assumed laws, and the sizes of the networks.

    Attributes:
        score: Dimension of the prognostic score.
        hidden: Widths of the hidden layers of all networks.
        beta: Weight of the divergence from the prior.
        balanced: Whether the prior is the same in both arms.
    """

    score: int = 1
    hidden: tuple[int, ...] = (64, 64)
    beta: float = 1.0
    balanced: bool = True


class Networks(nn.Module):
    """Prior, decoder and encoder of an :class:`IntactVAEModel`.

    Attributes:
        model: The assumed laws.
    """

    model: IntactVAEModel

    def setup(self) -> None:
        """One network per arm, except for a balanced prior."""
        sizes, k = self.model.hidden, self.model.score
        self.prior_nets = [trained_mlp((*sizes, 2 * k), nn.elu) for _ in range(1 if self.model.balanced else 2)]
        self.decoder_nets = [trained_mlp((*sizes, 2), nn.elu) for _ in range(2)]
        self.encoder_nets = [trained_mlp((*sizes, 2 * k), nn.elu) for _ in range(2)]

    def __call__(self, batch: Batch) -> None:
        """Use every network once, so that Flax initializes all of them."""
        x, t, y = batch["x"], batch["t"], batch["y"]
        self.encode(x, t, y), self.prior(x, t), self.outcomes(jnp.zeros((len(x), self.model.score)))

    def prior(self, x: Float[Array, "n d"], t: Float[Array, " n"]) -> dist.Normal:
        """``p(z|x)``, or ``p(z|x,t)`` if it is not balanced (n, k)."""
        each = [net(x) for net in self.prior_nets]
        return _normal(each[0] if self.model.balanced else own_arm(t, *each))

    def encode(self, x: Float[Array, "n d"], t: Float[Array, " n"], y: Float[Array, " n"]) -> dist.Normal:
        """``q(z|x,t,y)`` (n, k)."""
        return _normal(own_arm(t, *(net(jnp.column_stack([x, y])) for net in self.encoder_nets)))

    def outcomes(self, z: Float[Array, "n k"]) -> tuple[dist.Normal, dist.Normal]:
        """``p(y|z,t)`` for t = 0, 1, each (n, 1)."""
        return tuple(_normal(net(z)) for net in self.decoder_nets)


@lru_cache
def intact_vae_objective(model: IntactVAEModel) -> Objective:
    """The negative bound, in nats per row; batches hold ``x`` (n, d), ``t`` and ``y`` (n,)."""
    networks = Networks(model)

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return networks.init(key, batch)

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        def terms(module: Networks) -> tuple[Array, Array]:
            x, t, y = batch["x"], batch["t"], batch["y"]
            q = module.encode(x, t, y)
            z = q.rsample(key)
            log_likelihood = own_arm(t, *(law.log_prob(y[:, None]) for law in module.outcomes(z)))[:, 0]
            return log_likelihood, jnp.sum(dist.kl_divergence(q, module.prior(x, t)), axis=1)

        log_likelihood, kl = (jnp.mean(term) for term in networks.apply(params, method=terms))
        return model.beta * kl - log_likelihood, {"log_likelihood": log_likelihood, "kl": kl}

    return Objective(init, loss)


def intact_vae(
    key: Key[Array, ""],
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    *,
    model: IntactVAEModel,
    schedule: Schedule = SCHEDULE,
) -> Trained:
    """Fit Intact-VAE; the rows held out select the parameters by the objective.

    Args:
        key: Random key.
        x: Covariates.
        t: Treatment, 0 or 1.
        y: Outcome.
        model: The assumed laws.
        schedule: Training schedule, in epochs.
    """
    chex.assert_rank([x, t, y], [2, 1, 1])
    chex.assert_equal_shape_prefix([x, t, y], 1)
    schedule = check_schedule(schedule, SCHEDULE)
    split_key, fit_key = jax.random.split(key)
    x, t, y = (jnp.asarray(values, jnp.float32) for values in (x, t, y))
    scaling = {"x": scaling_of(x), "y": scaling_of(y)}
    data = {"x": scaling["x"].apply(x), "t": t, "y": scaling["y"].apply(y)}
    plan, rows, held_out = divide(split_key, data, len(y), schedule)
    result = fit(
        intact_vae_objective(model),
        adam(schedule.learning_rate, weight_decay=schedule.weight_decay),
        rows,
        fit_key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation=held_out,
        eval_every=plan.eval_every,
    )
    return trained(result, scaling)


def intact_vae_outcomes(
    key: Key[Array, ""],
    model: IntactVAEModel,
    fitted: Trained,
    x: Float[Array, "n d"],
    *,
    t: Float[Array, " n"] | None = None,
    y: Float[Array, " n"] | None = None,
    draws: int = 100,
) -> PotentialOutcomes:
    """Expected potential outcomes: by the prior given x alone, by the posterior given x, t and y.

    Args:
        key: Random key.
        model: The assumed laws; given x alone the prior must be balanced.
        fitted: A fit by :func:`intact_vae`.
        x: Covariates.
        t: Treatment, to use the posterior.
        y: Outcome, to use the posterior.
        draws: Number of draws of z over which outcomes are averaged.
    """
    networks = Networks(model)
    x = fitted.scaling["x"].apply(jnp.asarray(x, jnp.float32))

    def one(draw_key: jax.Array) -> Array:
        def decoded(module: Networks) -> Array:
            # A balanced prior ignores the treatment.
            known = y is not None
            law = module.encode(x, t, fitted.scaling["y"].apply(y)) if known else module.prior(x, jnp.zeros(len(x)))
            return jnp.column_stack([outcome.loc for outcome in module.outcomes(law.sample(draw_key))])

        return networks.apply(fitted.params, method=decoded)

    mean = jnp.mean(jax.lax.map(one, jax.random.split(key, draws)), axis=0)
    return PotentialOutcomes(*fitted.scaling["y"].undo(mean).T)


def _normal(raw: Array) -> dist.Normal:
    loc, scale = jnp.split(raw, 2, axis=-1)
    return dist.Normal(loc, SCALE_FLOOR + nn.softplus(scale))


class IntactVAE(EffectEstimator):
    """Effects adjusted for a prognostic score that is inferred from the covariates.

    **Assumptions.** Effects are identified if the covariates contain a prognostic score, that is, if no confounder is
    hidden; the authors themselves call the theory of their first preprint, which claimed more, flawed. If a confounder
    is hidden, the method adjusts for the part of it that the covariates show and for no more: compare with an estimator
    that adjusts for ``X`` directly.

    Args:
        score: Dimension of the prognostic score.
        hidden: Widths of the hidden layers.
        beta: Weight of the divergence from the prior.
        schedule: Training schedule, in epochs.
        draws: Draws of the score per unit.
        seed: Random seed.

    Attributes:
        intact_vae_: The fitted networks (:class:`~causalrep.training.trained.Trained`).

    There is no interval: regularization and early stopping leave a bias of unknown size.

    Source: Wu and Fukumizu (2021), arXiv 2101.06662, as corrected in "beta-Intact-VAE" (ICLR 2022).

    >>> import jax
    >>> from causalrep.data import hidden_confounder
    >>> s = hidden_confounder(jax.random.key(0), n=1500, strength=0.0)  # nothing is hidden
    >>> model = IntactVAE(schedule=Schedule(epochs=60, learning_rate=3e-3)).fit(s.y, s.t, X=s.x)
    >>> bool(1.5 < model.ate() < 2.5)  # the true effect is 2
    True
    """

    _precision = "float32"
    _title = "Intact-VAE: effect adjusted for an inferred prognostic score"
    _rows_per_arm = 10
    _domains: ClassVar[dict[str, Domain]] = {
        "score": Whole(),
        "hidden": Widths(),
        "beta": Real(above=0),
        "schedule": InSchedule(SCHEDULE),
        "draws": Whole(),
        "seed": Whole(None),
    }

    def __init__(
        self,
        *,
        score: int = 1,
        hidden: tuple[int, ...] = (64, 64),
        beta: float = 1.0,
        schedule: Schedule = SCHEDULE,
        draws: int = 100,
        seed: int = 0,
    ):
        self.score = score
        self.hidden = hidden
        self.beta = beta
        self.schedule = schedule
        self.draws = draws
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any) -> Self:
        """Fit the model and estimate the effect.

        Args:
            Y: Outcome (n,).
            T: Treatment (n,), 0 or 1.
            X: Covariates (n, d).

        Raises:
            InputError: If an argument is wrong.
            DivergenceError: If training met a loss that is not finite.
        """
        self._check_domains()
        return super().fit(Y, T, X=X)

    def _estimate(self, design: EffectDesign) -> None:
        self._model = IntactVAEModel(self.score, tuple(self.hidden), float(self.beta))
        schedule = check_schedule(self.schedule, SCHEDULE)
        data = (values.astype(np.float32) for values in (design.x, design.t, design.y))
        with self._computing():
            self.intact_vae_ = jax.device_get(_program(root(self.seed), *data, model=self._model, schedule=schedule))
        refuse_divergence(self.intact_vae_, self)
        self.ate_, self.att_ = averages_without_errors(self._effect(design.x), design.t)

    def effect(self, X: Any = None) -> np.ndarray:
        """Expected effect at each row of ``X`` (m,), given the covariates alone; at the rows of ``fit`` by default."""
        return self._effect(self.design_.rows_of(X))

    def _effect(self, x: np.ndarray) -> np.ndarray:
        with self._computing():
            key = derive(root(self.seed), "outcomes")
            outcomes = _outcomes(key, self._model, self.intact_vae_, x.astype(np.float32), draws=self.draws)
            return np.asarray(outcomes.effect, np.float64)

    def _interval(self, average: Average, alpha: float) -> tuple[float, float]:
        raise NoIntervalError(NO_INTERVAL)

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects, the facts of the fit and its assumptions; no intervals."""
        table = pd.DataFrame({"estimate": {"ATE": self.ate(), "ATT": self.att()}})
        facts = [
            *self._summary_facts(),
            ("Score", f"{self.score} dimensions"),
            ("Held-out objective", f"{float(self.intact_vae_.loss):.4g} nats per row"),
        ]
        notes = [
            "NOT identified if a confounder is hidden: the estimate rests on a prognostic score of the covariates "
            "given. Compare with an estimator that adjusts for X directly.",
            NO_INTERVAL,
        ]
        return Summary(self._title, facts, table, notes)


_program = jax.jit(intact_vae, static_argnames=("model", "schedule"))
_outcomes = jax.jit(intact_vae_outcomes, static_argnums=1, static_argnames="draws")
