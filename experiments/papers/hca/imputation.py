"""Hidden benchmark scores: completion from the models of one base model against completion from all models."""

import dataclasses
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.validation import check_range
from causalrep.data import load
from causalrep.latent import soft_impute
from causalrep.study import Study, Table, Within

TARGET = "qwen2.5-14b"
FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclasses.dataclass(frozen=True)
class Imputation:
    """Soft-impute of rank 3 on the scores of models fine-tuned from Qwen2.5-14B.

    Every entry of the table is hidden with the same probability, including those of other base models, so that both
    methods see the same share of their data. (The card leaves open whether the official study hides them.)

    Attributes:
        draws: Random choices of hidden entries (paper: 500).
        fractions: Probabilities of hiding.
        seed: Random seed.
    """

    draws: int = 500
    fractions: tuple[float, ...] = FRACTIONS
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("draws", self.draws, at_least=1)

    def study(self) -> Study:
        """The study; replications are random choices, with the same uniform draws at every fraction."""
        low = [fraction for fraction in self.fractions if fraction <= 0.5]
        middle = [fraction for fraction in self.fractions if 0.2 <= fraction <= 0.4]
        item = "section 9, item 6"
        return Study(
            name="hca/imputation",
            replicate=replicate,
            settings=[{"hidden": fraction} for fraction in self.fractions],
            replications=self.draws,
            seed=self.seed,
            traced=("hidden",),
            shared=("hidden",),
            claims=(
                *(Within(metric="gain", method="local", low=0.0, where={"hidden": f}, source=item) for f in low),
                *(Within(metric="gain", method="local", low=2.0, where={"hidden": f}, source=item) for f in middle),
            ),
            tables=(
                Table(
                    title="Root mean squared error of hidden scores, percentage points",
                    metric="rmse",
                    rows="hidden",
                    columns="method",
                ),
            ),
        )


def replicate(key, setting):
    """One choice of hidden entries, completed both ways."""
    scores, own = _scores()
    scores = jnp.asarray(scores)
    seen = jax.random.uniform(key, scores.shape) >= setting["hidden"]
    truth, hidden = scores[own], ~seen[own]

    def rmse(filled: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum(jnp.where(hidden, filled - truth, 0.0) ** 2) / jnp.maximum(jnp.sum(hidden), 1))

    everywhere, alone = rmse(soft_impute(scores, seen)[own]), rmse(soft_impute(truth, seen[own]))
    return {"global": {"rmse": everywhere}, "local": {"rmse": alone, "gain": everywhere - alone}}


@lru_cache
def _scores() -> tuple[np.ndarray, np.ndarray]:
    board = load("open_llm_leaderboard")
    return board.scores.to_numpy(), np.flatnonzero(board.frame["base_model"] == TARGET)
