"""CEVAE: a variational autoencoder whose code is the hidden confounder, observed through proxies.

    p(z) = N(0, I),  p(x|z),  p(t|z) = Bern(.),  p(y|t,z) = N(mu_t(z), 1) or Bern(.)
    q(z|x,t,y),  and q(t|x), q(y|x,t) to predict for units of which only x is known

Louizos, Shalit, Mooij, Sontag, Socher and Welling (2017), "Causal Effect Inference with Deep Latent-Variable Models",
NeurIPS; layers and training as in the authors' code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from jaxtyping import Array, Float, Key, PyTree
from numpyro.infer import TraceMeanField_ELBO

from causalrep.base.domains import Choice, Domain, Either, Optional, Several, Whole
from causalrep.base.summary import Summary
from causalrep.confounders.outcomes import (
    PotentialOutcomes,
    averages_without_errors,
    check_binary_outcome,
    own_arm,
)
from causalrep.confounders.rows import divide
from causalrep.effects import EffectEstimator
from causalrep.effects.design import EffectDesign
from causalrep.effects.scores import Average
from causalrep.errors import InputError, NoIntervalError
from causalrep.keys import derive, root
from causalrep.nn import trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Scaling, Schedule, check_schedule, no_scaling, scaling_of
from causalrep.training.trained import Trained, refuse_divergence, trained

Batch = Mapping[str, jax.Array]
# The authors' 100 epochs consist of ten passes each.
SCHEDULE = Schedule(epochs=100, batch_size=100, learning_rate=1e-3, weight_decay=1e-4, validation_share=0.3)
# Units of the hidden layer of q(t|x), as in the authors' code.
TREATMENT_GUIDE = 20
NO_INTERVAL = "CEVAE has no interval: regularization and early stopping leave a bias of unknown size."


@dataclass(frozen=True)
class CEVAEModel:
    """The assumed laws, and the sizes of the networks.

    Attributes:
        binary: Columns of x that are 0 or 1; the others are normal given z.
        latents: Dimension of z.
        width: Width of all hidden layers.
        outcome: ``"gaussian"``, with unit variance on the standardized outcome, or ``"bernoulli"``.
    """

    binary: tuple[int, ...] = ()
    latents: int = 20
    width: int = 200
    outcome: Literal["gaussian", "bernoulli"] = "gaussian"


class Networks(nn.Module):
    """The networks of a :class:`CEVAEModel`, and the NumPyro programs over them.

    Attributes:
        model: The assumed laws.
        columns: d, the number of columns of x.
    """

    model: CEVAEModel
    columns: int

    def setup(self) -> None:
        """Layers as in the authors' code, with separate ones for each arm."""
        h, z = self.model.width, self.model.latents
        self.others = tuple(j for j in range(self.columns) if j not in self.model.binary)
        self.x_trunk = trained_mlp((h, h), nn.elu, activate_final=True)
        self.x_nets = {
            kind: trained_mlp((h, width), nn.elu)
            for kind, width in (("binary", len(self.model.binary)), ("normal", 2 * len(self.others)))
            if width
        }
        self.t_net = trained_mlp((h, 1), nn.elu)
        self.y_nets = [trained_mlp((h, h, h, 1), nn.elu) for _ in range(2)]
        self.q_t_net = trained_mlp((TREATMENT_GUIDE, 1), nn.elu)
        self.q_y_trunk = trained_mlp((h, h), nn.elu, activate_final=True)
        self.q_y_nets = [trained_mlp((h, 1), nn.elu) for _ in range(2)]
        self.q_z_trunk = trained_mlp((h, h), nn.elu, activate_final=True)
        self.q_z_nets = [trained_mlp((h, 2 * z), nn.elu) for _ in range(2)]

    def __call__(self, batch: Batch) -> None:
        """Use every network once, so that Flax initializes all of them."""
        z = jnp.zeros((batch["x"].shape[0], self.model.latents), batch["x"].dtype)
        self.encode(batch["x"], batch["t"], batch["y"]), self.guessed_t(batch["x"]), self.guessed_y(batch["x"])
        self.proxies(z), self.t_net(z), self.outcomes(z)

    def encode(self, x: Float[Array, "n d"], t: Float[Array, " n"], y: Float[Array, " n"]) -> dist.Distribution:
        """``q(z|x,t,y)``."""
        features = self.q_z_trunk(jnp.column_stack([x, y]))
        loc, raw = jnp.split(own_arm(t, *(net(features) for net in self.q_z_nets)), 2, axis=-1)
        return dist.Normal(loc, nn.softplus(raw)).to_event(1)

    def guessed_t(self, x: Float[Array, "n d"]) -> dist.Distribution:
        """``q(t|x)``."""
        return dist.Bernoulli(logits=self.q_t_net(x)[:, 0])

    def guessed_y(self, x: Float[Array, "n d"]) -> Float[Array, "n 2"]:
        """The location of ``q(y|x,t)`` for t = 0, 1: a mean, or log odds."""
        features = self.q_y_trunk(x)
        return jnp.column_stack([net(features) for net in self.q_y_nets])

    def outcomes(self, z: Float[Array, "n k"]) -> Float[Array, "n 2"]:
        """The location of ``p(y|t,z)`` for t = 0, 1: a mean, or log odds."""
        return jnp.column_stack([net(z) for net in self.y_nets])

    def proxies(self, z: Float[Array, "n k"]) -> dict[str, tuple[dist.Distribution, tuple[int, ...]]]:
        """``p(x|z)`` of the binary and of the normal columns, each with the positions of its columns."""
        features, laws = self.x_trunk(z), {}
        if "binary" in self.x_nets:
            law = dist.Bernoulli(logits=self.x_nets["binary"](features))
            laws["x_binary"] = law.to_event(1), self.model.binary
        if "normal" in self.x_nets:
            loc, raw = jnp.split(self.x_nets["normal"](features), 2, axis=-1)
            # A proxy that z reproduces exactly would have a scale of zero and an unbounded density.
            laws["x_normal"] = dist.Normal(loc, 1e-3 + nn.softplus(raw)).to_event(1), self.others
        return laws

    def outcome_site(self, location: Float[Array, " n"]) -> dist.Distribution:
        """The law of the outcome at a location."""
        return dist.Bernoulli(logits=location) if self.model.outcome == "bernoulli" else dist.Normal(location, 1.0)

    def program(self, batch: Batch) -> None:
        """The NumPyro model."""
        x, t, y = batch["x"], batch["t"], batch["y"]
        n = x.shape[0]
        with numpyro.plate("rows", n):
            z = numpyro.sample("z", dist.Normal(jnp.zeros((n, self.model.latents)), 1.0).to_event(1))
            for name, (law, columns) in self.proxies(z).items():
                numpyro.sample(name, law, obs=x[:, jnp.array(columns)])
            numpyro.sample("t", dist.Bernoulli(logits=self.t_net(z)[:, 0]), obs=t)
            both = self.outcomes(z)
            numpyro.sample("y", self.outcome_site(own_arm(t, both[:, 0], both[:, 1])), obs=y)

    def guide(self, batch: Batch) -> None:
        """The NumPyro guide."""
        with numpyro.plate("rows", batch["x"].shape[0]):
            numpyro.sample("z", self.encode(batch["x"], batch["t"], batch["y"]))

    def guesses(self, batch: Batch) -> Float[Array, " n"]:
        """``log q(t|x) + log q(y|x,t)``, networks that the evidence bound does not train."""
        x, t, y = batch["x"], batch["t"], batch["y"]
        both = self.guessed_y(x)
        return self.guessed_t(x).log_prob(t) + self.outcome_site(own_arm(t, both[:, 0], both[:, 1])).log_prob(y)


@lru_cache
def cevae_objective(model: CEVAEModel, columns: int) -> Objective:
    """The negative of evidence lower bound plus ``log q(t|x) + log q(y|x,t)``, in nats per row.

    Args:
        model: The assumed laws.
        columns: d. Batches hold ``x`` (n, d), ``t`` and ``y`` (n,).
    """
    networks, elbo = Networks(model, columns), TraceMeanField_ELBO()

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return networks.init(key, batch)

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        def program(method: str) -> None:
            networks.apply(params, batch, method=method)

        bound = -elbo.loss(key, {}, lambda: program("program"), lambda: program("guide")) / batch["x"].shape[0]
        guesses = jnp.mean(networks.apply(params, batch, method="guesses"))
        return -(bound + guesses), {"bound": bound}

    return Objective(init, loss)


def cevae(
    key: Key[Array, ""],
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    *,
    model: CEVAEModel,
    schedule: Schedule = SCHEDULE,
) -> Trained:
    """Fit CEVAE; the rows held out select the parameters by the objective.

    Args:
        key: Random key.
        x: Proxies of the hidden confounder; columns of ``model.binary`` hold 0 and 1.
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
    binary, moments = jnp.isin(jnp.arange(x.shape[1]), jnp.array(model.binary, int)), scaling_of(x)
    scaling = {
        "x": Scaling(jnp.where(binary, 0.0, moments.mean), jnp.where(binary, 1.0, moments.std)),
        "y": no_scaling(y) if model.outcome == "bernoulli" else scaling_of(y),
    }
    data = {"x": scaling["x"].apply(x), "t": t, "y": scaling["y"].apply(y)}
    plan, rows, held_out = divide(split_key, data, len(y), schedule)
    result = fit(
        cevae_objective(model, x.shape[1]),
        adam(schedule.learning_rate, weight_decay=schedule.weight_decay),
        rows,
        fit_key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation=held_out,
        eval_every=plan.eval_every,
    )
    return trained(result, scaling)


def cevae_outcomes(
    key: Key[Array, ""], model: CEVAEModel, fitted: Trained, x: Float[Array, "n d"], draws: int = 100
) -> PotentialOutcomes:
    """Expected potential outcomes given x alone: draw t and y from q(t|x) and q(y|x,t), then z from q(z|x,t,y).

    Args:
        key: Random key.
        model: The assumed laws.
        fitted: A fit by :func:`cevae`.
        x: Proxies.
        draws: Number of draws of z over which the outcome networks' means are averaged.
    """
    networks = Networks(model, x.shape[1])
    x = fitted.scaling["x"].apply(jnp.asarray(x, jnp.float32))

    def one(draw_key: jax.Array) -> Array:
        t_key, y_key, z_key = jax.random.split(draw_key, 3)

        def sampled(module: Networks) -> Array:
            t = module.guessed_t(x).sample(t_key).astype(x.dtype)
            both = module.guessed_y(x)
            y = module.outcome_site(own_arm(t, both[:, 0], both[:, 1])).sample(y_key).astype(x.dtype)
            location = module.outcomes(module.encode(x, t, y).sample(z_key))
            return jax.nn.sigmoid(location) if model.outcome == "bernoulli" else location

        return networks.apply(fitted.params, method=sampled)

    # One draw at a time: memory for one pass through the networks, not for all draws.
    mean = jnp.mean(jax.lax.map(one, jax.random.split(key, draws)), axis=0)
    return PotentialOutcomes(*fitted.scaling["y"].undo(mean).T)


class CEVAE(EffectEstimator):
    """Effects adjusted for a hidden confounder of which the covariates are proxies.

    **Assumptions.** Every column of ``X`` must be a noisy view of the confounder, independent of the others given it.
    Even then the effect is identified only if the joint law of proxies, treatment and outcome determines that of the
    confounder, which networks this flexible do not ensure: in simulations CEVAE often agrees with adjusting for ``X``
    directly (docs/methods/unobserved-confounders.md). Compare with it.

    Args:
        binary: Columns of ``X`` that are 0 or 1, by position; default those that hold nothing else.
        outcome: ``"gaussian"``, or ``"bernoulli"`` for outcomes 0 and 1.
        latents: Dimension of the confounder.
        width: Width of all hidden layers.
        schedule: Training schedule, in epochs.
        draws: Draws of the confounder per unit.
        seed: Random seed.

    Attributes:
        cevae_: The fitted networks (:class:`~causalrep.training.trained.Trained`).

    There is no interval: regularization and early stopping leave a bias of unknown size.

    Source: Louizos, Shalit, Mooij, Sontag, Socher and Welling (2017), NeurIPS.

    >>> import jax
    >>> from causalrep.data import noisy_copies
    >>> s = noisy_copies(jax.random.key(0), n=2000, proxies=5)
    >>> model = CEVAE(latents=3, width=32, schedule=Schedule(epochs=30), draws=20).fit(s.y, s.t, X=s.x)
    >>> naive = s.y[s.t == 1].mean() - s.y[s.t == 0].mean()
    >>> bool(model.ate() < naive)  # the true effect is 1
    True
    """

    _precision = "float32"
    _title = "CEVAE: effect adjusted for a confounder observed through proxies"
    _rows_per_arm = 10
    _domains: ClassVar[dict[str, Domain]] = {
        "binary": Optional(Either(Whole(0), Several(Whole(0)))),
        "outcome": Choice("gaussian", "bernoulli"),
        "latents": Whole(),
        "width": Whole(),
        "schedule": InSchedule(SCHEDULE),
        "draws": Whole(),
        "seed": Whole(None),
    }

    def __init__(
        self,
        *,
        binary: tuple[int, ...] | None = None,
        outcome: Literal["gaussian", "bernoulli"] = "gaussian",
        latents: int = 20,
        width: int = 200,
        schedule: Schedule = SCHEDULE,
        draws: int = 100,
        seed: int = 0,
    ):
        self.binary = binary
        self.outcome = outcome
        self.latents = latents
        self.width = width
        self.schedule = schedule
        self.draws = draws
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any) -> Self:
        """Fit the model and estimate the effect.

        Args:
            Y: Outcome (n,).
            T: Treatment (n,), 0 or 1.
            X: Proxies of the hidden confounder (n, d).

        Raises:
            InputError: If an argument is wrong.
            DivergenceError: If training met a loss that is not finite.
        """
        self._check_domains()
        return super().fit(Y, T, X=X)

    def _estimate(self, design: EffectDesign) -> None:
        check_binary_outcome(design.y, self.outcome)
        self._model = CEVAEModel(self._binary(design.x), self.latents, self.width, self.outcome)
        schedule = check_schedule(self.schedule, SCHEDULE)
        data = (values.astype(np.float32) for values in (design.x, design.t, design.y))
        with self._computing():
            self.cevae_ = jax.device_get(_program(root(self.seed), *data, model=self._model, schedule=schedule))
        refuse_divergence(self.cevae_, self)
        self.ate_, self.att_ = averages_without_errors(self._effect(design.x), design.t)

    def _binary(self, x: np.ndarray) -> tuple[int, ...]:
        only = tuple(int(j) for j in np.flatnonzero(((x == 0) | (x == 1)).all(axis=0)))
        if self.binary is None:
            return only
        chosen = self.binary if isinstance(self.binary, tuple | list) else (self.binary,)
        wrong = [j for j in chosen if j not in only]
        if wrong:
            raise InputError("binary", found=f"columns {wrong}", expected=f"columns of 0 and 1 alone: {list(only)}")
        return tuple(chosen)

    def effect(self, X: Any = None) -> np.ndarray:
        """Expected effect at each row of ``X`` (m,), given the proxies alone; at the rows of ``fit`` by default."""
        return self._effect(self.design_.rows_of(X))

    def _effect(self, x: np.ndarray) -> np.ndarray:
        with self._computing():
            key = derive(root(self.seed), "outcomes")
            outcomes = _outcomes(key, self._model, self.cevae_, x.astype(np.float32), self.draws)
            return np.asarray(outcomes.effect, np.float64)

    def _interval(self, average: Average, alpha: float) -> tuple[float, float]:
        raise NoIntervalError(NO_INTERVAL)

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects, the facts of the fit and its assumptions; no intervals."""
        table = pd.DataFrame({"estimate": {"ATE": self.ate(), "ATT": self.att()}})
        facts = [
            *self._summary_facts(),
            ("Binary proxies", f"{len(self._model.binary)} of {self.design_.x.shape[1]}"),
            ("Held-out objective", f"{float(self.cevae_.loss):.4g} nats per row"),
        ]
        notes = [
            "NOT identified without proxies that determine the hidden confounder's law; nothing here tests that they "
            "do. Compare with an estimator that adjusts for X directly.",
            NO_INTERVAL,
        ]
        return Summary(self._title, facts, table, notes)


_program = jax.jit(cevae, static_argnames=("model", "schedule"))
_outcomes = jax.jit(cevae_outcomes, static_argnums=(1, 4))
