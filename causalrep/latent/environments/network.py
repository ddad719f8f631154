"""The abstract base of the estimators here that train a network on rows from several environments or segments."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.estimator import Estimator
from causalrep.keys import root
from causalrep.latent.environments.door import column_scaling
from causalrep.latent.environments.rows import DEFAULT, coded_rows, fit_best, hold_out
from causalrep.training import Objective, Schedule
from causalrep.training.rows import check_schedule
from causalrep.training.trained import refuse_divergence

# Flows of these sizes bear large steps; with small ones they do not leave the neighborhood of their start.
FLOW = Schedule(steps=5000, batch_size=512, learning_rate=2e-2, restarts=3)


class Network(Estimator):
    """Abstract base: rows are standardized, one loop trains the network, the best of a few starts is kept.

    A subclass sets ``model_``, a flax module with a method ``encode``, and calls :meth:`_train` in its ``fit``.
    """

    _precision = "float32"
    _schedule: ClassVar[Schedule] = DEFAULT
    schedule: Schedule
    seed: int

    def _train(self, x: np.ndarray, codes: np.ndarray, objective: Objective, scaling: np.ndarray | None = None) -> None:
        """Fit to ``(x - mean) @ scaling``.

        Args:
            x: Rows (n, p), or windows of rows (n, length, p).
            codes: Environment of each row or window (n,), from 0.
            objective: What to minimize.
            scaling: A matrix (p, columns); by default columns get standard deviation 1.
        """
        schedule = check_schedule(self.schedule, self._schedule)
        mean, std = column_scaling("X", x.reshape(-1, x.shape[-1]))
        self.n_features_in_, self.mean_ = len(mean), mean
        self.scaling_ = np.diag(1.0 / std) if scaling is None else scaling
        with self._computing():
            order_key, fit_key = jax.random.split(root(self.seed))
            rows = coded_rows((x - self.mean_) @ self.scaling_, codes, int(codes.max()) + 1)
            result = fit_best(objective, schedule, fit_key, *hold_out(order_key, rows))
        refuse_divergence(result, self)
        self.params_, self.validation_loss_ = result.params, float(result.final_loss)

    def transform(self, X: Any) -> Float[np.ndarray, "n latents"]:
        """Latents of rows."""
        model = self.model_  # before the rows: an error about fitting comes first
        with self._computing():
            return np.asarray(model.apply(self.params_, self._standardized(X), method="encode"))

    def _standardized(self, X: Any) -> Float[Array, "n columns"]:
        mean, scaling = self.mean_, self.scaling_
        return jnp.asarray((self.columns_.match(X) - mean) @ scaling, jnp.float32)
