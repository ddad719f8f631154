"""The checks of user data for everything linear with instruments: a ``Design``, or an error that names the argument."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from causalrep.base.columns import Columns, read_columns
from causalrep.base.validation import (
    as_labels,
    as_vector,
    check_choice,
    check_index_alignment,
    check_roles,
    is_constant,
)
from causalrep.errors import InputError
from causalrep.inference.sandwich import MOMENT_KINDS
from causalrep.iv.system import System
from causalrep.precision import in_float64

INTERCEPT = "Intercept"
# A column counts as a linear combination of others if partialling them out leaves less than this share of its length.
COLLINEAR = 1e-10


# Statistics that do not invert the covariance of the instruments' moments.
_OF_FEW_CLUSTERS = ("effective_f_statistic",)


@dataclass(frozen=True)
class Design:
    """Checked float64 data of a linear structural equation, with names.

    Attributes:
        y: Outcome (n,), or None for tests of the first stage.
        x: Treatments (n, p).
        z: Excluded instruments (n, k), or None.
        c: Exogenous controls with the constant, if any, last (n, q), or None.
        clusters: Group codes 0..G-1 (n,), or None.
        n_clusters: G, or None.
        outcome: Name of the outcome.
        treatments: Names of the columns of ``x``.
        instruments: Names of the columns of ``z``.
        controls: Names of the columns of ``c``, :data:`INTERCEPT` last.
        t_columns: The columns of ``x``, by which later data are matched.
        x_columns: The columns of the controls without the constant; None without controls.
    """

    y: np.ndarray | None
    x: np.ndarray
    z: np.ndarray | None
    c: np.ndarray | None
    clusters: np.ndarray | None
    n_clusters: int | None
    outcome: str
    treatments: list[str]
    instruments: list[str]
    controls: list[str]
    t_columns: Columns
    x_columns: Columns | None

    @property
    def coefficient_names(self) -> list[str]:
        """Treatments, then controls, in the order of the coefficients."""
        return self.treatments + self.controls

    @property
    def system(self) -> System:
        """The data as the pure functions take them; to be used in float64."""
        return System(self.y, self.x, self.z, self.c, self.clusters)

    def treatment_index(self, treatment: str | int) -> int:
        """The position of a treatment given by name or position."""
        if isinstance(treatment, str) and treatment in self.treatments:
            return self.treatments.index(treatment)
        whole = not isinstance(treatment, str | bool) and isinstance(treatment, int | np.integer)
        if whole and 0 <= int(treatment) < len(self.treatments):
            return int(treatment)
        raise InputError("treatment", found=repr(treatment), expected=f"one of {self.treatments}, or a position")


def check_covariance(covariance: Any, clusters: Any, *, kinds: Sequence[str] = MOMENT_KINDS) -> None:
    """Refuse an unknown kind of covariance, and cluster labels without or with the wrong kind."""
    if not isinstance(covariance, str):  # an array has no truth value to look it up by
        raise InputError("covariance", found=repr(covariance), expected="one of " + ", ".join(map(repr, kinds)))
    check_choice("covariance", covariance, kinds)
    if (covariance == "cluster") != (clusters is not None):
        raise InputError(
            "clusters",
            found="None" if clusters is None else f"labels with covariance={covariance!r}",
            expected="a group label for each row exactly when covariance='cluster'",
        )


def check_moments(design: Design, covariance: str) -> None:
    """Refuse clusters that are too few for a clustered covariance of the instruments' moments to have full rank."""
    k = len(design.instruments)
    if covariance == "cluster" and design.n_clusters is not None and design.n_clusters <= k:
        raise InputError(
            "clusters",
            found=f"{design.n_clusters} groups for {k} instruments",
            expected="more groups than instruments, for tests and sets under covariance='cluster'",
        )


@in_float64
def evaluate(statistic: Callable[..., Any], design: Design, *values: Any, **options: Any) -> Any:
    """The result of a statistic of a :class:`~causalrep.iv.system.System` at the checked data, as Python floats.

    Args:
        statistic: A pure function of the system, the values and the options.
        design: The checked data.
        *values: Further array arguments, which the compiled program takes as inputs.
        **options: Hashable arguments, for each combination of which a program is compiled.
    """
    if statistic.__name__ not in _OF_FEW_CLUSTERS:
        check_moments(design, options.get("covariance", ""))
    return jax.tree.map(float, _evaluate(statistic, tuple(options.items()), design.system, *values))


@partial(jax.jit, static_argnums=(0, 1))
def _evaluate(statistic: Callable[..., Any], options: tuple[tuple[str, Any], ...], system: System, *values: Any) -> Any:
    return statistic(system, *values, **dict(options))


def make_design(
    Y: Any,
    T: Any,
    X: Any = None,
    Z: Any = None,
    clusters: Any = None,
    *,
    fit_intercept: bool = True,
    needs_outcome: bool = True,
    needs_instruments: bool = True,
    identified: bool = True,
) -> Design:
    """Check and name everything that a linear fit or test with instruments needs.

    Args:
        Y: Outcome; ignored unless ``needs_outcome``.
        T: Endogenous treatments.
        X: Exogenous controls, or None.
        Z: Excluded instruments; ignored unless ``needs_instruments``.
        clusters: Group labels, or None.
        fit_intercept: Whether to append a constant to the controls.
        needs_outcome: Whether the outcome is used; tests of the first stage do not use it.
        needs_instruments: Whether instruments are used.
        identified: Whether at least as many instruments as treatments are needed.

    Raises:
        InputError: Names the argument, what was found and what was expected.
    """
    Y, Z = Y if needs_outcome else None, Z if needs_instruments else None
    check_index_alignment(Y=Y, T=T, X=X, Z=Z, clusters=clusters)
    y, outcome = as_vector("Y", Y) if needs_outcome else (None, "")
    x, t_columns = read_columns("T", T, rows=None if y is None else len(y))
    n = len(x)
    controls_given, x_columns = (np.zeros((n, 0)), None) if X is None else read_columns("X", X, rows=n)
    if needs_instruments and Z is None:
        raise InputError("Z", found="None", expected="at least one excluded instrument")
    z, z_columns = (None, None) if Z is None else read_columns("Z", Z, rows=n)
    codes = None if clusters is None else as_labels("clusters", clusters, rows=n)
    treatments, controls, instruments = _distinct(t_columns, x_columns, z_columns)

    constant = np.ones((n, 1 if fit_intercept else 0))
    c = np.column_stack([controls_given, constant])
    k = 0 if z is None else z.shape[1]
    if z is not None and identified and k < x.shape[1]:
        raise InputError(
            "Z",
            found=f"{k} instrument{'s' * (k > 1)} for {x.shape[1]} treatments",
            expected="at least as many instruments as treatments",
        )
    needed = c.shape[1] + k + x.shape[1]
    if n <= needed:
        raise InputError(
            "Y" if needs_outcome else "T",
            found=f"{n} rows for {x.shape[1]} treatments, {k} instruments and {c.shape[1]} controls",
            expected=f"more than {needed} rows",
        )
    _check_ranks(x, z, controls_given, fit_intercept, treatments, instruments, controls)
    if y is not None:
        if is_constant(y[:, None])[0]:
            raise InputError("Y", found="a constant", expected="an outcome that varies")
        check_roles((y, outcome), {"T": (x, treatments), "X": (controls_given, controls)})
    return Design(
        y=y,
        x=x,
        z=z,
        c=c if c.shape[1] else None,
        clusters=codes,
        n_clusters=None if codes is None else int(codes.max()) + 1,
        outcome=outcome,
        treatments=treatments,
        instruments=instruments,
        controls=controls + [INTERCEPT] * fit_intercept,
        t_columns=t_columns,
        x_columns=x_columns,
    )


def _check_ranks(x, z, controls_given, fit_intercept, treatments, instruments, controls) -> None:
    given = " and the intercept" if fit_intercept else ""
    # The intercept first: a constant control is then the one to be named.
    base = np.column_stack([np.ones((x.shape[0], int(fit_intercept))), controls_given])
    dependent = [controls[j - int(fit_intercept)] for j in _dependent_columns(base)]
    if dependent:
        raise InputError(
            "X",
            found=f"columns {dependent} that are linear combinations of the other controls{given}",
            expected="linearly independent controls (drop these columns)",
        )
    if z is not None:
        _check_block("Z", z, instruments, base, "instruments", f"the controls{given}")
    _check_block("T", x, treatments, base, "treatments", f"the controls{given}")


def _check_block(argument, block, names, base, what, others) -> None:
    constant = [name for name, flat in zip(names, is_constant(block)) if flat]
    if constant and base.shape[1]:
        raise InputError(argument, found=f"constant {what} {constant}", expected=f"{what} that vary")
    q = base.shape[1]
    dependent = [names[j - q] for j in _dependent_columns(np.column_stack([base, block])) if j >= q]
    if dependent:
        raise InputError(
            argument,
            found=f"{what} {dependent} that are linear combinations of {others} or of the other {what}",
            expected=f"{what} with variation of their own (drop these columns)",
        )


def _dependent_columns(a: np.ndarray) -> list[int]:
    """Columns that are linear combinations of the columns before them."""
    norms = np.linalg.norm(a, axis=0)
    scaled = a / np.where(norms > 0, norms, 1.0)
    dependent: list[int] = []
    basis = np.zeros((a.shape[0], 0))
    for j, column in enumerate(scaled.T):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        length = np.linalg.norm(rest)
        if length <= COLLINEAR:
            dependent.append(j)
        else:
            basis = np.column_stack([basis, rest / length])
    return dependent


def _distinct(*arguments: Columns | None) -> tuple[list[str], ...]:
    """Names made unique across treatments, controls and instruments: one used twice gets its argument in brackets."""
    blocks = {argument: list(columns.names) if columns else [] for argument, columns in zip("TXZ", arguments)}
    counts = Counter([name for names in blocks.values() for name in set(names)])
    return tuple(
        [f"{name} ({argument})" if counts[name] > 1 else name for name in names] for argument, names in blocks.items()
    )
