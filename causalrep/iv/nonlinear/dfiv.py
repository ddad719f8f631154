"""DFIV: learned features for both stages, the stages themselves in closed form."""

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Domain, Real, Whole, Widths
from causalrep.iv.nonlinear.base import Fitted, NonlinearIVEstimator
from causalrep.iv.nonlinear.door import NonlinearData
from causalrep.iv.nonlinear.networks import (
    NO_INTERVAL,
    in_units,
    seeds_fitted,
    standardize,
    train_seeds,
)
from causalrep.linalg import spd_solve
from causalrep.nn import MLP, trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import InSchedule, Schedule, check_schedule
from causalrep.training.trained import Trained, trained

Batch = Mapping[str, jax.Array]
# Steps of the treatment's network.
SCHEDULE = Schedule(steps=100, learning_rate=1e-3)


class FeatureWidths(NamedTuple):
    """Layer widths of the three networks; the last width of each is its number of features."""

    treatment: tuple[int, ...] = (16, 16)
    instrument: tuple[int, ...] = (64, 32)
    covariate: tuple[int, ...] = (64, 16)


@lru_cache
def feature_networks(widths: FeatureWidths) -> tuple[MLP, MLP, MLP]:
    """The networks phi(t), psi(z, x) and xi(x)."""
    treatment, instrument, covariate = (trained_mlp(width, activate_final=True) for width in widths)
    return treatment, instrument, covariate


def with_constant(features: Float[Array, "n d"]) -> Float[Array, "n e"]:
    """A column of ones appended."""
    return jnp.column_stack([features, jnp.ones(len(features), features.dtype)])


def instrument_features(
    first: Float[Array, "n d"], second: Float[Array, "m d"]
) -> tuple[Float[Array, "n e"], Float[Array, "m e"]]:
    """Features of both halves on the scale of the first half, with a constant.

    With unit variance a fixed ridge penalty has the same effect at every scale of the network. The networks of the
    released code end in batch normalization for the same reason.
    """
    mean, std = jnp.mean(first, axis=0), jnp.sqrt(jnp.var(first, axis=0) + 1e-5)
    return with_constant((first - mean) / std), with_constant((second - mean) / std)


def ridge_solution(
    features: Float[Array, "n d"], targets: Float[Array, "n *p"], penalty: float
) -> Float[Array, "d *p"]:
    """Ridge regression with the penalty per row: ``(F^T F / n + penalty I)^-1 F^T targets / n``."""
    n, d = features.shape
    gram = features.T @ features / n + penalty * jnp.eye(d, dtype=features.dtype)
    return spd_solve(gram, features.T @ targets / n)


def ridge_loss(
    features: Float[Array, "n d"], targets: Float[Array, "n *p"], coef: Float[Array, "d *p"], penalty: float
) -> Float[Array, ""]:
    """The objective of :func:`ridge_solution`, per row."""
    squares = jnp.sum(jnp.square(targets - features @ coef)) / len(features)
    return squares + penalty * jnp.sum(jnp.square(coef))


def structural_features(phi: Float[Array, "n d"], xi: Float[Array, "n e"] | None) -> Float[Array, "n f"]:
    """Features of the second stage: all products of (phi, 1) and (xi, 1)."""
    phi = with_constant(phi)
    if xi is None:
        return phi
    return jnp.einsum("ni,nj->nij", phi, with_constant(xi)).reshape(len(phi), -1)


@lru_cache
def dfiv_objective(widths: FeatureWidths, treatments: int, first_penalty: float, second_penalty: float) -> Objective:
    """Both stages' losses as one objective, for batches of two half samples: ``x1``, ``z1``, ``x2``, ``z2``, ``y2``.

    The instruments' network receives the gradient of the first stage's ridge loss; the networks of the treatment and
    the covariates receive that of the second stage's loss, through the closed forms. The value is the second stage's
    loss.
    """
    phi, psi, xi = feature_networks(widths)

    def init(key: jax.Array, batch: Batch) -> dict:
        keys = jax.random.split(key, 3)
        t, x = batch["x1"][:, :treatments], batch["x1"][:, treatments:]
        params = {"treatment": phi.init(keys[0], t), "instrument": psi.init(keys[1], batch["z1"])}
        return params | ({"covariate": xi.init(keys[2], x)} if x.shape[1] else {})

    def loss(params: dict, key: jax.Array, batch: Batch) -> tuple[jax.Array, dict]:
        t1, x2 = batch["x1"][:, :treatments], batch["x2"][:, treatments:]
        phi1 = phi.apply(params["treatment"], t1)
        psi1, psi2 = instrument_features(*(psi.apply(params["instrument"], batch[name]) for name in ("z1", "z2")))
        fixed = jax.lax.stop_gradient
        # By the envelope theorem the inner solution may be held fixed in the gradient of its own minimum.
        first = fixed(ridge_solution(psi1, phi1, first_penalty))
        first_loss = ridge_loss(psi1, fixed(phi1), first, first_penalty)

        embedded = fixed(psi2) @ ridge_solution(fixed(psi1), phi1, first_penalty)
        covariates = xi.apply(params["covariate"], x2) if x2.shape[1] else None
        features = structural_features(embedded, covariates)
        second = fixed(ridge_solution(features, batch["y2"], second_penalty))
        second_loss = ridge_loss(features, batch["y2"], second, second_penalty)
        # The first loss adds its gradient, not its value.
        return second_loss + first_loss - fixed(first_loss), {"first_loss": first_loss}

    return Objective(init, loss)


def every(steps: int, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimizer that moves only at every ``steps``-th update and ignores the gradients in between."""

    def init(params):
        return jnp.zeros((), jnp.int32), optimizer.init(params)

    def update(updates, state, params=None):
        count, inner = state
        moves = (count + 1) % steps == 0
        proposed, after = optimizer.update(updates, inner, params)
        gated = jax.tree.map(lambda update: jnp.where(moves, update, jnp.zeros_like(update)), proposed)
        return gated, (count + 1, jax.tree.map(lambda new, old: jnp.where(moves, new, old), after, inner))

    return optax.GradientTransformation(init, update)


@lru_cache
def two_speed_optimizer(learning_rate: float, inner_steps: int, controls: bool) -> optax.GradientTransformation:
    """Adam for all networks; the treatment's network moves once in ``inner_steps`` updates of the others."""
    transforms = {"treatment": every(inner_steps, adam(learning_rate)), "instrument": adam(learning_rate)}
    if controls:
        # The released configuration decays these weights beside a loss summed over rows in units of the outcome.
        # Relative to our loss, a mean over rows of standardized outcomes, that decay is negligible.
        transforms["covariate"] = adam(learning_rate)
    return optax.multi_transform(transforms, {name: name for name in transforms})


def dfiv(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    treatments: int = 1,
    widths: FeatureWidths = FeatureWidths(),  # noqa: B008  (immutable)
    first_penalty: float = 0.1,
    second_penalty: float = 0.1,
    inner_steps: int = 20,
    schedule: Schedule | None = SCHEDULE,
) -> Trained:
    """Learn the features on two halves of the rows, then solve both stages in closed form.

    Args:
        key: Random key of initialization.
        y: Outcome; rows in random order. With an odd number the last row is not used.
        x: Treatments, then controls.
        z: Instruments, then controls.
        treatments: Number p of columns of ``x`` that are treatments.
        widths: Layer widths of the three networks.
        first_penalty: Ridge penalty lambda_1 of the first stage, per row.
        second_penalty: Ridge penalty lambda_2 of the second stage, per row.
        inner_steps: Updates of the other networks for each update of the treatment's network.
        schedule: Training; ``steps`` counts the updates of the treatment's network.

    Returns:
        A fit whose ``params`` hold the networks and ``coef``, the second stage's coefficients.

    Source: Xu, Chen, Srinivasan, de Freitas, Doucet, Gretton (2021), "Learning Deep Features in Instrumental Variable
    Regression", ICLR (arXiv 2010.07154), algorithm 1. Differences: the instruments' features are standardized instead
    of batch-normalized, the covariates' features are neither, and no weights decay. Each update evaluates both
    gradients, though the treatment's network uses one in ``inner_steps``.
    """
    schedule = check_schedule(schedule, SCHEDULE)
    data, scaling = standardize(y, x, z)
    half = len(y) // 2
    batch = {
        "x1": data["x"][:half],
        "z1": data["z"][:half],
        "x2": data["x"][half : 2 * half],
        "z2": data["z"][half : 2 * half],
        "y2": data["y"][half : 2 * half],
    }
    objective = dfiv_objective(widths, treatments, first_penalty, second_penalty)
    optimizer = two_speed_optimizer(schedule.learning_rate, inner_steps, x.shape[1] > treatments)
    result = fit(objective, optimizer, batch, key, steps=schedule.steps * inner_steps)

    phi, psi, xi = feature_networks(widths)
    params = result.params
    psi1, psi2 = instrument_features(*(psi.apply(params["instrument"], batch[name]) for name in ("z1", "z2")))
    phi1 = phi.apply(params["treatment"], batch["x1"][:, :treatments])
    controls = batch["x2"][:, treatments:]
    covariates = xi.apply(params["covariate"], controls) if controls.shape[1] else None
    features = structural_features(psi2 @ ridge_solution(psi1, phi1, first_penalty), covariates)
    coef = ridge_solution(features, batch["y2"], second_penalty)
    return trained(result, scaling, params={**params, "coef": coef})


def dfiv_predict(
    fit: Trained,
    x: Float[Array, "n d"],
    *,
    treatments: int = 1,
    widths: FeatureWidths = FeatureWidths(),  # noqa: B008
) -> Float[Array, " n"]:
    """The structural function at rows of treatments and controls."""
    phi, _, xi = feature_networks(widths)

    def function(params: dict, inputs: Float[Array, "n d"]) -> Float[Array, " n"]:
        controls = inputs[:, treatments:]
        covariates = xi.apply(params["covariate"], controls) if controls.shape[1] else None
        features = structural_features(phi.apply(params["treatment"], inputs[:, :treatments]), covariates)
        return features @ params["coef"]

    return in_units(fit, x, function)


class DFIV(NonlinearIVEstimator):
    """DFIV: two-stage least squares on features that networks learn for both stages.

    Args:
        treatment: Layer widths of the treatment's network; the last one is its number of features.
        instrument: Layer widths of the network of instruments and controls.
        covariate: Layer widths of the network of controls, if there are any.
        first_penalty: Ridge penalty of the first stage, per row, on standardized data.
        second_penalty: Ridge penalty of the second stage.
        inner_steps: Updates of the other networks for each update of the treatment's network.
        schedule: Training, by default 100 steps at a learning rate of 1e-3. Steps count the updates of the
            treatment's network.
        seeds: Number of initializations trained together; the answer is the mean of their functions.
        seed: Random seed.

    Attributes:
        fit_: The :class:`~causalrep.training.trained.Trained` of the seeds that stayed finite, stacked.

    There is no interval: the networks' regularization and early stopping leave a bias of unknown size.

    Source: Xu, Chen, Srinivasan, de Freitas, Doucet, Gretton (2021), "Learning Deep Features in Instrumental Variable
    Regression" (arXiv 2010.07154).
    """

    _title = "Deep feature instrumental variable regression"
    _no_interval = NO_INTERVAL
    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "treatment": Widths(empty=False),
        "instrument": Widths(empty=False),
        "covariate": Widths(empty=False),
        "first_penalty": Real(above=0),
        "second_penalty": Real(above=0),
        "inner_steps": Whole(),
        "schedule": InSchedule(SCHEDULE),
        "seeds": Whole(),
        "seed": Whole(None),
    }

    def __init__(
        self,
        *,
        treatment: tuple[int, ...] = FeatureWidths().treatment,
        instrument: tuple[int, ...] = FeatureWidths().instrument,
        covariate: tuple[int, ...] = FeatureWidths().covariate,
        first_penalty: float = 0.1,
        second_penalty: float = 0.1,
        inner_steps: int = 20,
        schedule: Schedule | None = SCHEDULE,
        seeds: int = 1,
        seed: int = 0,
    ):
        self.treatment = treatment
        self.instrument = instrument
        self.covariate = covariate
        self.first_penalty = first_penalty
        self.second_penalty = second_penalty
        self.inner_steps = inner_steps
        self.schedule = schedule
        self.seeds = seeds
        self.seed = seed

    def _fit(self, data: NonlinearData) -> Fitted:
        widths = FeatureWidths(tuple(self.treatment), tuple(self.instrument), tuple(self.covariate))
        network = {"treatments": data.t.shape[1], "widths": widths}
        options = {
            "first_penalty": float(self.first_penalty),
            "second_penalty": float(self.second_penalty),
            "inner_steps": self.inner_steps,
            "schedule": self.schedule,
        }
        self.fit_ = train_seeds(self, dfiv, data, **options, **network)
        return seeds_fitted(dfiv_predict, self.fit_, **network)

    def predict_each(self, inputs: np.ndarray) -> np.ndarray:
        """The structural function of every seed (seeds, n), at rows of treatments, then controls."""
        with self._computing():
            return self._structural.each(inputs)
