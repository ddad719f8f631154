"""The façade of PersonaX: several modalities, several measurements of each, and the causal latents behind them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Float, Key

from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import as_matrix, check_index_alignment, check_range
from causalrep.errors import DivergenceError, InputError
from causalrep.keys import root
from causalrep.latent.personax.identification import identification
from causalrep.latent.personax.model import (
    Measurements,
    MultimodalSpec,
    MultimodalVAE,
    Weights,
    multimodal_objective,
    open_gates,
)
from causalrep.training import FitResult, fit

ASSUMPTIONS = (
    "Blocks rest on at least three views of a modality, independent given its latents; single latents moreover on "
    "sparse edges between modalities, and only where no latent's neighbours are among another's of its modality. "
    "Directions within a modality are those of the order assumed, not found."
)


def fit_multimodal(
    key: Key[Array, ""],
    spec: MultimodalSpec,
    train: Measurements,
    validation: Measurements,
    *,
    weights: Weights = Weights(),  # noqa: B008 - frozen
    steps: int = 3000,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    evaluations: int = 20,
) -> FitResult:
    """Fit by Adam; pure, so that it works under ``jit``.

    Args:
        key: Random key.
        spec: Sizes.
        train: Standardised measurements.
        validation: Rows whose loss picks the parameters.
        weights: Of the terms of the loss.
        steps: Updates, a multiple of ``evaluations``.
        batch_size: Rows a step.
        learning_rate: Of Adam, falling to a tenth along a cosine.
        evaluations: How often the validation loss is computed.
    """
    return fit(
        multimodal_objective(spec, weights),
        _adam(learning_rate, steps),
        train,
        key,
        steps=steps,
        batch_size=batch_size,
        validation=validation,
        eval_every=steps // evaluations,
    )


class PersonaX(Estimator):
    """Causal latents of several modalities, such as texts and pictures of the same units, each measured repeatedly.

    No interval comes with the latents: they are identified up to maps that no data fix. On real people, findings
    describe the measurements (for instance what language models say), not persons; do not score individuals.

    Args:
        latents: Latents of each modality, in a causal order that runs through the modalities as they are given.
        specific: Noises of each measurement.
        hidden: Units of the encoders' layers.
        sparsity: Price of an open gate between modalities; an edge stays if it saves 100 times as many nats a row.
        steps: Updates.
        batch_size: Rows a step.
        learning_rate: Of Adam, falling to a tenth.
        validation_share: Share of the rows held out to pick the parameters.
        seed: Of all randomness.

    Attributes:
        graph_: Whether each gate is more likely open than not (d, d), entry (i, j) for an edge ``z_i -> z_j``.
        gates_: Probability that it is open (d, d), in the same orientation.
        blocks_: Columns of each modality's latents.
        identification_: What the assumptions identify if the graph found is right
            (:func:`causalrep.latent.identification`).
        validation_loss_: Of the parameters.

    >>> PersonaX((2, 2), steps=1000)
    PersonaX(latents=(2, 2), steps=1000)
    """

    def __init__(
        self,
        latents: tuple[int, ...],
        *,
        specific: int = 1,
        hidden: tuple[int, ...] = (64, 64),
        sparsity: float = 1e-3,
        steps: int = 3000,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        validation_share: float = 0.1,
        seed: int = 0,
    ):
        self.latents = latents
        self.specific = specific
        self.hidden = hidden
        self.sparsity = sparsity
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_share = validation_share
        self.seed = seed

    def fit(self, X: Sequence[Sequence[Any]]) -> Self:
        """Fit the model.

        Args:
            X: For each modality its measurements, each (n, p), rows in the same order throughout.

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument or hyperparameter is wrong; the message names it.
            DivergenceError: If the loss is not finite.
        """
        arrays = _matrices(X)
        n = self._check(arrays)
        self.moments_ = [[(x.mean(axis=0), x.std(axis=0)) for x in modality] for modality in arrays]
        for m, modality in enumerate(self.moments_):
            for k, (_, scale) in enumerate(modality):
                if not (scale > 0).all():
                    raise InputError(f"X[{m}][{k}]", found="a constant column", expected="none")
        columns = tuple(tuple(x.shape[1] for x in modality) for modality in arrays)
        self.spec_ = MultimodalSpec(tuple(self.latents), columns, self.specific, tuple(self.hidden))
        rows = self._standardized(arrays)
        order_key, fit_key = jax.random.split(root(self.seed))
        order, held_out = jax.random.permutation(order_key, n), max(1, round(self.validation_share * n))
        found = fit_multimodal(
            fit_key,
            self.spec_,
            jax.tree.map(lambda x: x[order[held_out:]], rows),
            jax.tree.map(lambda x: x[order[:held_out]], rows),
            weights=Weights(sparsity=float(self.sparsity)),
            steps=self.steps,
            batch_size=min(self.batch_size, n - held_out),
            learning_rate=self.learning_rate,
        )
        if not np.isfinite(found.final_loss):
            raise DivergenceError("The loss is not finite: look for outliers in X.", step=int(found.first_bad_step))
        self.params_, self.n_obs_, self.validation_loss_ = found.params, n, float(found.final_loss)
        self.gates_ = np.asarray(open_gates(found.params)).T
        self.graph_, self.blocks_ = self.gates_ > 0.5, self.spec_.blocks
        self.identification_ = identification(self.graph_, self.blocks_, [len(modality) for modality in columns])
        return self

    def _check(self, arrays: list[list[np.ndarray]]) -> int:
        if not isinstance(self.latents, tuple | list) or len(self.latents) != len(arrays):
            expected = f"{len(arrays)} numbers, one a modality"
            raise InputError("latents", found=repr(self.latents), expected=expected)
        for size in self.latents:
            check_range("latents", size, at_least=1)
        check_range("specific", self.specific, at_least=0)
        check_range("sparsity", self.sparsity, at_least=0)
        check_range("steps", self.steps, at_least=20)
        if self.steps % 20:
            raise InputError("steps", found=str(self.steps), expected="a multiple of 20")
        check_range("batch_size", self.batch_size, at_least=1)
        check_range("learning_rate", self.learning_rate, above=0)
        check_range("validation_share", self.validation_share, above=0, below=1)
        n = len(arrays[0][0])
        if n < 10:
            raise InputError("X", found=f"{n} rows", expected="at least 10")
        return n

    def _standardized(self, arrays: list[list[np.ndarray]]) -> Measurements:
        return tuple(
            tuple(
                jnp.asarray((x - mean) / scale, jnp.float32) for x, (mean, scale) in zip(modality, moments, strict=True)
            )
            for modality, moments in zip(arrays, self.moments_, strict=True)
        )

    def _rows(self, X: Sequence[Sequence[Any]]) -> Measurements:
        spec = self.spec_  # before the rows: an error about fitting comes first
        arrays = _matrices(X)
        shape = tuple(tuple(x.shape[1] for x in modality) for modality in arrays)
        if shape != spec.measurements:
            raise InputError("X", found=f"columns {shape}", expected=f"{spec.measurements}, as in fit")
        return self._standardized(arrays)

    def transform(self, X: Sequence[Sequence[Any]]) -> Float[np.ndarray, "n d"]:
        """Latents of rows, modality by modality (:attr:`blocks_`)."""
        return np.asarray(_encode(self.spec_, self.params_, self._rows(X)))

    def noises(self, X: Sequence[Sequence[Any]]) -> Float[np.ndarray, "n d"]:
        """Exogenous noises of rows: independent and standard normal if the model holds."""
        z = _encode(self.spec_, self.params_, self._rows(X))
        return np.asarray(MultimodalVAE(self.spec_).apply(self.params_, z, method="noises")[0])

    def summary(self) -> Summary:
        """Parents and identification of each latent, and the assumptions."""
        names = [f"z{m + 1}{i + 1}" for m, block in enumerate(self.blocks_) for i in range(len(block))]
        table = self.identification_.rename(columns={"block": "block identified", "component": "itself identified"})
        table["mixed_with"] = [", ".join(names[a] for a in mixed) for mixed in table["mixed_with"]]
        table["parents"] = [", ".join(names[i] for i in np.flatnonzero(column)) for column in self.graph_.T]
        table.index = names
        facts = [
            ("Modalities", f"{len(self.blocks_)} with {[len(m) for m in self.spec_.measurements]} measurements"),
            ("Rows", str(self.n_obs_)),
            ("Held-out loss", f"{self.validation_loss_:.4f}"),
        ]
        notes = [ASSUMPTIONS, "mixed_with: latents of which a latent may be a function too, if the graph is right."]
        return Summary("Causal latents of several modalities (PersonaX)", facts, table.drop(columns="modality"), notes)


def _matrices(X: Sequence[Sequence[Any]]) -> list[list[np.ndarray]]:
    if isinstance(X, np.ndarray | pd.DataFrame) or len(X) == 0 or any(len(modality) == 0 for modality in X):
        raise InputError("X", found=type(X).__name__, expected="a list of modalities, each a list of its measurements")
    check_index_alignment(**{f"X[{m}][{k}]": x for m, modality in enumerate(X) for k, x in enumerate(modality)})
    arrays = [[as_matrix(f"X[{m}][{k}]", x)[0] for k, x in enumerate(modality)] for m, modality in enumerate(X)]
    counts = sorted({len(x) for modality in arrays for x in modality})
    if len(counts) > 1:
        raise InputError("X", found=f"measurements of {counts} rows", expected="the same rows in every one")
    return arrays


@lru_cache
def _adam(learning_rate: float, steps: int) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(learning_rate, steps, alpha=0.1))
    )


def _encode(spec: MultimodalSpec, params: Any, x: Measurements) -> Float[Array, "n d"]:
    return MultimodalVAE(spec).apply(params, x, method="encode").z
