"""What identifies a fit: a checkpoint is restored only by the fit that wrote it, and a message names what differs."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from causalrep.errors import InputError

# Differences shown of each part of the identity, such as the optimizer, and in all.
_OF_EACH, _SHOWN = 2, 8


def plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity as it comes back from a JSON file.

    Raises:
        InputError: If a value of ``config`` is no plain value.
    """
    return json.loads(json.dumps(identity, default=_plain))


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """What differs between a checkpoint's identity and a fit's, as text; empty if nothing does."""
    there, here = _flat(theirs), _flat(ours)
    differ = [name for name in sorted({*there, *here}) if not _equal(there, here, name)]
    groups: dict[str, list[str]] = {}
    for name in differ:
        groups.setdefault(name.partition(".")[0].partition("[")[0], []).append(name)
    first = [name for names in groups.values() for name in names[:_OF_EACH]][:_SHOWN]
    if not first:
        return ""
    shown = "; ".join(f"{n}: {there.get(n, 'absent')!r} there, {here.get(n, 'absent')!r} here" for n in first)
    return shown + (f" and {len(differ) - len(first)} more" if len(differ) > len(first) else "")


def _equal(there: Mapping[str, Any], here: Mapping[str, Any], name: str) -> bool:
    if name not in there or name not in here:
        return False
    # As text too, since NaN is not equal to itself.
    return there[name] == here[name] or json.dumps(there[name]) == json.dumps(here[name])


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key, item in value.items() for k, v in _flat(item, ".".join(filter(None, (name, key)))).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise InputError("config", found=f"a value of type {type(value).__name__}", expected="plain values")
