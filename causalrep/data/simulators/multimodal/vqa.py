"""A small substitute for visual question answering in which the prior of the answers shifts, as functions of a key.

The simulation is our own. Questions have a type, images have a content, and each pair of both has an answer. In
distribution the type of a question predicts the content of its image; out of distribution it predicts another content.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

QUESTIONS, CONTENTS = 8, 4
ANSWERS = QUESTIONS * CONTENTS
QUESTION_NOISE, IMAGE_NOISE = 0.3, 1.6  # standard deviations
LIKELY, OTHER = 0.7, 0.1  # probabilities of a content given the type


class VQAPrototypes(NamedTuple):
    """Embeddings without noise.

    Attributes:
        questions: Embeddings of the question types (8, 16).
        contents: Embeddings of the image contents (4, 16).
    """

    questions: Float[Array, "8 16"]
    contents: Float[Array, "4 16"]


class VQASample(NamedTuple):
    """Questions about images.

    Attributes:
        question: Embeddings of the questions (n, 16).
        image: Embeddings of the images, which are much noisier (n, 16).
        answer: Answers ``4 type + content``, from 0 to 31 (n,).
    """

    question: Float[Array, "n 16"]
    image: Float[Array, "n 16"]
    answer: Int[Array, " n"]


def vqa_prototypes(key: Key[Array, ""]) -> VQAPrototypes:
    """Standard normal embeddings of all types and contents."""
    question_key, content_key = jax.random.split(key)
    return VQAPrototypes(
        jax.random.normal(question_key, (QUESTIONS, 16)), jax.random.normal(content_key, (CONTENTS, 16))
    )


def answer_prior(shift: int = 0) -> Float[Array, "8 4"]:
    """Probability of each content given the question's type (8, 4): 0.7 for ``(type + shift) mod 4``, else 0.1."""
    likely = (jnp.arange(QUESTIONS)[:, None] + shift) % CONTENTS == jnp.arange(CONTENTS)
    return jnp.where(likely, LIKELY, OTHER)


def prior_shift_vqa(key: Key[Array, ""], prototypes: VQAPrototypes, *, n: int = 6000, shift: int = 0) -> VQASample:
    """Draw questions about images.

    Args:
        key: Random key.
        prototypes: Embeddings of types and contents.
        n: Sample size.
        shift: Shift of the content that a type makes likely: 0 in distribution, 2 out of distribution.

    >>> from causalrep.keys import root
    >>> prior_shift_vqa(root(1), vqa_prototypes(root(0)), n=50).image.shape
    (50, 16)
    """
    type_key, content_key, question_key, image_key = jax.random.split(key, 4)
    kind = jax.random.randint(type_key, (n,), 0, QUESTIONS)
    content = jax.random.categorical(content_key, jnp.log(answer_prior(shift))[kind])
    question = prototypes.questions[kind] + QUESTION_NOISE * jax.random.normal(question_key, (n, 16))
    image = prototypes.contents[content] + IMAGE_NOISE * jax.random.normal(image_key, (n, 16))
    return VQASample(question, image, CONTENTS * kind + content)


def bayes_answers(s: VQASample, prototypes: VQAPrototypes, prior: Float[Array, "8 4"]) -> Int[Array, " n"]:
    """The most probable answers under a prior of contents given types (n,).

    A flat prior ignores what the type of the question says about the content.
    """

    def log_density(x: Array, centers: Array, noise: float) -> Array:
        return -0.5 * jnp.sum((x[:, None] - centers) ** 2, axis=-1) / noise**2

    question = log_density(s.question, prototypes.questions, QUESTION_NOISE)
    image = log_density(s.image, prototypes.contents, IMAGE_NOISE)
    joint = question[:, :, None] + image[:, None, :] + jnp.log(prior)
    return jnp.argmax(joint.reshape(len(s.answer), -1), axis=1)
