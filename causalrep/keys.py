"""Random keys with names: one root per seed, and one stream per purpose.

A program that needs several streams names them: ``derive(key, "data")``, ``derive(key, "fit")``. Two rules keep streams
apart. Never call both ``jax.random.split`` and ``jax.random.fold_in`` on one key: in JAX 0.10 ``split(key, n)[i]`` *is*
``fold_in(key, i)``. And never compute a second seed by arithmetic: the streams of ``seed + 1`` are the ones that a user
gets who asks for the next seed.
"""

import functools
import hashlib

import jax
from jaxtyping import Array, Int, Key

# Pinned: with JAX's default, the environment variable JAX_DEFAULT_PRNG_IMPL would choose the numbers of a study.
IMPLEMENTATION = "threefry2x32"
_NAMED = 1 << 31


def root(seed: int | Int[Array, ""]) -> Key[Array, ""]:
    """The root key of a seed, whatever the environment's default generator is.

    >>> bool((jax.random.key_data(root(3)) == jax.random.key_data(root(3))).all())
    True
    """
    return jax.random.key(seed, impl=IMPLEMENTATION)


def derive(key: Key[Array, ""], *names: str) -> Key[Array, ""]:
    """The key of a named purpose; several names are a path.

    The same name gives the same key in every process and release. Works under ``jit`` and ``vmap``.

    Args:
        key: The key that the purposes share. It may also be split, or folded with small counters, since the numbers of
            names start at 2^31.
        *names: The purpose of the key, for example ``"data"``, or ``"fit", "validation"``.

    >>> key = root(0)
    >>> bool(jax.random.uniform(derive(key, "data")) != jax.random.uniform(derive(key, "fit")))
    True
    """
    for name in names:
        key = jax.random.fold_in(key, _number(name))
    return key


@functools.cache
def _number(name: str) -> int:
    # A 31-bit hash with the top bit set. split and counters fold in small numbers, so no name can meet them.
    digest = hashlib.sha256(name.encode("utf-8")).digest()
    return _NAMED | int.from_bytes(digest[:4], "big")
