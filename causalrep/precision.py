"""Which floating-point precision a computation runs in.

The functional core computes in the dtype of its inputs. Closed-form estimators need float64 (two-stage least
squares in float32 loses three digits on Card's data), which JAX disables by default: the façades and float64
studies run inside :func:`float64`, so a user need not change a global setting and neural code beside
them stays in float32.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Enable 64-bit types within the block, whatever the global setting.

    >>> import jax.numpy as jnp
    >>> with float64():
    ...     print(jnp.ones(1).dtype)
    float64
    """
    with jax.enable_x64(True):
        yield


def in_float64(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a host-level function so that its body runs inside :func:`float64`."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with float64():
            return function(*args, **kwargs)

    return wrapper
