"""A small stand-in for visual question answering with a shift of the answers' prior, as pure functions of a key.

Recipe of this library's own: questions of a type, pictures of a content, and an answer for each pair. In training and
in distribution the question's type predicts the content; out of distribution it predicts another one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

QUESTIONS, CONTENTS = 8, 4
ANSWERS = QUESTIONS * CONTENTS
QUESTION_NOISE, PICTURE_NOISE = 0.3, 1.6
LIKELY, OTHER = 0.7, 0.1


class VQAPrototypes(NamedTuple):
    """Embeddings without noise: of question types (8, 16) and of picture contents (4, 16)."""

    questions: Float[Array, "8 16"]
    contents: Float[Array, "4 16"]


class VQASample(NamedTuple):
    """Questions about pictures.

    Attributes:
        question: Embeddings (n, 16).
        picture: Embeddings, much noisier (n, 16).
        answer: ``4 type + content``, one of 32 (n,).
    """

    question: Float[Array, "n 16"]
    picture: Float[Array, "n 16"]
    answer: Int[Array, " n"]


def vqa_prototypes(key: Key[Array, ""]) -> VQAPrototypes:
    """Standard normal prototypes."""
    question_key, content_key = jax.random.split(key)
    return VQAPrototypes(
        jax.random.normal(question_key, (QUESTIONS, 16)), jax.random.normal(content_key, (CONTENTS, 16))
    )


def answer_prior(shift: int = 0) -> Float[Array, "8 4"]:
    """Probability of each content given the question's type: 0.7 on content ``(type + shift) mod 4``."""
    likely = (jnp.arange(QUESTIONS)[:, None] + shift) % CONTENTS == jnp.arange(CONTENTS)
    return jnp.where(likely, LIKELY, OTHER)


def prior_shift_vqa(key: Key[Array, ""], prototypes: VQAPrototypes, *, n: int = 6000, shift: int = 0) -> VQASample:
    """Draw questions about pictures.

    Args:
        key: Random key.
        prototypes: Embeddings of types and contents.
        n: Sample size.
        shift: Of the content that a type makes likely: 0 in distribution, 2 out of it.
    """
    type_key, content_key, question_key, picture_key = jax.random.split(key, 4)
    kind = jax.random.randint(type_key, (n,), 0, QUESTIONS)
    content = jax.random.categorical(content_key, jnp.log(answer_prior(shift))[kind])
    question = prototypes.questions[kind] + QUESTION_NOISE * jax.random.normal(question_key, (n, 16))
    picture = prototypes.contents[content] + PICTURE_NOISE * jax.random.normal(picture_key, (n, 16))
    return VQASample(question, picture, CONTENTS * kind + content)


def bayes_answers(s: VQASample, prototypes: VQAPrototypes, prior: Float[Array, "8 4"]) -> Int[Array, " n"]:
    """The most probable answers under a prior of contents given types; a flat one uses the picture's content alone."""

    def log_density(x: Array, centres: Array, noise: float) -> Array:
        return -0.5 * jnp.sum((x[:, None] - centres) ** 2, axis=-1) / noise**2

    question = log_density(s.question, prototypes.questions, QUESTION_NOISE)
    picture = log_density(s.picture, prototypes.contents, PICTURE_NOISE)
    joint = question[:, :, None] + picture[:, None, :] + jnp.log(prior)
    return jnp.argmax(joint.reshape(len(s.answer), -1), axis=1)
