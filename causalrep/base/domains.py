"""Domains of hyperparameters: declared once per class, checked in ``fit``, and read by the tests and the docs.

A class lists one for each argument of its constructor::

    _domains = {"alpha": Real(above=0), "k": Whole(), "metric": Choice("mahalanobis", "euclidean"), "seed": Whole(None)}

A domain refuses a wrong value by the name of its argument and knows examples of wrong values; NumPy's scalars count as
Python's numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

import jax
import numpy as np

from causalrep.base.validation import check_choice, check_count, check_range, check_widths
from causalrep.errors import InputError


class Domain(Protocol):
    """What a hyperparameter may be."""

    def check(self, argument: str, value: Any) -> None:
        """Raise an :class:`~causalrep.errors.InputError` that names ``argument`` if ``value`` is not in the domain."""

    def wrong(self) -> list[Any]:
        """Some values out of the domain, for tests."""


@dataclass(frozen=True)
class Real:
    """A finite number: beyond ``above`` and ``below``, from ``at_least`` to ``at_most``."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def check(self, argument: str, value: Any) -> None:
        """Refuse what is no number or out of bounds."""
        check_range(argument, value, above=self.above, at_least=self.at_least, below=self.below, at_most=self.at_most)

    def wrong(self) -> list[Any]:
        """NaN, infinity, text, a list, a truth value, and a number beyond each bound."""
        outside = [bound for bound in (self.above, self.below) if bound is not None]
        outside += [self.at_least - 1] if self.at_least is not None else []
        outside += [self.at_most + 1] if self.at_most is not None else []
        return [float("nan"), float("inf"), "much", [1.0], True, *outside]


@dataclass(frozen=True)
class Whole:
    """A whole number of at least ``at_least`` that ``multiple`` divides; a seed is ``Whole(None)``."""

    at_least: int | None = 1
    multiple: int = 1

    def check(self, argument: str, value: Any) -> None:
        """Refuse what is no whole number, too small, or no multiple."""
        if self.at_least is not None:
            check_count(argument, value, at_least=self.at_least)
        elif isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
            raise InputError(argument, found=repr(value), expected="a whole number")
        if value % self.multiple:
            raise InputError(argument, found=repr(value), expected=f"a multiple of {self.multiple}")

    def wrong(self) -> list[Any]:
        """A fraction, text, a truth value, a number below the bound, and one between two multiples."""
        few = [] if self.at_least is None else [self.at_least - 1]
        return [1.5, "three", True, float("nan"), *few, *([] if self.multiple == 1 else [10 * self.multiple + 1])]


class Choice:
    """One of several words."""

    def __init__(self, *words: str):
        self.words = words

    def check(self, argument: str, value: Any) -> None:
        """Refuse other words, and what is no word."""
        if not isinstance(value, str):
            raise InputError(argument, found=repr(value), expected="one of " + ", ".join(map(repr, self.words)))
        check_choice(argument, value, self.words)

    def wrong(self) -> list[Any]:
        """Another word, another spelling, no word."""
        return ["no such word", self.words[0].upper() + " ", 1, np.zeros(2)]


class Flag:
    """True or False."""

    def check(self, argument: str, value: Any) -> None:
        """Refuse what is no truth value."""
        if not isinstance(value, bool | np.bool_):
            raise InputError(argument, found=repr(value), expected="True or False")

    def wrong(self) -> list[Any]:
        """Numbers and words that only look like truth values."""
        return [2, "yes", None, np.zeros(2)]


@dataclass(frozen=True)
class Widths:
    """Widths of hidden layers, a tuple of whole numbers; ``empty`` allows a network without hidden layers."""

    empty: bool = True

    def check(self, argument: str, value: Any) -> None:
        """Refuse what are no widths."""
        check_widths(argument, value, empty=self.empty)

    def wrong(self) -> list[Any]:
        """A number, a width of zero, a fraction, text."""
        return [64, (0,), (1.5,), "wide", *([] if self.empty else [()])]


@dataclass(frozen=True)
class Range:
    """A pair (lowest, highest) of numbers above 0, the ends of a logarithmic scale; equal ends are allowed."""

    def check(self, argument: str, value: Any) -> None:
        """Refuse what is no pair, and by its position an end that is wrong."""
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise InputError(argument, found=repr(value), expected="a pair (lowest, highest)")
        low = check_range(f"{argument}[0]", value[0], above=0)
        check_range(f"{argument}[1]", value[1], at_least=low)

    def wrong(self) -> list[Any]:
        """A number, text, one end, an end at 0, ends in the wrong order, an infinite end."""
        return [1.0, "wide", (1.0,), (0.0, 1.0), (1.0, 0.5), (1.0, float("inf"))]


@dataclass(frozen=True)
class Several:
    """A tuple or list of values of another domain, at least ``least`` of them."""

    domain: Any
    least: int = 0

    def check(self, argument: str, value: Any) -> None:
        """Refuse what is no tuple or too short, and by its position an entry that is wrong."""
        if not isinstance(value, tuple | list) or len(value) < self.least:
            expected = f"a tuple of at least {self.least}" if self.least else "a tuple"
            raise InputError(argument, found=repr(value), expected=expected)
        for position, entry in enumerate(value):
            self.domain.check(f"{argument}[{position}]", entry)

    def wrong(self) -> list[Any]:
        """Text, a mapping, too few, and one wrong entry."""
        few = [()] if self.least else []
        return ["several", {}, *few, *((entry,) for entry in self.domain.wrong())]


@dataclass(frozen=True)
class Optional:
    """None, or a value of another domain."""

    domain: Any

    def check(self, argument: str, value: Any) -> None:
        """Refuse what the other domain refuses, None aside."""
        if value is not None:
            self.domain.check(argument, value)

    def wrong(self) -> list[Any]:
        """What is wrong for the other domain."""
        return [value for value in self.domain.wrong() if value is not None]


class Either:
    """A value of any of several domains."""

    def __init__(self, *domains: Any):
        self.domains = domains

    def check(self, argument: str, value: Any) -> None:
        """Refuse what all of them refuse."""
        expected = []
        for domain in self.domains:
            try:
                return domain.check(argument, value)
            except InputError as error:
                expected.append(error.expected)
        raise InputError(argument, found=repr(value), expected=", or ".join(expected))

    def wrong(self) -> list[Any]:
        """What is wrong for all of them."""

        def refused(value: Any) -> bool:
            try:
                self.check("value", value)
            except InputError:
                return True
            return False

        return [value for domain in self.domains for value in domain.wrong() if refused(value)]


@dataclass(frozen=True)
class Instance:
    """An instance of a class, not the class itself, or an object that ``test`` accepts.

    Attributes:
        expected: What is expected, in words.
        test: Whether a value will do.
    """

    expected: str
    test: Callable[[Any], bool]

    def check(self, argument: str, value: Any) -> None:
        """Refuse a class where an instance is wanted, and what the test does not accept."""
        if isinstance(value, type):
            found = f"the class {value.__name__}"
            raise InputError(argument, found=found, expected=f"an instance: {value.__name__}(...)")
        if not self.test(value):
            raise InputError(argument, found=repr(value), expected=self.expected)

    def wrong(self) -> list[Any]:
        """A class, a number, a word."""
        return [dict, 3.5, "no such thing"]


def check_domains(domains: dict[str, Any], values: dict[str, Any]) -> None:
    """Check every value by the domain of its name, where there are both: a user's subclass may have other arguments."""
    for argument, domain in domains.items():
        if argument in values:
            domain.check(argument, values[argument])


def plain(value: Any) -> Any:
    """NumPy's and JAX's scalars as Python's numbers of the same value, inside tuples and lists too; the rest as it is.

    Python's numbers are hashed, printed and promoted in one way, so that two spellings of a number choose one compiled
    program and give one answer.
    """
    concrete = isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer)
    if isinstance(value, np.generic) or (concrete and value.ndim == 0):
        return value.item()
    if isinstance(value, tuple | list):
        entries = [plain(entry) for entry in value]
        if all(new is old for new, old in zip(entries, value)):
            return value
        return value._make(entries) if hasattr(value, "_make") else type(value)(entries)
    return value


def check_fields(instance: Any) -> None:
    """Check the fields of a frozen dataclass by its ``_domains``, for its ``__post_init__``.

    Scalars become Python's numbers and lists become tuples, which can be hashed. Values traced by JAX pass unseen.
    """
    for field in fields(instance):
        value = getattr(instance, field.name)
        if isinstance(value, jax.core.Tracer):
            continue
        value = plain(value)
        instance._domains[field.name].check(field.name, value)
        object.__setattr__(instance, field.name, tuple(value) if isinstance(value, list) else value)
