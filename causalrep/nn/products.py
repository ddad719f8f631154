"""Matrix products whose gradients are fast on a CPU."""

from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Float


def dense_product(
    x: Float[Array, "... i"],
    kernel: Float[Array, "i o"],
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Float[Array, "... o"]:
    """``x @ kernel`` as the ``dot_general`` of a ``flax.linen.Dense``, with a weight gradient that is faster on a CPU.

    That gradient is ``x^T d``. XLA's CPU backend (jaxlib 0.10.2) multiplies by a transposed left factor at a third of
    its speed once the result is wider than about 100, unless the transpose is stored in memory, as it is here. The
    training step of a network of width 200 becomes almost twice as fast. Only reverse-mode derivatives are defined.

    Args:
        x: Inputs.
        kernel: Weights.
        dimension_numbers: Ignored: ``Dense`` always passes the same ones, and only those are supported.
        precision: As in ``jax.lax.dot_general``.
        preferred_element_type: As in ``jax.lax.dot_general``.
    """
    del dimension_numbers
    rows = _product(x.reshape(-1, x.shape[-1]), kernel, precision, preferred_element_type)
    return rows.reshape(*x.shape[:-1], kernel.shape[1])


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _product(x, kernel, precision, preferred_element_type):
    return jax.numpy.matmul(x, kernel, precision=precision, preferred_element_type=preferred_element_type)


def _forward(x, kernel, precision, preferred_element_type):
    return _product(x, kernel, precision, preferred_element_type), (x, kernel)


def _backward(precision, preferred_element_type, kept, gradient):
    x, kernel = kept
    # The barrier keeps XLA from folding the transpose back into the product.
    transposed = jax.lax.optimization_barrier(x.T)
    dx = jax.numpy.matmul(gradient, kernel.T, precision=precision).astype(x.dtype)
    return dx, jax.numpy.matmul(transposed, gradient, precision=precision).astype(kernel.dtype)


_product.defvjp(_forward, _backward)
