"""The floating-point precision of a computation.

The functional cores compute in the dtype of their inputs. Closed-form estimators need float64 (two-stage least squares
in float32 loses three digits on Card's data), which JAX disables by default. Façades and float64 studies therefore run
inside :func:`float64`: the user need not change a global setting, and neural code beside them stays in float32. Where
there is no float64 (TPUs have no float64 factorizations), :func:`full_products` at least keeps the products of float32
matrices from being rounded to bfloat16 or TF32.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

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


def keep_float64(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a pure function of arrays so that NumPy's float64 is not rounded to float32.

    If 64-bit types are disabled and an argument is a float64 array, a frame or a list of floats, the function runs
    inside :func:`float64` and its arrays come back as NumPy's, since JAX outside of that block would round them. Under
    ``jit`` and ``vmap`` nothing changes: there the caller has chosen the precision.

    >>> mean = keep_float64(lambda x: jnp.mean(jnp.asarray(x)))
    >>> mean(np.array([1e9, 1e9 + 1])) - 1e9, mean(jnp.ones(2)).dtype.name
    (np.float64(0.5), 'float32')
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        values = (*args, *kwargs.values())
        if not any(map(_is_float64, values)) or jax.dtypes.canonicalize_dtype(np.float64) == np.float64:
            return function(*args, **kwargs)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in (*jax.tree.leaves(values), jnp.zeros(()))):
            return function(*args, **kwargs)
        with float64():
            result = function(*args, **kwargs)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[()] if isinstance(leaf, jax.Array) else leaf, result)

    return wrapper


def _is_float64(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) > 0 and (isinstance(value[0], float) or _is_float64(value[0]))
    if isinstance(value, np.ndarray | jax.Array):
        return value.ndim > 0 and value.dtype in (np.float64, object)
    return hasattr(value, "to_numpy")  # a frame or a Series


def full_products(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a closed-form function so that its matrix products keep the precision of their operands.

    By default TPUs multiply float32 matrices in one bfloat16 pass (3 digits) and recent GPUs in TF32. That suits neural
    training but ruins least squares. In float64, and on a CPU, nothing changes.

    >>> import jax.numpy as jnp
    >>> product = full_products(lambda a: a @ a)
    >>> "HIGHEST" in str(jax.make_jaxpr(product)(jnp.ones((2, 2))))
    True
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return wrapper
