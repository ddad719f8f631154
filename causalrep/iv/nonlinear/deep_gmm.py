"""DeepGMM: adversarial moments, a game between a structural network and a critic of the instruments."""

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Domain, Real, Whole, Widths
from causalrep.iv.nonlinear.base import Fitted, NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData
from causalrep.iv.nonlinear.kernels import median_lengthscale, nystroem, nystroem_features
from causalrep.iv.nonlinear.networks import (
    NO_INTERVAL,
    in_units,
    seeds_fitted,
    standardize,
    train_seeds,
)
from causalrep.nn import MLP, trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.rows import InSchedule, Schedule, check_schedule, plan_epochs, split_rows
from causalrep.training.trained import Trained, trained

SCHEDULE = Schedule(epochs=3000, batch_size=1024, learning_rate=5e-4, validation_share=0.5)
# Nystroem features of the instruments that measure the violation of the held-out moments.
JUDGES = 50


def leaky_relu(x: Array) -> Array:
    """Leaky ReLU of slope 0.01 below zero, as in the networks of the released code."""
    return nn.leaky_relu(x, 0.01)


@lru_cache
def networks(hidden: tuple[int, ...], critic_hidden: tuple[int, ...]) -> tuple[MLP, MLP]:
    """The structural network g and the critic f."""
    return trained_mlp((*hidden, 1), activation=leaky_relu), trained_mlp((*critic_hidden, 1), activation=leaky_relu)


@lru_cache
def deep_gmm_objective(hidden: tuple[int, ...], critic_hidden: tuple[int, ...]) -> Objective:
    """The game as an objective, for batches of ``y``, ``x``, ``z`` and, for validation, ``psi`` (kernel features of z).

    Its gradients are those of the players: g descends ``mean f(z) (y - g(x))`` and f ascends
    ``mean f(z) (y - g(x)) - mean f(z)^2 (y - g(x))^2 / 4``, in which g is held fixed. The value of a game does not
    measure progress. On batches with ``psi`` the *value* is therefore the squared violation of the moments over a ball
    of the instruments' kernel space (:func:`~causalrep.iv.nonlinear.kernel_mmr.moment_risk`), and the held-out rows
    select the parameters by it. The released code judges by a pool of past critics instead.
    """
    g, f = networks(hidden, critic_hidden)

    def init(key: jax.Array, batch: Mapping[str, jax.Array]) -> dict:
        g_key, f_key = jax.random.split(key)
        return {"structural": g.init(g_key, batch["x"]), "critic": f.init(f_key, batch["z"])}

    def loss(params: dict, key: jax.Array, batch: Mapping[str, jax.Array]) -> tuple[jax.Array, dict]:
        residual = batch["y"] - g.apply(params["structural"], batch["x"])[:, 0]
        weight = f.apply(params["critic"], batch["z"])[:, 0]
        held, fixed = jax.lax.stop_gradient(residual), jax.lax.stop_gradient(weight)
        payoff = jnp.mean(weight * held) - jnp.mean(jnp.square(weight * held)) / 4
        game = jnp.mean(fixed * residual) - payoff
        value = payoff
        if "psi" in batch:
            # The U-statistic of the pairs i != j of r_i k(z_i, z_j) r_j with k = psi psi': all pairs less the diagonal.
            n, psi = held.shape[0], batch["psi"]
            pairs = jnp.sum(jnp.square(held @ psi)) - jnp.sum(jnp.sum(jnp.square(psi), axis=1) * jnp.square(held))
            value = pairs / (n * (n - 1))
        # The value is ``value``, the gradient is that of ``game``.
        return jax.lax.stop_gradient(value - game) + game, {}

    return Objective(init, loss)


@lru_cache
def game_optimizer(learning_rate: float, critic_speed: float) -> optax.GradientTransformation:
    """Optimistic Adam for both players, because plain gradient descent circles around a saddle point."""
    players = {"structural": learning_rate, "critic": critic_speed * learning_rate}
    transforms = {name: optax.optimistic_adam_v2(rate, b1=0.5, b2=0.9) for name, rate in players.items()}
    return optax.multi_transform(transforms, {name: name for name in players})


def deep_gmm(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    hidden: tuple[int, ...] = (20, 3),
    critic_hidden: tuple[int, ...] = (20,),
    critic_speed: float = 5.0,
    schedule: Schedule | None = SCHEDULE,
) -> Trained:
    """Train the game and keep the structural network with the least violation of the held-out moments.

    Args:
        key: Random key of initialization and batches.
        y: Outcome; rows in random order.
        x: Treatments and controls.
        z: Instruments and controls.
        hidden: Hidden widths of g.
        critic_hidden: Hidden widths of f.
        critic_speed: Learning rate of the critic as a multiple of that of g.
        schedule: Training of g; the last rows are held out.

    Source: Bennett, Kallus, Schnabel (2019), "Deep Generalized Method of Moments for Instrumental Variable Analysis",
    NeurIPS (arXiv 1905.12495); widths, rates and optimizer of its released code.
    """
    schedule = check_schedule(schedule, SCHEDULE)
    data, scaling = standardize(y, x, z)
    judges = nystroem(data["z"][:JUDGES], median_lengthscale(data["z"]))
    plan = plan_epochs(
        len(y),
        validation_share=schedule.validation_share,
        epochs=schedule.epochs,
        batch_size=schedule.batch_size,
    )
    train, held_out = split_rows(data, plan.rows)
    held_out["psi"] = nystroem_features(judges, held_out["z"])
    result = fit(
        deep_gmm_objective(hidden, critic_hidden),
        game_optimizer(schedule.learning_rate, critic_speed),
        train,
        key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation=held_out,
        eval_every=plan.eval_every,
    )
    return trained(result, scaling, params=result.params["structural"])


def deep_gmm_predict(
    fit: Trained, x: Float[Array, "n d"], *, hidden: tuple[int, ...] = (20, 3), critic_hidden: tuple[int, ...] = (20,)
) -> Float[Array, " n"]:
    """The structural function at rows of treatments and controls."""
    g, _ = networks(hidden, critic_hidden)
    return in_units(fit, x, lambda params, inputs: g.apply(params, inputs)[:, 0])


class DeepGMM(NonlinearIVEstimator):
    """DeepGMM: a structural network against a critic that looks for violated moments.

    Args:
        hidden: Hidden widths of the structural network.
        critic_hidden: Hidden widths of the critic.
        critic_speed: Learning rate of the critic as a multiple of that of the structural network.
        schedule: Training of the structural network, by default 3,000 epochs in batches of 1,024 rows at a learning
            rate of 5e-4. The validation rows, by default half, select the parameters with the least violation of the
            moments over a ball of the instruments' kernel space.
        seeds: Number of initializations trained together; the answer is the mean of their functions.
        seed: Random seed.

    Attributes:
        fit_: The :class:`~causalrep.training.trained.Trained` of the seeds that stayed finite, stacked.

    There is no interval: the networks' regularization and early stopping leave a bias of unknown size.

    Source: Bennett, Kallus, Schnabel (2019), "Deep Generalized Method of Moments for Instrumental Variable Analysis"
    (arXiv 1905.12495).
    """

    _title = "DeepGMM"
    _no_interval = NO_INTERVAL
    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "hidden": Widths(empty=False),
        "critic_hidden": Widths(empty=False),
        "critic_speed": Real(above=0),
        "schedule": InSchedule(SCHEDULE),
        "seeds": Whole(),
        "seed": Whole(None),
    }

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (20, 3),
        critic_hidden: tuple[int, ...] = (20,),
        critic_speed: float = 5.0,
        schedule: Schedule | None = SCHEDULE,
        seeds: int = 1,
        seed: int = 0,
    ):
        self.hidden = hidden
        self.critic_hidden = critic_hidden
        self.critic_speed = critic_speed
        self.schedule = schedule
        self.seeds = seeds
        self.seed = seed

    def _fit(self, data: NonlinearData) -> Fitted:
        network = {"hidden": tuple(self.hidden), "critic_hidden": tuple(self.critic_hidden)}
        options = {"critic_speed": float(self.critic_speed), "schedule": self.schedule}
        self.fit_ = train_seeds(self, deep_gmm, data, **options, **network)
        return seeds_fitted(deep_gmm_predict, self.fit_, **network)

    def predict_each(self, inputs: np.ndarray) -> np.ndarray:
        """The structural function of every seed (seeds, n), at rows of treatments, then controls."""
        with self._computing():
            return self._structural.each(inputs)
