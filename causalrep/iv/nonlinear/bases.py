"""Series bases for sieves: tensor products of B-splines, and polynomials up to a total degree."""

import dataclasses
import itertools
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.errors import InputError

BasisKind = Literal["spline", "polynomial"]
CUBIC = 3
MOST_TERMS = 2000


@partial(jax.tree_util.register_dataclass, data_fields=["knots"], meta_fields=["powers", "kind"])
@dataclasses.dataclass(frozen=True)
class Basis:
    """A series basis of ``d`` inputs: products of one-dimensional functions.

    Attributes:
        knots: Spline knots of each input (d, terms - 2), from its least to its greatest value; for polynomials only the
            two ends (d, 2). Values beyond an end are clipped to it.
        powers: The one-dimensional function of each input that a term multiplies (J, d); the first row is all zeros.
        kind: ``"spline"`` or ``"polynomial"``.
    """

    knots: Float[Array, "d g"]
    powers: tuple[tuple[int, ...], ...]
    kind: BasisKind

    @property
    def size(self) -> int:
        """Number J of terms."""
        return len(self.powers)


def make_basis(x: Float[Array, "n d"], terms: int, kind: BasisKind = "spline") -> Basis:
    """The basis for inputs distributed like ``x``.

    Args:
        x: Inputs.
        terms: Number of one-dimensional functions per input: cubic B-splines with knots at quantiles (at least 4), as a
            tensor product (``terms ** d`` of them); or Legendre polynomials of degree below ``terms``, combined up to
            that total degree.
        kind: ``"spline"`` or ``"polynomial"``.

    Raises:
        InputError: If there would be more than 2,000 terms.
    """
    d = x.shape[1]
    powers = list(itertools.product(range(terms), repeat=d)) if terms**d <= 10**6 else []
    if kind == "polynomial":
        powers = sorted((power for power in powers if sum(power) < terms), key=lambda power: (sum(power), power))
    if not 0 < len(powers) <= MOST_TERMS:
        raise InputError(
            "terms", found=f"{terms} for {d} inputs, {terms}^{d} products", expected=f"at most {MOST_TERMS} of them"
        )
    shares = jnp.linspace(0.0, 1.0, terms - CUBIC + 1 if kind == "spline" else 2)
    return Basis(jnp.quantile(x, shares, axis=0).T, tuple(powers), kind)


def evaluate_basis(basis: Basis, x: Float[Array, "n d"]) -> Float[Array, "n J"]:
    """Every term at every row.

    Splines of one input sum to one, so a constant lies in the span of either kind.
    """
    functions = []
    for j in range(x.shape[1]):
        knots = basis.knots[j]
        column = jnp.clip(x[:, j], knots[0], knots[-1])
        functions.append(_splines(column, knots) if basis.kind == "spline" else _legendre(column, knots, basis))
    powers = np.asarray(basis.powers)
    product = functions[0][:, powers[:, 0]]
    for j, values in enumerate(functions[1:], start=1):
        product = product * values[:, powers[:, j]]
    return product


def _legendre(x: Float[Array, " n"], ends: Float[Array, "2"], basis: Basis) -> Float[Array, "n k"]:
    u = 2 * (x - ends[0]) / (ends[1] - ends[0]) - 1
    values = [jnp.ones_like(u), u]
    for degree in range(1, max(map(max, basis.powers))):
        values.append(((2 * degree + 1) * u * values[-1] - degree * values[-2]) / (degree + 1))
    return jnp.stack(values, axis=1)


def _splines(x: Float[Array, " n"], knots: Float[Array, " g"]) -> Float[Array, "n k"]:
    """Cubic B-splines by Cox and de Boor's recursion, on knots whose ends count four times."""
    full = jnp.concatenate([jnp.full(CUBIC, knots[0]), knots, jnp.full(CUBIC, knots[-1])])
    # The last interval is closed; otherwise the greatest value would belong to no interval.
    cell = jnp.clip(jnp.searchsorted(full, x, side="right") - 1, CUBIC, len(full) - CUBIC - 2)
    values = (cell[:, None] == jnp.arange(len(full) - 1)).astype(x.dtype)
    for order in range(1, CUBIC + 1):
        left, right = full[:-order], full[order:]
        width = right - left
        ramp = jnp.where(width > 0, (x[:, None] - left) / jnp.where(width > 0, width, 1.0), 0.0)
        values = ramp[:, :-1] * values[:, :-1] + (1 - ramp[:, 1:]) * jnp.where(width[1:] > 0, values[:, 1:], 0.0)
    return values
