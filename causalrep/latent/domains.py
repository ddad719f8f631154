"""Labels of domains at a façade's door: from the user's words to codes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Int

from causalrep.errors import InputError


def domain_codes(argument: str, labels: Any, *, domains: Sequence[Any], rows: int) -> Int[jax.Array, " rows"]:
    """Codes of the domains known from fitting; one label stands for all rows.

    Args:
        argument: The name to use in errors.
        labels: One label, or one a row.
        domains: Known labels, in the order of their codes.
        rows: How many rows there are.

    Raises:
        InputError: If a label is unknown, or there are too few or too many.
    """
    given = np.asarray(labels).reshape(-1)
    if len(given) not in (1, rows):
        raise InputError(argument, found=f"{len(given)} labels", expected=f"one, or {rows}")
    known = {label: code for code, label in enumerate(domains)}
    unknown = [label for label in pd.unique(given) if label not in known]
    if unknown:
        raise InputError(argument, found=f"unknown domains {unknown}", expected=f"labels among {list(domains)}")
    return jnp.broadcast_to(jnp.asarray([known[label] for label in given], jnp.int32), (rows,))
