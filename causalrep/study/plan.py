"""The plan of a study: settings, replications, claims, and the keys that make it repeatable.

A study is a value. It holds everything that the numbers depend on, so its hash names the run's folder. The key of
every replication follows from (seed, study name, setting, replication index) alone; the order of the loop, the mode,
the number of devices and the point where a killed run resumes do not enter it.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np
from jax.typing import ArrayLike

from causalrep.base.validation import check_choice, check_count, check_seed
from causalrep.errors import InputError
from causalrep.keys import root

if TYPE_CHECKING:
    from causalrep.aot.programs import Program
    from causalrep.study.report.figures import AnyFigure
    from causalrep.study.report.tables import Table
    from causalrep.study.verdicts.claims import Claim

Scalar = str | bool | int | float
Setting = Mapping[str, Any]
Metrics = Mapping[str, Mapping[str, ArrayLike]]
Replicate = Callable[..., Metrics]
Columns = tuple[tuple[str, str], ...]  # the (method, metric) pairs of a replication's values, in the author's order

SWITCHES = ("full_products", "compiled", "spread")
RESERVED = ("method", "replication", "metric", "value")


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """A replicated study: a pure function of a key, at every setting, many times over.

    Attributes:
        name: ``"<paper>/<table>"``, for example ``"ivl/linear_simulation"``. It names the folder and enters every
            key.
        replicate: ``(key, setting) -> {method: {metric: scalar}}``. Pure, with static shapes, unless
            ``compiled=False``. Give a module-level function, or the same object each time, since compiled programs
            are kept per object.
        settings: One mapping per cell, in the order of the records; every cell has the same fields.
        replications: Number of replications of each cell.
        seed: Root of all random keys.
        traced: Numeric setting fields that reach ``replicate`` as 0-d arrays, so that one compilation serves all
            their values. Every other field is static: a Python value, which may choose shapes and branches.
        labels: Setting fields that only name a cell in the records (``"sweep"``). They are never passed to
            ``replicate``, so that they cost no compilation.
        shared: Setting fields left out of the key, so that all their values use the same random numbers (a sweep
            over ``alpha`` then compares methods on the same data sets).
        precision: Precision of the computation; recorded values are float64. ``"float64"`` runs on the host's
            processor if the devices are TPUs, whose slices do not factorize in it. ``"float32"``. ``"auto"`` is
            float64, but float32 on TPUs, for a ``replicate`` whose error in float32 is known. ``"host"`` is float64 on
            the host's processor.
        full_products: Whether matrix products of a float32 study keep float32 on devices whose default is less. Set it
            if float32 stands in for float64.
        compiled: ``False`` runs ``replicate`` as ordinary Python (estimators with a façade, real data).
        spread: Whether each replication is one long fit on all devices of all hosts
            (:func:`causalrep.training.train`), run as ordinary Python in every process at once. Then ``replicate(key,
            setting, workspace)`` gets a :class:`~causalrep.study.Workspace` for its checkpoints. Needs
            ``compiled=False``.
        programs: A function without arguments that returns the programs of a ``spread`` study
            (:func:`causalrep.training.training_program`), to compile them ahead of time for a slice.
        config: Everything else that ``replicate`` depends on (sample sizes it closes over); part of the run's
            identity.
        claims: Claims that the records are expected to meet.
        tables: Markdown tables of the report.
        figures: Figures of the report.
    """

    name: str
    replicate: Replicate
    settings: Sequence[Mapping[str, Scalar]]
    replications: int
    seed: int = 0
    traced: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    precision: Literal["auto", "float32", "float64", "host"] = "float64"
    full_products: bool = False
    compiled: bool = True
    spread: bool = False
    programs: "Callable[[], Sequence[Program]] | None" = None
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    claims: "tuple[Claim, ...]" = ()
    tables: "tuple[Table, ...]" = ()
    figures: "tuple[AnyFigure, ...]" = ()

    def __post_init__(self) -> None:
        parts = self.name.split("/") if isinstance(self.name, str) else []
        if not parts or any(part in ("", ".", "..") for part in parts):
            raise InputError("name", found=repr(self.name), expected="'<paper>/<table>', for example 'ivl/sweep'")
        if not callable(self.replicate):
            raise InputError("replicate", found=repr(self.replicate), expected="a function (key, setting) -> metrics")
        check_count("replications", self.replications)
        check_seed(self.seed)
        # NumPy's scalars become Python's, which JSON can hold and jit can compare.
        for argument, plain in (("replications", int), ("seed", int), *dict.fromkeys(SWITCHES, bool).items()):
            object.__setattr__(self, argument, plain(getattr(self, argument)))
        check_choice("precision", self.precision, ("auto", "float64", "float32", "host"))
        if self.spread and self.compiled:
            raise InputError("spread", found="True with compiled=True", expected="compiled=False beside it")
        for argument in ("traced", "labels", "shared"):
            if isinstance(getattr(self, argument), str):
                raise InputError(argument, found=repr(getattr(self, argument)), expected="a tuple of field names")
            object.__setattr__(self, argument, tuple(getattr(self, argument)))
        object.__setattr__(self, "settings", tuple(_plain_settings(self.settings)))
        fields = self.fields
        for argument in ("traced", "labels", "shared"):
            for name in getattr(self, argument):
                if name not in fields:
                    raise InputError(argument, found=repr(name), expected=f"a field of settings: {list(fields)}")
        for name in self.traced:
            for index, setting in enumerate(self.settings):
                if isinstance(setting[name], bool) or not isinstance(setting[name], int | float):
                    raise InputError(
                        "traced",
                        found=f"{name!r} = {setting[name]!r} in settings[{index}]",
                        expected="a number",
                    )
        _check_unique("figures", [figure.name for figure in self.figures])
        _check_unique("claims", [claim.name for claim in self.claims])

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the setting fields, in order."""
        return tuple(self.settings[0])

    @property
    def total_replications(self) -> int:
        """Number of cells times replications of each."""
        return len(self.settings) * self.replications

    def identity(self) -> dict[str, Any]:
        """Everything that the numbers depend on except the code, as plain JSON values."""
        return {
            "name": self.name,
            "settings": [dict(setting) for setting in self.settings],
            "replications": self.replications,
            "seed": self.seed,
            "traced": list(self.traced),
            "labels": list(self.labels),
            "shared": list(self.shared),
            # "auto" and "host" mean float64 here: where "auto" becomes float32, place() has already replaced it.
            "precision": "float32" if self.precision == "float32" else "float64",
            "compiled": self.compiled,
            "config": _plain(self.config),
            **({"full_products": True} if self.full_products else {}),
        }

    def digest(self) -> str:
        """Eight hexadecimal digits of the identity's hash, which name the run."""
        return hashlib.sha256(canonical_json(self.identity()).encode()).hexdigest()[:8]

    def cell_key(self, index: int) -> jax.Array:
        """The key of a cell; a replication's key is ``fold_in(cell_key, replication)``."""
        named = {field: value for field, value in self.settings[index].items() if field not in self.shared}
        key = root(self.seed)
        key = jax.random.fold_in(key, stable_hash(self.name))
        return jax.random.fold_in(key, stable_hash(canonical_json(named)))

    def static_values(self, index: int) -> tuple[tuple[str, Scalar], ...]:
        """The static fields of a cell, hashable; cells that agree on them share one compiled program."""
        unseen = {*self.traced, *self.labels}
        return tuple((field, value) for field, value in self.settings[index].items() if field not in unseen)

    def traced_values(self, index: int) -> dict[str, np.ndarray]:
        """The traced fields of a cell as 0-d arrays.

        A field is integer only if it is so in every cell, so that all its values have one dtype and share a program.
        """
        float_dtype, int_dtype = (np.float32, np.int32) if self.precision == "float32" else (np.float64, np.int64)
        values = {}
        for field in self.traced:
            whole = all(isinstance(setting[field], int) for setting in self.settings)
            values[field] = np.asarray(self.settings[index][field], int_dtype if whole else float_dtype)
        return values


def grid(**fields: Sequence[Scalar]) -> list[dict[str, Scalar]]:
    """Every combination of the fields' values, the last field varying fastest.

    >>> grid(n=[10, 20], alpha=[0.1])
    [{'n': 10, 'alpha': 0.1}, {'n': 20, 'alpha': 0.1}]
    """
    rows: list[dict[str, Scalar]] = [{}]
    for field, values in fields.items():
        rows = [{**row, field: value} for row in rows for value in values]
    return rows


def stable_hash(text: str) -> int:
    """A 32-bit hash that does not depend on the process or platform."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def canonical_json(value: Any) -> str:
    """JSON that depends on values alone: keys are sorted, and 1 and 1.0 are written alike.

    >>> canonical_json({"b": 1, "a": 0.5}) == canonical_json({"a": 0.5, "b": 1.0})
    True
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _canonical(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Plain JSON values: numpy scalars unwrapped, tuples and arrays as lists, dataclasses as mappings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)


def _plain_settings(settings: Sequence[Mapping[str, Scalar]]) -> list[dict[str, Scalar]]:
    rows = [dict(setting) for setting in settings]
    if not rows:
        raise InputError("settings", found="no cells", expected="at least one mapping of field to value")
    seen: dict[str, int] = {}
    for index, row in enumerate(rows):
        if list(row) != list(rows[0]) and set(row) != set(rows[0]):
            raise InputError(
                f"settings[{index}]",
                found=f"fields {list(row)}",
                expected=f"the fields of the first: {list(rows[0])}",
            )
        rows[index] = row = {field: _plain(row[field]) for field in rows[0]}
        for field, value in row.items():
            if field in RESERVED:
                raise InputError(f"settings[{index}]", found=f"a field {field!r}", expected=f"none of {RESERVED}")
            if not isinstance(value, str | bool | int | float) or (isinstance(value, float) and math.isnan(value)):
                raise InputError(
                    f"settings[{index}][{field!r}]", found=repr(value), expected="a string, boolean or number"
                )
        text = canonical_json(row)
        if text in seen:
            raise InputError(
                f"settings[{index}]", found=f"a repetition of settings[{seen[text]}]", expected="a new cell"
            )
        seen[text] = index
    for field in rows[0]:
        kinds = {_kind(row[field]) for row in rows}
        if len(kinds) > 1:
            raise InputError(
                "settings", found=f"{sorted(kinds)} in field {field!r}", expected="one kind of value per field"
            )
    return rows


def _kind(value: Scalar) -> str:
    return "string" if isinstance(value, str) else "boolean" if isinstance(value, bool) else "number"


def _check_unique(argument: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(argument, found=f"{name!r} twice", expected="a different name for each")
