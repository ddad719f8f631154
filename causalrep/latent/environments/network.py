"""The façades of the methods that train a network: rows in, latents out."""

from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.estimator import Estimator
from causalrep.base.validation import as_matrix, check_range
from causalrep.errors import DivergenceError, InputError
from causalrep.keys import root
from causalrep.latent.environments.door import as_environments, as_labelled, as_rows, check_one_per_latent
from causalrep.latent.environments.rows import Schedule, coded_rows, fit_best, split
from causalrep.latent.ica import fast_ica
from causalrep.latent.interventions import contrastive
from causalrep.latent.segments import tcl, vae
from causalrep.training import Objective

DEFAULT = Schedule()
PATIENT = Schedule(steps=10_000, learning_rate=5e-3)  # a decoder's noise falls slowly


class Network(Estimator):
    """What they share: standardised rows, one training loop, the best of a few starts."""

    def _train(self, x: np.ndarray, codes: np.ndarray, objective: Objective, scaling: np.ndarray | None = None) -> None:
        """Fit to ``(x - mean) @ scaling``, of rows or windows of rows; by default columns of standard deviation 1."""
        rows = x.reshape(-1, x.shape[-1])
        self.n_features_in_, self.mean_, scale = rows.shape[1], rows.mean(axis=0), rows.std(axis=0)
        if not (scale > 0).all():
            raise InputError("X", found=f"a constant column {int(np.argmin(scale))}", expected="none")
        self.scaling_ = np.diag(1.0 / scale) if scaling is None else scaling
        order_key, fit_key = jax.random.split(root(self.seed))
        coded = coded_rows((x - self.mean_) @ self.scaling_, codes, int(codes.max()) + 1)
        found = fit_best(objective, self.schedule, fit_key, *split(order_key, coded))
        if not np.isfinite(found.final_loss):
            raise DivergenceError("Training diverged: look for outliers in X, or lower the learning rate.", step=0)
        self.params_, self.validation_loss_ = found.params, float(found.final_loss)

    def _standardized(self, X: Any) -> jax.Array:
        mean, scaling = self.mean_, self.scaling_
        return jnp.asarray((as_rows(X, self.n_features_in_) - mean) @ scaling, jnp.float32)

    def _check(self, latents: int) -> None:
        check_range("latents", latents, at_least=1)
        for name in ("steps", "batch_size", "restarts"):
            check_range(f"schedule.{name}", getattr(self.schedule, name), at_least=1)
        check_range("schedule.learning_rate", self.schedule.learning_rate, above=0)


class BetaVAE(Network):
    """A variational autoencoder with a weighted divergence (Higgins et al. 2017): the baseline that identifies nothing.

    Rows alone leave the latents free up to any map that keeps a standard normal distribution, whatever beta is.

    Args:
        latents: Dimension of the code.
        beta: Weight of the divergence from the standard normal prior; 1 for a plain VAE.
        hidden: Widths of both perceptrons.
        schedule: Of the training.
        seed: Of all randomness.

    Attributes:
        params_: Of the network.
        validation_loss_: Minus the bound of the held-out rows, with the weighted divergence, in nats.
        n_features_in_: Number of observed variables.

    >>> BetaVAE(5, beta=2.0)
    BetaVAE(beta=2.0, latents=5)
    """

    def __init__(
        self,
        latents: int,
        *,
        beta: float = 4.0,
        hidden: tuple[int, ...] = (64, 64),
        schedule: Schedule = DEFAULT,
        seed: int = 0,
    ):
        self.latents = latents
        self.beta = beta
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on rows (n, p); ``y`` is there for pipelines, and not used."""
        self._check(self.latents)
        check_range("beta", self.beta, above=0)
        x, _ = as_matrix("X", X)
        self.model_ = vae.VAE(self.latents, x.shape[1], hidden=tuple(self.hidden))
        self._train(x, np.zeros(len(x), np.int32), vae.elbo_objective(self.model_, float(self.beta)))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Posterior means of rows (n, latents)."""
        x = self._standardized(X)
        return np.asarray(vae.posterior_mean(self.model_, self.params_, x, jnp.zeros(len(x), jnp.int32)))


class IVAE(Network):
    """A variational autoencoder whose prior depends on the segment (iVAE, Khemakhem et al. 2020).

    Identified up to order and a function of each latent if the mixing is injective, and the latents are independent and
    Gaussian in each segment, with means and variances that differ enough over at least ``2 latents + 1`` of them; one
    segment identifies nothing. That holds at the maximum of the likelihood; a fit of the bound comes near it at best.
    Rows are whitened (ours): directions of x with less variance than the decoder's noise are lost otherwise.

    Args:
        latents: Dimension of the code.
        hidden: Widths of both perceptrons.
        schedule: Of the training.
        seed: Of all randomness.

    Attributes:
        params_: Of the network.
        segments_: Labels seen in ``fit``.
        validation_loss_: Minus the bound of the held-out whitened rows, in nats.
        n_features_in_: Number of observed variables.

    >>> IVAE(5)
    IVAE(latents=5)
    """

    def __init__(
        self, latents: int, *, hidden: tuple[int, ...] = (64, 64), schedule: Schedule = PATIENT, seed: int = 0
    ):
        self.latents = latents
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, segment: Any) -> Self:
        """Train on rows (n, p) with the label of each row's segment (n,)."""
        self._check(self.latents)
        x, codes = as_labelled("segment", X, segment)
        self.segments_ = _levels(segment)
        self.model_ = vae.VAE(self.latents, x.shape[1], tuple(self.hidden), len(self.segments_))
        self._train(x, codes, vae.elbo_objective(self.model_), _whitening(x))
        return self

    def transform(self, X: Any, segment: Any) -> np.ndarray:
        """Posterior means of rows (n, latents), given the labels of their segments, all of them seen in ``fit``."""
        x = self._standardized(X)
        return np.asarray(vae.posterior_mean(self.model_, self.params_, x, self._codes(segment, len(x))))

    def _codes(self, segment: Any, rows: int) -> jax.Array:
        given = np.asarray(segment).reshape(-1).tolist()
        if len(given) != rows:
            raise InputError("segment", found=f"{len(given)} labels", expected=str(rows))
        place = {label: code for code, label in enumerate(self.segments_)}
        unknown = sorted({str(label) for label in given if label not in place})
        if unknown:
            raise InputError("segment", found=f"unknown {unknown[:5]}", expected="segments seen in fit")
        return jnp.asarray([place[label] for label in given], jnp.int32)


class TCL(Network):
    """Time-contrastive learning: a classifier of segments, then linear ICA of its features (Hyvarinen, Morioka 2016).

    Identified is the magnitude ``|z_i|`` of each latent, up to order, scale and a constant, if the mixing is
    invertible and latents are independent and Laplace in each segment, where their scales alone differ, over more
    segments than latents. Signs are not identified, and one segment identifies nothing.

    Args:
        latents: Number of features.
        hidden: Widths of the perceptron.
        schedule: Of the training.
        seed: Of all randomness.

    Attributes:
        params_: Of the network.
        unmixing_: Of the linear ICA (latents, latents).
        validation_loss_: Cross-entropy of the held-out rows, in nats; ``log(segments)`` if nothing was learned.
        n_features_in_: Number of observed variables.

    >>> TCL(5)
    TCL(latents=5)
    """

    def __init__(
        self, latents: int, *, hidden: tuple[int, ...] = (64, 64), schedule: Schedule = DEFAULT, seed: int = 0
    ):
        self.latents = latents
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, segment: Any) -> Self:
        """Train on rows (n, p) with the label of each row's segment (n,)."""
        self._check(self.latents)
        x, codes = as_labelled("segment", X, segment)
        self.model_ = tcl.SegmentClassifier(self.latents, int(codes.max()) + 1, tuple(self.hidden))
        self._train(x, codes, tcl.tcl_objective(self.model_))
        learned = tcl.segment_features(self.model_, self.params_, self._standardized(x))
        self.unmixing_ = np.asarray(fast_ica(root(self.seed), learned, self.latents).unmixing)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Estimated magnitudes of the latents of rows, in units and with an origin of their own (n, latents)."""
        unmixing = self.unmixing_
        return np.asarray(tcl.segment_features(self.model_, self.params_, self._standardized(X))) @ unmixing.T


class ContrastiveCRL(Network):
    """Latents from telling observational from interventional rows (Buchholz et al. 2023).

    Identified up to scale, with the graph, if the mixing is injective, the latents are linear and Gaussian, and each is
    intervened on, hard, in one environment. The number of an environment names its latent: no targets are needed, but
    the environments are, and shuffled labels leave chance.

    Args:
        latents: How many, also the number of interventional environments.
        hidden: Widths of the encoder; ``()`` where the mixing is linear.
        penalties: Of mean, weights and cycles.
        schedule: Of the training.
        seed: Of all randomness.

    Attributes:
        params_: Of the network.
        effects_: Learned effects (latents, latents), entry (i, j) of latent i on j, in units of the codes.
        environments_: Labels, the observational one first; latent i belongs to the i-th after it.
        validation_loss_: Cross-entropy of the held-out rows plus penalties, in nats; log 2 if nothing was learned.
        n_features_in_: Number of observed variables.

    >>> ContrastiveCRL(5, hidden=())
    ContrastiveCRL(hidden=(), latents=5)
    """

    def __init__(
        self,
        latents: int,
        *,
        hidden: tuple[int, ...] = (128, 128),
        penalties: contrastive.Penalties = contrastive.RELEASED,
        schedule: Schedule = DEFAULT,
        seed: int = 0,
    ):
        self.latents = latents
        self.hidden = hidden
        self.penalties = penalties
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, environment: Any, *, observational: Any) -> Self:
        """Train.

        Args:
            X: Observations (n, p).
            environment: Label of each row's environment (n,).
            observational: The label without intervention.

        Raises:
            InputError: If an argument is wrong, or there is not one interventional environment a latent.
        """
        self._check(self.latents)
        x, codes, self.environments_ = as_environments(X, environment, observational)
        check_one_per_latent(self.latents, self.environments_)
        self.model_ = contrastive.ContrastiveModel(self.latents, tuple(self.hidden))
        self._train(x, codes, contrastive.contrastive_objective(self.model_, self.penalties))
        self.effects_ = np.asarray(contrastive.learned_effects(self.model_, self.params_)).T
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Latents of rows (n, latents), in the order of the environments."""
        x = self._standardized(X)
        return np.asarray(contrastive.encode(self.model_, self.params_, x))


def _whitening(x: np.ndarray) -> np.ndarray:
    """The symmetric map to a covariance of one: of all such maps the one that moves columns least."""
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True).reshape(x.shape[1], -1))
    if values[0] <= 1e-10 * values[-1]:
        raise InputError("X", found="linearly dependent columns", expected="none")
    return (vectors / np.sqrt(values)) @ vectors.T


def _levels(labels: Any) -> list:
    """Labels in the order of their codes."""
    return list(dict.fromkeys(np.asarray(labels).reshape(-1).tolist()))
