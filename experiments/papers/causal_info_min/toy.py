"""Debiasing a classifier of questions about images, where the prior of the answers shifts."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from causalrep.base.validation import check_range
from causalrep.data import prior_shift_vqa, vqa_prototypes
from causalrep.data.simulators.multimodal.vqa import ANSWERS, VQASample, answer_prior, bayes_answers
from causalrep.multimodal.debiasing.two_streams import StreamSizes
from causalrep.study import Study, Within, grid
from causalrep.training.rows import Schedule
from experiments.papers.causal_info_min.methods import (
    SEVERAL,
    Pairs,
    accuracy,
    claims_of_any_data,
    every_method,
    tables,
)

SHIFT = 2


@dataclasses.dataclass(frozen=True)
class Toy:
    """A training sample and two test samples: with the same prior of answers, and with a shifted one.

    Attributes:
        name: Config name.
        replications: Number of draws of prototypes, samples and starts.
        samples: Number of training rows.
        tests: Number of rows of either test sample.
        epochs: Passes over the training rows.
        seed: Random seed.
    """

    name: str = "causal_info_min/toy"
    replications: int = 10
    samples: int = 6000
    tests: int = 4000
    epochs: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        for field in ("replications", "samples", "tests", "epochs"):
            check_range(field, getattr(self, field), at_least=1)

    def study(self) -> Study:
        """The study, with draws as replications."""
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=grid(samples=[self.samples]),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            claims=claims(),
            tables=tables(),
        )


def claims():
    """The claims in section 9 of the card."""
    common = {"min_replications": 3, "source": "card, section 9"}
    total, chance = "TE-D, total effect", 1 / ANSWERS
    return (
        *claims_of_any_data(),
        Within(metric="confounder_id", method="TE-D", low=1.5 * chance, **common),
        Within(metric="confounder_ood", method="TE-D", high=chance, **common),
        Within(metric="ood_gain", method=total, low=0.02, **common),
        Within(metric="ood_gain", method=f"{SEVERAL}, total effect", low=0.02, min_replications=3, source="ours"),
        Within(metric="above_bayes", method=total, high=0.02, **common),
    )


def replicate(key, setting, *, config: Toy):
    """Every method on one draw."""
    world_key, *sample_keys, fit_key, audit_key = jax.random.split(key, 6)
    prototypes = vqa_prototypes(world_key)
    train = prior_shift_vqa(sample_keys[0], prototypes, n=setting["samples"])
    tests = {
        "id": prior_shift_vqa(sample_keys[1], prototypes, n=config.tests),
        "ood": prior_shift_vqa(sample_keys[2], prototypes, n=config.tests, shift=SHIFT),
    }
    rows = {split: pairs_of(s) for split, s in tests.items()}
    metrics = every_method(
        fit_key, audit_key, pairs_of(train), rows, sizes=StreamSizes(ANSWERS), schedule=Schedule(epochs=config.epochs)
    )
    flat = jnp.full_like(answer_prior(), 0.25)
    for name, prior in (("Bayes, content alone", flat), ("Bayes, training prior", answer_prior())):
        metrics[name] = {
            split: accuracy(bayes_answers(s, prototypes, prior), rows[split]) for split, s in tests.items()
        }
    total = metrics["TE-D, total effect"]
    total["above_bayes"] = total["ood"] - metrics["Bayes, content alone"]["ood"]
    return metrics


def pairs_of(s: VQASample) -> Pairs:
    """A sample of the generator as embeddings with one correct answer each."""
    return Pairs(s.question, s.image, jax.nn.one_hot(s.answer, ANSWERS))
