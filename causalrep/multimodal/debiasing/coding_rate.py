"""The coding rate: how much information a set of features holds, as a differentiable function of them."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def coding_rate(z: Float[Array, "m d"], eps: float = 0.01) -> Float[Array, ""]:
    """``1/2 log det(I + d / (m eps) Z'Z)`` in nats: 0 for ``z = 0``, and rising with scale and with diversity.

    Equal to ``sum_i 1/2 log(1 + d s_i^2 / (m eps))`` over the singular values of Z; computed from the smaller of the
    two Gram matrices.

    Args:
        z: Features, one row per sample; not centered.
        eps: The distortion. The source has its square here; the code of the paper that uses the rate for confounders
            does not.

    Source: Yu, Chan, You, Song and Ma (2020), NeurIPS, as in Patil, Maharana and Bansal (2023).

    >>> import jax.numpy as jnp
    >>> float(coding_rate(jnp.zeros((3, 2))))
    0.0
    """
    m, d = z.shape
    gram = z @ z.T if m < d else z.T @ z
    # log det of a positive definite matrix is twice the sum of the logarithms of its Cholesky diagonal.
    factor = jnp.linalg.cholesky(jnp.eye(len(gram), dtype=z.dtype) + d / (m * eps) * gram)
    return jnp.sum(jnp.log(jnp.diagonal(factor)))
