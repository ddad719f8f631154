"""A substitute for the News benchmark: word counts of synthetic documents, with the benchmark's outcome model.

News (Johansson, Shalit and Sontag 2016) simulates the experience of readers on a phone or a computer from the topics of
New York Times articles, which are not public. Here topics and documents are random too, so results are not comparable
with published results on News.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

SHORTEST, LONGEST = 100, 300  # words per document


class NewsSample(NamedTuple):
    """Documents, treatment and outcomes.

    Attributes:
        x: Word counts (n, words).
        z: Topic shares, which are not observed (n, topics).
        t: Treatment, 0 or 1 (n,).
        y: Observed outcome (n,).
        mu0: Expected outcome without treatment (n,).
        mu1: Expected outcome with treatment (n,).
        propensity: Probability of treatment (n,).
    """

    x: Float[Array, "n words"]
    z: Float[Array, "n topics"]
    t: Float[Array, " n"]
    y: Float[Array, " n"]
    mu0: Float[Array, " n"]
    mu1: Float[Array, " n"]
    propensity: Float[Array, " n"]


def draw_news(
    key: Key[Array, ""],
    n: int = 5000,
    *,
    words: int = 3477,
    topics: int = 50,
    concentration: float = 0.1,
    scale: float = 50.0,
    selection: float = 10.0,
) -> NewsSample:
    """One data set of documents, treatments and outcomes.

    Topics are Dirichlet over words, topic shares are Dirichlet over topics, and a document's 100 to 300 words are
    multinomial. With the centroids ``z1`` (a random document) and ``z0`` (the mean document),
    ``y(t) = C (z.z0 + t z.z1) + N(0, 1)`` and ``P(t=1) = exp(k z.z1) / (exp(k z.z0) + exp(k z.z1))``.

    Args:
        key: Random key.
        n: Number of documents.
        words: Size of the vocabulary.
        topics: Number of topics.
        concentration: Concentration of both Dirichlet distributions.
        scale: Scale C of the outcome.
        selection: Strength k of the selection; 0 randomizes the treatment.

    >>> from causalrep.keys import root
    >>> draw_news(root(0), 20, words=30, topics=5).x.shape
    (20, 30)
    """
    topic_key, share_key, length_key, word_key, center_key, t_key, y_key = jax.random.split(key, 7)
    vocabulary = jax.random.dirichlet(topic_key, jnp.full(words, concentration), (topics,))
    z = jax.random.dirichlet(share_key, jnp.full(topics, concentration), (n,))
    x = _documents(word_key, z @ vocabulary, jax.random.randint(length_key, (n,), SHORTEST, LONGEST + 1))
    random_document = z[jax.random.randint(center_key, (), 0, n)]
    base, gain = z @ jnp.mean(z, axis=0), z @ random_document
    propensity = jax.nn.sigmoid(selection * (gain - base))
    t = jax.random.bernoulli(t_key, propensity).astype(z.dtype)
    mu0, mu1 = scale * base, scale * (base + gain)
    y = jnp.where(t == 1, mu1, mu0) + jax.random.normal(y_key, (n,))
    return NewsSample(x, z, t, y, mu0, mu1, propensity)


def _documents(
    key: Key[Array, ""], shares: Float[Array, "n words"], lengths: Int[Array, " n"]
) -> Float[Array, "n words"]:
    """Multinomial counts, by drawing the words of a document one by one, much faster than drawing binomial counts."""
    uniforms = jax.random.uniform(key, (shares.shape[0], LONGEST))
    cumulative = jnp.cumsum(shares, axis=1)
    words = jax.vmap(jnp.searchsorted)(cumulative / cumulative[:, -1:], uniforms)
    # All documents draw the same number of words, so that shapes are static; words beyond a document's length weigh 0.
    written = (jnp.arange(LONGEST) < lengths[:, None]).astype(shares.dtype)
    return jax.vmap(lambda w, m: jnp.zeros(shares.shape[1], shares.dtype).at[w].add(m))(words, written)
