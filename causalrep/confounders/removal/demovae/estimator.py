"""DemoVAE with scikit-learn's habits: change the demographics of rows, sample rows, audit what is left."""

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.estimator import Transformer
from causalrep.base.summary import Summary
from causalrep.base.validation import as_matrix, check_counts, check_index_alignment, check_range, check_seed
from causalrep.confounders.removal.demographics import Demographics
from causalrep.confounders.removal.demovae import (
    DemoVAEFit,
    DemoVAEModel,
    DemoVAETraining,
    decode,
    demovae,
    encode,
    regions,
    sample,
)
from causalrep.confounders.removal.leakage import leakage
from causalrep.errors import InputError
from causalrep.keys import root
from causalrep.training.trained import refuse_divergence

WEIGHTS = ("reconstruction", "covariance", "mean", "demographics", "guide", "hsic")
# Fewest rows that five folds of probes can be fitted to and scored on.
AUDITED = 20
CAVEAT = (
    "Latents are linearly uncorrelated with demographics on the rows of the fit. Independence is not enforced and "
    "latents are not identified: audit held-out rows with leakage(X, D)."
)


class DemoVAE(Transformer):
    """Data without their linear association with demographics, and data as they would be with others.

    An autoencoder whose decoder is told the demographics, and whose latents are kept uncorrelated with them. Compare
    with :class:`~causalrep.confounders.LinearResidualizer`, which removes linear association too and needs no training.

    The loss weighs the error of reconstruction, in the units of ``X``, against moments of the latents; the default
    weights are for correlations, whose spread is a few tenths. Rescale other data to that.

    Args:
        latents: L.
        hidden: Width of the hidden layers.
        categorical: Names or positions of the categorical demographics; by default those that hold text, booleans or
            at most two different values.
        rank: Of the low-rank decoder for connectivity, whose columns are the strict upper triangle of a matrix; 0
            decodes directly.
        conditional_encoder: Give the demographics to the encoder too (not in the paper). Then ``latents`` and
            ``transform`` need them.
        prior_variance: Of the latents; 0.1 in the paper's notebooks, 1 in its package.
        reconstruction: Weight of the root mean squared error of reconstruction.
        covariance: Weight of the term for the latents' covariance.
        mean: Weight of the term for the latents' mean.
        demographics: Weight of the term for the latents' association with demographics.
        guide: Weight of the term by which linear models read demographics off generated rows.
        hsic: Weight of a term against dependence that is not linear (not in the paper).
        epochs: Passes over the rows.
        batch_size: Rows a step, at least twice ``latents``; ten times is better.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        seed: Of all randomness.

    Attributes:
        demovae_: The :class:`~causalrep.confounders.DemoVAEFit`.
        model_: The :class:`~causalrep.confounders.DemoVAEModel`.
        demographics_: The coding of the demographics.
        n_features_in_: Columns of ``X``.

    Source: Orlichenko et al. (2024), arXiv 2405.07977.

    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> age = rng.uniform(8, 22, 200)
    >>> x = np.outer(age - 15, [0.05, -0.05, 0.0]) + 0.2 * rng.normal(size=(200, 3))
    >>> d = pd.DataFrame({"age": age, "sex": rng.choice(["f", "m"], 200)})
    >>> model = DemoVAE(latents=2, hidden=16, epochs=300, learning_rate=1e-2).fit(x, d)
    >>> older = model.transform(x, d.assign(age=age + 4)) - model.transform(x, d)
    >>> (older.mean(axis=0)[:2] > 0).tolist()
    [True, False]
    """

    def __init__(
        self,
        *,
        latents: int = 60,
        hidden: int = 1000,
        categorical: tuple[str | int, ...] | None = None,
        rank: int = 0,
        conditional_encoder: bool = False,
        prior_variance: float = 1.0,
        reconstruction: float = 100.0,
        covariance: float = 1.0,
        mean: float = 1.0,
        demographics: float = 10.0,
        guide: float = 0.001,
        hsic: float = 0.0,
        epochs: int = 3000,
        batch_size: int = 1000,
        learning_rate: float = 1e-4,
        weight_decay: float = 0.0,
        seed: int = 0,
    ):
        self.latents = latents
        self.hidden = hidden
        self.categorical = categorical
        self.rank = rank
        self.conditional_encoder = conditional_encoder
        self.prior_variance = prior_variance
        self.reconstruction = reconstruction
        self.covariance = covariance
        self.mean = mean
        self.demographics = demographics
        self.guide = guide
        self.hsic = hsic
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.seed = seed

    def fit(self, X: Any, D: Any) -> Self:
        """Fit the networks.

        Args:
            X: Data (n, E).
            D: Demographics (n, variables), a DataFrame or a matrix.

        Raises:
            InputError: If an argument or hyperparameter is wrong; the message names it.
            DivergenceError: If training met a loss that is not finite.
        """
        check_index_alignment(X=X, D=D)
        x, self.feature_names_ = as_matrix("X", X)
        self._check(x)
        code = Demographics.of(D, self.categorical)
        d = code.encode(D, rows=len(x))
        weights = {name: float(getattr(self, name)) for name in WEIGHTS}
        model = DemoVAEModel(
            code.layout,
            self.latents,
            self.hidden,
            float(self.prior_variance),
            self.rank,
            conditional_encoder=self.conditional_encoder,
            **weights,
        )
        training = DemoVAETraining(self.epochs, self.batch_size, float(self.learning_rate), float(self.weight_decay))
        with jax.enable_x64(False):
            program = _program(model, training)
            found = jax.device_get(program(root(self.seed), _single(x), _single(d)))
        refuse_divergence(found, self)
        self.demographics_, self.model_, self.demovae_ = code, model, found
        self.n_features_in_, self.n_obs_ = x.shape[1], len(x)
        self._average = d.mean(axis=0)
        return self

    def _check(self, x: np.ndarray) -> None:
        check_counts(latents=self.latents, hidden=self.hidden, epochs=self.epochs, batch_size=self.batch_size)
        check_seed(self.seed)
        check_range("prior_variance", self.prior_variance, above=0)
        check_range("learning_rate", self.learning_rate, above=0)
        for name in (*WEIGHTS, "weight_decay"):
            check_range(name, getattr(self, name), at_least=0)
        check_counts(rank=self.rank or None)
        rows = min(self.batch_size, len(x))
        if rows < 2 * self.latents:
            raise InputError(
                "latents",
                found=f"{self.latents} with {rows} rows a batch",
                expected=f"at most {rows // 2}: a batch must show the latents' covariance",
            )
        count = regions(x.shape[1])
        if self.rank and count * (count - 1) // 2 != x.shape[1]:
            raise InputError(
                "X",
                found=f"{x.shape[1]} columns with rank={self.rank}",
                expected="R (R - 1) / 2 of them, the strict upper triangle of a matrix",
            )

    def latents_of(self, X: Any, D: Any = None) -> np.ndarray:
        """Latents (m, L) of rows; ``D`` is needed with a conditional encoder only."""
        x = self._rows(X)
        if self.conditional_encoder and D is None:
            raise InputError("D", found="None", expected="the rows' demographics, for conditional_encoder=True")
        d = self._coded(D, len(x))
        with jax.enable_x64(False):
            return np.asarray(_encode(self.model_, self.demovae_, _single(x), _single(d)), np.float64)

    def transform(self, X: Any, D: Any = None, *, own: Any = None) -> np.ndarray:
        """Rows as they would be with demographics ``D`` (m, E): demographic change, or harmonisation.

        Args:
            X: Data (m, E).
            D: The demographics wanted: a table (m, variables), or one profile for all as a mapping from names to
                values; by default the average over the rows of the fit, so that groups are made alike.
            own: The rows' own demographics, which only a conditional encoder needs.
        """
        check_index_alignment(X=X, D=D, own=own)
        z = self.latents_of(X, own)
        return self._decoded(z, self._coded(D, len(z)))

    def fit_transform(self, X: Any, D: Any) -> np.ndarray:
        """``fit(X, D).transform(X)``: all rows with average demographics."""
        self.fit(X, D)
        return self.transform(X, own=D if self.conditional_encoder else None)

    def sample(self, D: Any = None, *, rows: int | None = None, seed: int = 0) -> np.ndarray:
        """Synthetic rows with the demographics asked for.

        Args:
            D: A table (m, variables), or one profile for all as a mapping from names to values; by default the average
                over the rows of the fit.
            rows: How many; by default one for a profile, one for each row of a table; needed without ``D``.
            seed: Of the latents' draws.
        """
        check_counts(rows=rows)
        if D is None and rows is None:
            raise InputError("rows", found="None, and no D", expected="how many to draw")
        count = rows if rows is not None else 1 if isinstance(D, Mapping) else len(D)
        d = self._coded(D, count)
        with jax.enable_x64(False):
            key = root(seed)
            return np.asarray(_sample(key, self.model_, self.demovae_, _single(d), self.n_features_in_), np.float64)

    def leakage(self, X: Any, D: Any, *, seed: int = 0) -> pd.DataFrame:
        """What the latents of rows tell of their demographics, by linear and by non-linear probes.

        Give rows that were not fitted: on those of the fit decorrelation is partly overfitted.

        Returns:
            A row a variable: held-out R^2 or accuracy of either probe, that of chance, and the largest absolute
            correlation with a latent.
        """
        check_index_alignment(X=X, D=D)
        z = self.latents_of(X, D if self.conditional_encoder else None)
        d = self._coded(D, len(z))
        if len(z) < AUDITED:
            raise InputError("X", found=f"{len(z)} rows", expected=f"at least {AUDITED} to fit probes to and to score")
        with jax.enable_x64(False):
            found = _leakage(root(seed), _single(z), _single(d), self.demographics_.layout)
        table = pd.DataFrame({name: np.asarray(part, float) for name, part in found._asdict().items()})
        table.index = pd.Index(self.demographics_.names, name="variable")
        table.insert(0, "score", ["accuracy" if v.levels else "R2" for v in self.demographics_.variables])
        return table

    def summary(self) -> Summary:
        """The last values of the loss's terms, and what is guaranteed."""
        history = self.demovae_.history
        terms = {name: float(values[-1]) for name, values in history.items() if name != "loss"}
        table = pd.DataFrame({"value": terms, "weight": {name: getattr(self, name) for name in terms}})
        facts = [
            ("Rows", str(self.n_obs_)),
            ("Columns", str(self.n_features_in_)),
            ("Latents", str(self.latents)),
            ("Demographics", ", ".join(self.demographics_.names)),
        ]
        return Summary("DemoVAE: terms of the loss at the last update", facts, table, [CAVEAT])

    def _rows(self, X: Any) -> np.ndarray:
        expected = self.n_features_in_
        x, _ = as_matrix("X", X)
        if x.shape[1] != expected:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{expected}, as in fit")
        return x

    def _coded(self, D: Any, rows: int) -> np.ndarray:
        if D is None:
            return np.broadcast_to(self._average, (rows, len(self._average)))
        return self.demographics_.encode(D, rows=rows)

    def _decoded(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        with jax.enable_x64(False):
            rows = _decode(self.model_, self.demovae_, _single(z), _single(d), self.n_features_in_)
            return np.asarray(rows, np.float64)


def _single(values: np.ndarray) -> jax.Array:
    return jnp.asarray(values, jnp.float32)


@lru_cache(maxsize=64)
def _program(model: DemoVAEModel, training: DemoVAETraining):
    return jax.jit(partial(demovae, model=model, training=training))


_encode = jax.jit(encode, static_argnums=0)
_leakage = jax.jit(leakage, static_argnums=3)


@partial(jax.jit, static_argnums=(0, 4))
def _decode(model: DemoVAEModel, found: DemoVAEFit, z: jax.Array, d: jax.Array, columns: int) -> jax.Array:
    return decode(model, found, z, d, columns=columns)


@partial(jax.jit, static_argnums=(1, 4))
def _sample(key: jax.Array, model: DemoVAEModel, found: DemoVAEFit, d: jax.Array, columns: int) -> jax.Array:
    return sample(key, model, found, d, columns=columns)
