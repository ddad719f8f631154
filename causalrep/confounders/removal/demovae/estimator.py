"""The class ``DemoVAE``: change the demographics of rows, sample rows, audit the latents."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.columns import read_columns
from causalrep.base.domains import Domain, Flag, Real, Whole, Widths
from causalrep.base.estimator import Transformer
from causalrep.base.summary import Summary
from causalrep.base.validation import (
    check_counts,
    check_index_alignment,
)
from causalrep.confounders.removal.demographics import CATEGORICAL, Demographics
from causalrep.confounders.removal.demovae.fit import SCHEDULE, decode, demovae, encode, sample
from causalrep.confounders.removal.demovae.model import DemoVAEModel, regions
from causalrep.confounders.removal.leakage import leakage
from causalrep.errors import InputError
from causalrep.keys import root
from causalrep.training.rows import InSchedule, Schedule, check_schedule
from causalrep.training.trained import refuse_divergence

WEIGHTS = ("reconstruction", "covariance", "mean", "demographics", "guide", "hsic")
# Smallest number of rows to which five folds of probes can be fitted and on which they can be scored.
AUDITED = 20
CAVEAT = (
    "Latents are linearly uncorrelated with demographics on the rows of the fit. Independence is not enforced and "
    "latents are not identified: audit held-out rows with leakage(X, D)."
)


class DemoVAE(Transformer):
    """Removes the linear association of data with demographics, and predicts data under other demographics.

    An autoencoder whose decoder is given the demographics, and whose latents are kept uncorrelated with them. Compare
    with :class:`~causalrep.confounders.LinearResidualizer`, which also removes linear association and needs no
    training.

    The loss weighs the error of reconstruction, in the units of ``X``, against moments of the latents; the default
    weights are for correlations, whose spread is a few tenths. Rescale other data to that spread.

    Args:
        latents: L, the number of latents.
        hidden: Widths of the hidden layers of encoder and decoder.
        categorical: Names or positions of the categorical demographics; by default those that hold text, booleans or
            at most two different values.
        rank: Rank of the low-rank decoder for connectivity, whose columns are the strict upper triangle of a matrix; 0
            decodes directly.
        conditional_encoder: Give the demographics to the encoder too (not in the paper). Then ``latents`` and
            ``transform`` need them.
        prior_variance: Variance of the latents; 0.1 in the paper's notebooks, 1 in its package.
        reconstruction: Weight of the root mean squared error of reconstruction.
        covariance: Weight of the term for the latents' covariance.
        mean: Weight of the term for the latents' mean.
        demographics: Weight of the term for the latents' association with demographics.
        guide: Weight of the term by which linear models must read the demographics off generated rows.
        hsic: Weight of a term against non-linear dependence (not in the paper).
        schedule: Training schedule, in epochs. A batch needs at least twice ``latents`` rows; ten times is better.
        seed: Random seed.

    Attributes:
        demovae_: The fitted networks (:class:`~causalrep.training.trained.Trained`); ``extra`` holds the terms of the
            loss.
        model_: The :class:`~causalrep.confounders.DemoVAEModel`.
        demographics_: The coding of the demographics.
        n_features_in_: Number of columns of ``X``.

    Source: Orlichenko et al. (2024), arXiv 2405.07977.

    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> age = rng.uniform(8, 22, 200)
    >>> x = np.outer(age - 15, [0.05, -0.05, 0.0]) + 0.2 * rng.normal(size=(200, 3))
    >>> d = pd.DataFrame({"age": age, "sex": rng.choice(["f", "m"], 200)})
    >>> model = DemoVAE(latents=2, hidden=(16,), schedule=Schedule(epochs=300, learning_rate=1e-2)).fit(x, d)
    >>> older = model.transform(x, d.assign(age=age + 4)) - model.transform(x, d)
    >>> (older.mean(axis=0)[:2] > 0).tolist()
    [True, False]
    """

    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "latents": Whole(),
        "hidden": Widths(empty=False),
        "categorical": CATEGORICAL,
        "rank": Whole(0),
        "conditional_encoder": Flag(),
        "prior_variance": Real(above=0),
        **dict.fromkeys(WEIGHTS, Real(at_least=0)),
        "schedule": InSchedule(SCHEDULE),
        "seed": Whole(None),
    }

    def __init__(
        self,
        *,
        latents: int = 60,
        hidden: tuple[int, ...] = (1000,),
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
        schedule: Schedule = SCHEDULE,
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
        self.schedule = schedule
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
        self._check_domains()
        check_index_alignment(X=X, D=D)
        x, self.columns_ = read_columns("X", X)
        self.feature_names_ = list(self.columns_.names)
        schedule = check_schedule(self.schedule, SCHEDULE)
        self._check(x, min(schedule.batch_size, len(x)))
        code = Demographics.of(D, self.categorical)
        d = code.encode(D, rows=len(x))
        weights: dict[str, Any] = {name: float(getattr(self, name)) for name in WEIGHTS}
        model = DemoVAEModel(
            code.layout,
            self.latents,
            tuple(self.hidden),
            float(self.prior_variance),
            self.rank,
            conditional_encoder=self.conditional_encoder,
            **weights,
        )
        with self._computing():
            fitted = _program(root(self.seed), _single(x), _single(d), model=model, schedule=schedule)
            self.demovae_ = jax.device_get(fitted)
        refuse_divergence(self.demovae_, self)
        self.demographics_, self.model_ = code, model
        self.n_features_in_, self.n_obs_ = x.shape[1], len(x)
        self._average = d.mean(axis=0)
        return self

    def _check(self, x: np.ndarray, rows: int) -> None:
        if rows < 2 * self.latents:
            raise InputError(
                "latents",
                found=f"{self.latents} with {rows} rows per batch",
                expected=f"at most {rows // 2}: a batch must show the latents' covariance",
            )
        count = regions(x.shape[1])
        if self.rank and count * (count - 1) // 2 != x.shape[1]:
            raise InputError(
                "X",
                found=f"{x.shape[1]} columns with rank={self.rank}",
                expected="R (R - 1) / 2 columns, the strict upper triangle of a matrix",
            )

    def latents_of(self, X: Any, D: Any = None) -> np.ndarray:
        """Latents (m, L) of rows; only a conditional encoder needs ``D``."""
        x = self.columns_.match(X)
        if self.conditional_encoder and D is None:
            raise InputError("D", found="None", expected="the rows' demographics, for conditional_encoder=True")
        d = self._coded(D, len(x))
        with self._computing():
            return np.asarray(_encode(self.model_, self.demovae_, _single(x), _single(d)), np.float64)

    def transform(self, X: Any, D: Any = None, *, own: Any = None) -> np.ndarray:
        """Rows as they would be with demographics ``D`` (m, E): demographic change, or harmonization.

        Args:
            X: Data (m, E).
            D: The requested demographics: a table (m, variables), or one profile for all as a mapping from names to
                values; by default the average over the rows of the fit, which makes groups alike.
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
        """Synthetic rows with the requested demographics.

        Args:
            D: A table (m, variables), or one profile for all as a mapping from names to values; by default the average
                over the rows of the fit.
            rows: Number of rows; by default one for a profile, or one for each row of a table; required without ``D``.
            seed: Random seed of the latents.
        """
        check_counts(rows=rows)
        if D is None and rows is None:
            raise InputError("rows", found="None, and no D", expected="the number of rows to draw")
        count = rows if rows is not None else 1 if isinstance(D, Mapping) else len(D)
        d = self._coded(D, count)
        with self._computing():
            key = root(seed)
            rows_drawn = _sample(key, self.model_, self.demovae_, _single(d), columns=self.n_features_in_)
            return np.asarray(rows_drawn, np.float64)

    def leakage(self, X: Any, D: Any, *, seed: int = 0) -> pd.DataFrame:
        """How well linear and non-linear probes predict the demographics of rows from their latents.

        Give rows that were not used in ``fit``: on those decorrelation is partly overfitted.

        Returns:
            One row per variable: held-out R^2 or accuracy of either probe, that of chance, and the largest absolute
            correlation with a latent.
        """
        check_index_alignment(X=X, D=D)
        z = self.latents_of(X, D if self.conditional_encoder else None)
        d = self._coded(D, len(z))
        if len(z) < AUDITED:
            raise InputError("X", found=f"{len(z)} rows", expected=f"at least {AUDITED}, to fit and to score probes")
        with self._computing():
            audit = _leakage(root(seed), _single(z), _single(d), self.demographics_.layout)
        table = pd.DataFrame({name: np.asarray(part, float) for name, part in audit._asdict().items()})
        table.index = pd.Index(self.demographics_.names, name="variable")
        table.insert(0, "score", ["accuracy" if v.levels else "R2" for v in self.demographics_.variables])
        return table

    def summary(self) -> Summary:
        """The terms of the loss at the last update, and the caveat."""
        history = self.demovae_.extra
        terms = {name: float(values[-1]) for name, values in history.items() if name != "loss"}
        table = pd.DataFrame({"value": terms, "weight": {name: getattr(self, name) for name in terms}})
        facts = [
            ("Rows", str(self.n_obs_)),
            ("Columns", str(self.n_features_in_)),
            ("Latents", str(self.latents)),
            ("Demographics", ", ".join(self.demographics_.names)),
        ]
        return Summary("DemoVAE: terms of the loss at the last update", facts, table, [CAVEAT])

    def _coded(self, D: Any, rows: int) -> np.ndarray:
        if D is None:
            return np.broadcast_to(self._average, (rows, len(self._average)))
        return self.demographics_.encode(D, rows=rows)

    def _decoded(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        with self._computing():
            rows = _decode(self.model_, self.demovae_, _single(z), _single(d), columns=self.n_features_in_)
            return np.asarray(rows, np.float64)


def _single(values: np.ndarray) -> jax.Array:
    return jnp.asarray(values, jnp.float32)


_program = jax.jit(demovae, static_argnames=("model", "schedule"))
_encode = jax.jit(encode, static_argnums=0)
_decode = jax.jit(decode, static_argnums=0, static_argnames="columns")
_sample = jax.jit(sample, static_argnums=1, static_argnames="columns")
_leakage = jax.jit(leakage, static_argnums=3)
