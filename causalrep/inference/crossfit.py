"""Cross-fitting: predictions for every row from models that did not see it.

Folds are integer codes and training sets are 0/1 weights, so that shapes are static and everything works under ``jit``
and ``vmap``. Source: Chernozhukov et al. (2018), Econometrics Journal 21, C1-C68.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from causalrep.base.checks import as_codes, as_numbers
from causalrep.base.validation import check_count, check_rows
from causalrep.errors import InputError


@runtime_checkable
class Learner(Protocol):
    """A regression as a pair of functions; a frozen dataclass, so that equal learners share compiled programs.

    ``fit(x, y, w) -> params`` with covariates (n, d), target (n,) and weights (n,), 0 for rows to leave out;
    ``predict(params, x) -> (m,)``. If the class has ``host = True`` the functions are ordinary Python (scikit-learn);
    otherwise they are pure and work under ``jit`` and ``vmap``.
    """

    def fit(self, x: Float[Array, "n d"], y: Float[Array, " n"], w: Float[Array, " n"]) -> Any:
        """Parameters of the regression of ``y`` on ``x`` with weights ``w``."""
        ...

    def predict(self, params: Any, x: Float[Array, "m d"]) -> Float[Array, " m"]:
        """Predictions (m,)."""
        ...


class OneClassError(InputError):
    """The rows that a classifier is to be fitted to are all of one class."""


@contextlib.contextmanager
def rows_called(rows: str) -> Iterator[None]:
    """Says in a :class:`OneClassError` raised inside which rows they were, since the regression does not know."""
    try:
        yield
    except OneClassError as error:
        raise OneClassError(error.argument, found=f"{error.found} {rows}", expected=error.expected) from error


def is_host(*learners: Learner) -> bool:
    """Whether any of the learners is ordinary Python, which cannot be part of a compiled program."""
    return any(getattr(learner, "host", False) for learner in learners)


def stratified_folds(
    key: Key[Array, ""], labels: Int[Array, " n"] | Float[Array, " n"], n_folds: int
) -> Int[Array, " n"]:
    """Random fold codes 0..n_folds-1 (n,), of sizes as equal as possible within each label and overall.

    Raises:
        InputError: If there are fewer than two folds or more than rows, or a label is missing.

    >>> import jax, jax.numpy as jnp
    >>> t = jnp.array([0, 0, 0, 0, 1, 1])
    >>> folds = stratified_folds(jax.random.key(0), t, 2)
    >>> int(jnp.sum(folds[:4])), int(jnp.sum(folds[4:]))
    (2, 1)
    """
    check_count("n_folds", n_folds, at_least=2)
    labels = as_numbers("labels", labels, ndim=1)
    n = labels.shape[0]
    if n_folds > n:
        raise InputError("n_folds", found=f"{n_folds}", expected=f"at most {n}, the number of rows")
    order = jnp.lexsort((jax.random.uniform(key, (n,)), labels))
    return jnp.zeros(n, jnp.int32).at[order].set(jnp.arange(n, dtype=jnp.int32) % n_folds)


def cross_fit(
    learner: Learner,
    x: Float[Array, "n d"],
    y: Float[Array, " n"],
    w: Float[Array, " n"],
    folds: Int[Array, " n"],
    n_folds: int,
) -> Float[Array, " n"]:
    """Prediction of ``y`` for each row by a model fitted to the other folds.

    Args:
        learner: The regression.
        x: Covariates (n, d).
        y: Target (n,).
        w: Weights (n,); rows with weight 0 are predicted but train nothing (for instance the other treatment arm).
        folds: Codes 0..n_folds-1 (n,).
        n_folds: Number of folds.

    Raises:
        InputError: If numbers of rows differ, or a fold is not one of the codes.
    """
    check_count("n_folds", n_folds, at_least=2)
    folds = as_codes("folds", folds, levels=n_folds)
    for name, values in {"y": y, "w": w, "folds": folds}.items():
        check_rows(name, len(values), rows=len(x), of="x")

    def predictions(fold):
        return learner.predict(learner.fit(x, y, w * (folds != fold)), x)

    if is_host(learner):
        parts = []
        for fold in range(n_folds):
            with rows_called(f"outside fold {fold}"):
                parts.append(jnp.asarray(predictions(fold)))
        every = jnp.stack(parts)
    else:
        # One fold after another: on two CPU cores, a batch over folds was measured to be two to four times slower.
        every = jax.lax.map(predictions, jnp.arange(n_folds))
    return every[folds, jnp.arange(x.shape[0])]
