"""The PersonaX estimator: several modalities, several measurements of each, and the causal latents behind them."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from causalrep.base.columns import Columns, read_columns
from causalrep.base.domains import Domain, Real, Several, Whole, Widths
from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import (
    check_index_alignment,
)
from causalrep.errors import InputError
from causalrep.keys import root
from causalrep.latent.environments.door import column_scaling
from causalrep.latent.environments.rows import hold_out
from causalrep.latent.personax import fit as fitting
from causalrep.latent.personax.fit import EVALUATIONS, fit_multimodal
from causalrep.latent.personax.identification import identification
from causalrep.latent.personax.model import Codes, Measurements, MultimodalSpec, MultimodalVAE, open_gates
from causalrep.latent.personax.objective import Weights
from causalrep.training import Schedule
from causalrep.training.rows import InSchedule, check_schedule
from causalrep.training.trained import refuse_divergence

DEFAULT = dataclasses.replace(fitting.DEFAULT, validation_share=0.1)
ASSUMPTIONS = (
    "Blocks rest on at least three views of a modality, independent given its latents; single latents moreover on "
    "sparse edges between modalities, and only where no latent's neighbors are among another's of its modality. "
    "Directions within a modality are those of the assumed order, not estimated."
)


class PersonaX(Estimator):
    """Causal latents of several modalities, such as texts and images of the same units, each measured repeatedly.

    The latents have no interval: they are identified up to maps that no data determine. On real people, results
    describe the measurements (for instance what language models say), not persons; do not score individuals.

    Args:
        latents: Number of latents of each modality, in a causal order that runs through the modalities as given.
        specific: Number of noises of each measurement.
        hidden: Widths of the encoders' hidden layers.
        sparsity: Price of an open gate between modalities; an edge stays if it saves 100 times as many nats per row.
        schedule: Steps (a multiple of 20), batch size, Adam's first learning rate, which falls to a tenth, and the
            share of rows held out to choose the parameters.
        seed: Random seed.

    Attributes:
        graph_: Whether each gate is more likely open than not (d, d), entry (i, j) for an edge ``z_i -> z_j``.
        gates_: Probability that each gate is open (d, d), in the same orientation.
        blocks_: Columns of each modality's latents.
        identification_: What the assumptions identify if the estimated graph is right
            (:func:`causalrep.latent.identification`).
        validation_loss_: Loss of the held-out rows.

    >>> PersonaX((2, 2), specific=2)
    PersonaX(latents=(2, 2), specific=2)
    """

    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "latents": Several(Whole(), least=1),
        "specific": Whole(0),
        "hidden": Widths(empty=False),
        "sparsity": Real(at_least=0),
        "schedule": InSchedule(DEFAULT),
        "seed": Whole(None),
    }

    def __init__(
        self,
        latents: tuple[int, ...],
        *,
        specific: int = 1,
        hidden: tuple[int, ...] = (64, 64),
        sparsity: float = 1e-3,
        schedule: Schedule = DEFAULT,
        seed: int = 0,
    ):
        self.latents = latents
        self.specific = specific
        self.hidden = hidden
        self.sparsity = sparsity
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Sequence[Sequence[Any]]) -> Self:
        """Fit the model.

        Args:
            X: For each modality its measurements, each (n, p), with rows in the same order throughout.

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument or hyperparameter is wrong; the message names it.
            DivergenceError: If a loss or gradient is not finite.
        """
        self._check_domains()
        arrays, self._columns = _matrices(X)
        schedule = self._check(arrays)
        self.scalings_ = [
            [column_scaling(f"X[{m}][{k}]", x) for k, x in enumerate(modality)] for m, modality in enumerate(arrays)
        ]
        columns = tuple(tuple(x.shape[1] for x in modality) for modality in arrays)
        self.spec_ = MultimodalSpec(tuple(self.latents), columns, self.specific, tuple(self.hidden))
        self.n_obs_ = len(arrays[0][0])
        with self._computing():
            order_key, fit_key = jax.random.split(root(self.seed))
            train, validation = hold_out(order_key, self._standardized(arrays), schedule.validation_share)
            batch_size = min(schedule.batch_size, len(train[0][0]))
            result = fit_multimodal(
                fit_key,
                self.spec_,
                train,
                validation,
                weights=Weights(sparsity=float(self.sparsity)),
                schedule=dataclasses.replace(schedule, batch_size=batch_size).without("validation_share"),
            )
            refuse_divergence(result, self)
            self.gates_ = np.asarray(open_gates(result.params)).T
        self.params_, self.validation_loss_ = result.params, float(result.final_loss)
        self.graph_, self.blocks_ = self.gates_ > 0.5, self.spec_.blocks
        self.identification_ = identification(self.graph_, self.blocks_, [len(modality) for modality in columns])
        return self

    def _check(self, arrays: list[list[np.ndarray]]) -> Schedule:
        if len(self.latents) != len(arrays):
            expected = f"{len(arrays)} numbers, one per modality"
            raise InputError("latents", found=repr(self.latents), expected=expected)
        schedule = check_schedule(self.schedule, DEFAULT)
        if schedule.steps % EVALUATIONS:
            expected = f"a multiple of {EVALUATIONS}"
            raise InputError("schedule.steps", found=str(schedule.steps), expected=expected)
        n = len(arrays[0][0])
        if n < 10:
            raise InputError("X", found=f"{n} rows", expected="at least 10")
        return schedule

    def _standardized(self, arrays: list[list[np.ndarray]]) -> Measurements:
        return tuple(
            tuple(jnp.asarray(scaling.apply(x), jnp.float32) for x, scaling in zip(modality, scalings, strict=True))
            for modality, scalings in zip(arrays, self.scalings_, strict=True)
        )

    def _encode(self, X: Sequence[Sequence[Any]]) -> Codes:
        spec = self.spec_  # before the rows: an error about fitting comes first
        arrays, _ = _matrices(X, self._columns)
        return MultimodalVAE(spec).apply(self.params_, self._standardized(arrays), method="encode")

    def transform(self, X: Sequence[Sequence[Any]]) -> Float[np.ndarray, "n d"]:
        """Latents of rows, modality by modality (:attr:`blocks_`)."""
        with self._computing():
            return np.asarray(self._encode(X).z)

    def noises(self, X: Sequence[Sequence[Any]]) -> Float[np.ndarray, "n d"]:
        """Exogenous noises of rows: independent and standard normal if the model holds."""
        with self._computing():
            z = self._encode(X).z
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
        notes = [
            ASSUMPTIONS,
            "mixed_with: the other latents of which a latent may also be a function, if the graph is right.",
        ]
        return Summary("Causal latents of several modalities (PersonaX)", facts, table.drop(columns="modality"), notes)


def _matrices(
    X: Sequence[Sequence[Any]], columns: list[list[Columns]] | None = None
) -> tuple[list[list[np.ndarray]], list[list[Columns]]]:
    """Every measurement as a matrix, and its columns: those of ``fit``, if given, to which they are matched."""
    if isinstance(X, np.ndarray | pd.DataFrame) or len(X) == 0 or any(len(modality) == 0 for modality in X):
        raise InputError("X", found=type(X).__name__, expected="a list of modalities, each a list of its measurements")
    check_index_alignment(**{f"X[{m}][{k}]": x for m, modality in enumerate(X) for k, x in enumerate(modality)})
    if columns is None:
        read = [[read_columns(f"X[{m}][{k}]", x) for k, x in enumerate(modality)] for m, modality in enumerate(X)]
        arrays = [[array for array, _ in modality] for modality in read]
        columns = [[names for _, names in modality] for modality in read]
    elif [len(modality) for modality in X] != [len(modality) for modality in columns]:
        shape = [len(modality) for modality in columns]
        found = [len(modality) for modality in X]
        raise InputError("X", found=f"modalities with {found} measurements", expected=f"{shape}, as in fit")
    else:
        arrays = [[names.match(x) for names, x in zip(*pair)] for pair in zip(columns, X)]
    counts = sorted({len(x) for modality in arrays for x in modality})
    if len(counts) > 1:
        raise InputError("X", found=f"measurements of {counts} rows", expected="the same rows in every one")
    return arrays, columns
