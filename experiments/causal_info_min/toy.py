"""Debiasing a classifier of questions about pictures whose answers' prior shifts."""

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.confounders import coding_rate
from causalrep.confounders.ate_d import ATEDModel, ATEDNetworks, find_confounders, recalibrate
from causalrep.confounders.sufficiency import sufficiency
from causalrep.confounders.te_d import TEDModel, TEDNetworks, TEDOutput, ted_objective
from causalrep.confounders.two_streams import (
    PlainNetworks,
    StreamSizes,
    StreamTraining,
    plain_objective,
    train_streams,
)
from causalrep.confounders.unimodal import UnimodalModel, UnimodalNetworks, unimodal_objective
from causalrep.data import VQASample, answer_prior, bayes_answers, prior_shift_vqa, vqa_prototypes
from causalrep.data.vqa_designs import ANSWERS
from causalrep.study import Ordering, Study, Table, Within, grid
from causalrep.validation import check_range

SHIFT = 2
ABLATIONS = {
    "TE-D": {},
    "TE-D, rate alone": {"contrastive": False},
    "TE-D, contrast alone": {"rate": 0.0},
    "TE-D, neither": {"rate": 0.0, "contrastive": False},
}
STREAMS = {"ATE-D, question": "first", "ATE-D, picture": "second", "ATE-D, joint": "joint"}
UNIMODAL = {
    "Question branch, product": ("product", "first"),
    "Question branch, RUBi": ("rubi", "first"),
    "Picture branch, product": ("product", "second"),
}


@dataclasses.dataclass(frozen=True)
class Toy:
    """A sample to train on, and two to test: with the same prior of answers, and with a shifted one.

    Attributes:
        name: As a config name.
        replications: Draws of prototypes, samples and starts.
        samples: Training rows.
        tests: Rows of either test.
        epochs: Passes over the training rows.
        seed: Root of all random keys.
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
        """The study: draws as replications."""
        accuracy = ("id", "ood", "confounder_id", "confounder_ood")
        rates = ("rate_features", "rate_confounder", "rate_share", "sufficiency", "agreement")
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=grid(samples=[self.samples]),
            replications=self.replications,
            seed=self.seed,
            precision="float32",
            claims=claims(),
            tables=(
                Table(title="Accuracy in distribution (id) and with the answers' prior shifted (ood)", metric=accuracy,
                      note="total effect: logits less the confounder branch's. Bayes: with the true densities, by the "
                      "picture's content alone and with the training prior of answers."),
                Table(title="Information of the confounder representation", metric=rates, reported=False,
                      note="Coding rates in nats over the test rows in distribution; rate_share is their ratio. "
                      "sufficiency is this library's metric, of the confounder for the model's own predictions."),
                Table(title="Weights of ATE-D", metric=("weight_low", "weight_high"), reported=False),
            ),
        )  # fmt: skip


def claims():
    """Section 9 of the card."""
    common = {"min_replications": 3, "source": "card, section 9"}
    total = "TE-D, total effect"
    chance = 1 / ANSWERS
    return (
        Within(metric="rate_share", method="TE-D", high=0.02, **common),
        Within(metric="rate_share", method="TE-D, contrast alone", low=0.2, **common),
        Within(metric="confounder_id", method="TE-D", low=1.5 * chance, **common),
        Within(metric="confounder_ood", method="TE-D", high=chance, **common),
        Within(metric="confounder_behind", method="TE-D, contrast alone", low=-0.05, high=0.05,
               min_replications=3, source="card, section 9; the margin is ours"),
        Within(metric="ood_gain", method=total, low=0.02, **common),
        Within(metric="id_loss", method=total, high=0.02, **common),
        Within(metric="above_bayes", method=total, high=0.02, **common),
        Ordering(metric="sufficiency", methods=("TE-D", "TE-D, contrast alone"), **common),
        Within(metric="weight_low", method="ATE-D, question", low=0.0, **common),
        Within(metric="weight_high", method="ATE-D, question", high=2.0, **common),
    )  # fmt: skip


def replicate(key, setting, *, config: Toy):
    """Every method on one draw."""
    world_key, *sample_keys, fit_key, audit_key = jax.random.split(key, 6)
    prototypes = vqa_prototypes(world_key)
    train = prior_shift_vqa(sample_keys[0], prototypes, n=setting["samples"])
    tests = {
        "id": prior_shift_vqa(sample_keys[1], prototypes, n=config.tests),
        "ood": prior_shift_vqa(sample_keys[2], prototypes, n=config.tests, shift=SHIFT),
    }
    data = {"first": train.question, "second": train.picture, "y": jax.nn.one_hot(train.answer, ANSWERS)}
    sizes, training = StreamSizes(ANSWERS), StreamTraining(config.epochs)
    flat = jnp.full_like(answer_prior(), 0.25)
    metrics = {
        name: {split: accuracy(bayes_answers(s, prototypes, prior), s) for split, s in tests.items()}
        for name, prior in (("Bayes, content alone", flat), ("Bayes, training prior", answer_prior()))
    }

    def scored(logits_of) -> dict[str, Array]:
        return {split: accuracy(jnp.argmax(logits_of(s), axis=1), s) for split, s in tests.items()}

    def trained(objective):
        return train_streams(fit_key, objective, data, training).params

    def applied(networks, params, s: VQASample, *more, **method):
        return networks.apply(params, s.question, s.picture, *more, **method)

    networks, biased = PlainNetworks(sizes), trained(plain_objective(sizes))
    metrics["ERM"] = scored(lambda s: applied(networks, biased, s)[0])
    for name, (fusion, modality) in UNIMODAL.items():
        model = UnimodalModel(sizes, fusion, modality)
        run = partial(applied, UnimodalNetworks(model), trained(unimodal_objective(model)))
        metrics[name] = scored(lambda s, run=run: run(s)[0])
    outputs = {}
    for name, ablation in ABLATIONS.items():
        model = TEDModel(sizes, **ablation)
        run = partial(applied, TEDNetworks(model), trained(ted_objective(model)))
        metrics |= te_d(name, run, scored, tests["id"])
        outputs[name] = run(tests["id"])
    for name, ratio in zip(outputs, sufficiencies(audit_key, outputs.values())):
        metrics[name]["sufficiency"] = ratio
    models = {name: ATEDModel(sizes, stream) for name, stream in STREAMS.items()}
    tokens = [applied(ATEDNetworks(model), biased, train, method="stream") for model in models.values()]
    # The tokens of all streams are equally wide: one program autoencodes them.
    first = models["ATE-D, question"]
    found = jax.lax.map(lambda h: find_confounders(audit_key, h, first)[0], jnp.stack(tokens))
    for j, (name, model) in enumerate(models.items()):
        confounders = jax.tree.map(lambda part, j=j: part[j], found)
        fitted = recalibrate(fit_key, data, biased, confounders, model=model, training=training)
        run = partial(applied, ATEDNetworks(model), fitted.params)
        weights = confounders.weights(run(tests["id"], method="stream"))
        metrics[name] = scored(lambda s, run=run, c=confounders: run(s, c))
        metrics[name] |= {"weight_low": weights.min(), "weight_high": weights.max()}
        metrics[f"{name}, explicit"] = scored(lambda s, run=run, c=confounders: run(s, c, method="explicit"))
    total = metrics["TE-D, total effect"]
    total["ood_gain"] = total["ood"] - metrics["ERM"]["ood"]
    total["id_loss"] = metrics["ERM"]["id"] - total["id"]
    total["above_bayes"] = total["ood"] - metrics["Bayes, content alone"]["ood"]
    return metrics


def te_d(name: str, run: Callable[[VQASample], TEDOutput], scored, s: VQASample) -> dict[str, dict[str, Array]]:
    """Both predictions of TE-D, its confounder's own, and what the confounder holds."""
    own, bias = scored(lambda rows: run(rows).logits), scored(lambda rows: run(rows).confounder_logits)
    out = run(s)
    rates = coding_rate(out.features), coding_rate(out.confounder)
    agrees = jnp.argmax(out.confounder_logits, axis=1) == jnp.argmax(out.logits, axis=1)
    return {
        name: {
            **own,
            "confounder_id": bias["id"],
            "confounder_ood": bias["ood"],
            "confounder_behind": own["id"] - bias["id"],
            "rate_features": rates[0],
            "rate_confounder": rates[1],
            "rate_share": rates[1] / rates[0],
            "agreement": jnp.mean(agrees.astype(jnp.float32)),
        },
        f"{name}, total effect": scored(lambda rows: run(rows).total_effect),
    }


def sufficiencies(key, outputs: Iterable[TEDOutput]) -> Float[Array, " models"]:
    """Sufficiency of each model's confounder for its predictions."""
    outputs = list(outputs)
    width = outputs[0].features.shape[1]
    # Columns of zeros count for nothing: with them one program serves all models.
    confounders = [jnp.pad(out.confounder, ((0, 0), (0, width - out.confounder.shape[1]))) for out in outputs]
    arguments = confounders, [out.features for out in outputs], [jnp.argmax(out.logits, axis=1) for out in outputs]
    return jax.lax.map(
        lambda part: sufficiency(key, *part, classes=ANSWERS).ratio, tuple(jnp.stack(part) for part in arguments)
    )


def accuracy(predicted: Array, s: VQASample) -> Array:
    """Share of right answers."""
    return jnp.mean((predicted == s.answer).astype(jnp.float32))
