"""Every method of causal information minimization on one training set and two test sets; tables and claims."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from causalrep.multimodal import coding_rate
from causalrep.multimodal.debiasing.ate_d import ATEDModel, ATEDNetworks, Confounders, find_confounders, recalibrate
from causalrep.multimodal.debiasing.sufficiency import sufficiency
from causalrep.multimodal.debiasing.te_d import TEDModel, TEDNetworks, TEDOutput, fit_ted, ted_objective
from causalrep.multimodal.debiasing.two_streams import (
    PlainNetworks,
    StreamSizes,
    plain_objective,
    train_streams,
)
from causalrep.multimodal.debiasing.unimodal import UnimodalModel, UnimodalNetworks, unimodal_objective
from causalrep.study import Ordering, Table, Within
from causalrep.training.rows import Schedule

ABLATIONS = {
    "TE-D": {},
    "TE-D, rate alone": {"contrastive": False},
    "TE-D, contrast alone": {"rate": 0.0},
    "TE-D, neither": {"rate": 0.0, "contrastive": False},
}
# Ours: of several starts the one whose confounder has the least information.
STARTS = 4
SEVERAL = f"TE-D, {STARTS} starts"
STREAMS = {"ATE-D, question": "first", "ATE-D, picture": "second", "ATE-D, joint": "joint"}
UNIMODAL = {
    "Question branch, product": ("product", "first"),
    "Question branch, RUBi": ("rubi", "first"),
    "Picture branch, product": ("product", "second"),
}
Logits = Callable[["Pairs"], Float[Array, "n a"]]


class Pairs(NamedTuple):
    """Embedded questions about embedded images.

    Attributes:
        first: Embeddings of one modality, the question's (n, a).
        second: Embeddings of the other, the image's (n, b).
        answers: Correctness of each answer, from 0 to 1; several may be partly correct (n, A).
    """

    first: Float[Array, "n a"]
    second: Float[Array, "n b"]
    answers: Float[Array, "n A"]


def tables() -> tuple[Table, ...]:
    """Tables of accuracy, of the confounder's information, and of ATE-D's weights."""
    accuracies = ("id", "ood", "confounder_id", "confounder_ood")
    rates = ("rate_features", "rate_confounder", "rate_share", "sufficiency", "agreement")
    weights = ("weight_low", "weight_high", "typical_margin", "autoencoder_excess")
    return (
        Table(
            title="Accuracy in distribution (id) and with the answers' prior shifted (ood)",
            metric=accuracies,
            note="total effect: logits less the confounder branch's. Bayes, where it is known: with the true "
            "densities, by the image's content alone and with the training prior of answers.",
        ),
        Table(
            title="Information of the confounder representation",
            metric=rates,
            reported=False,
            note="Coding rates in nats over the test rows in distribution; rate_share is their ratio. "
            "sufficiency is this library's metric, of the confounder for the model's own predictions.",
        ),
        Table(
            title="Weights of ATE-D",
            metric=weights,
            reported=False,
            note="Over the test rows in distribution. typical_margin: the least weight, less that of a token along "
            "the dictionary's mean entry. autoencoder_excess: its error over that of as many principal directions.",
        ),
    )


def claims_of_any_data():
    """The claims in section 9 of the card that do not depend on the generator."""
    common = {"min_replications": 3, "source": "card, section 9"}
    tokens = "ATE-D, question"
    return (
        Within(metric="rate_share", method="TE-D", high=0.02, **common),
        Within(metric="rate_share", method="TE-D, contrast alone", low=0.2, **common),
        Within(
            metric="confounder_behind",
            method="TE-D, contrast alone",
            low=-0.05,
            high=0.05,
            min_replications=3,
            source="card, section 9; the margin is ours",
        ),
        Within(metric="id_loss", method="TE-D, total effect", high=0.02, **common),
        Within(metric="rate_share", method=SEVERAL, high=0.02, min_replications=3, source="ours"),
        Within(metric="id_loss", method=f"{SEVERAL}, total effect", high=0.02, min_replications=3, source="ours"),
        Within(
            metric="id_loss",
            method="TE-D, total effect",
            low=-0.01,
            min_replications=3,
            source="ours",
            name="negative control: where the prior has not shifted the total effect gains less than .01",
        ),
        Ordering(metric="sufficiency", methods=("TE-D", "TE-D, contrast alone"), **common),
        Within(metric="weight_low", method=tokens, low=0.0, **common),
        Within(metric="weight_high", method=tokens, high=2.0, **common),
        Within(metric="typical_margin", method=tokens, low=0.0, **common),
        Within(metric="autoencoder_excess", method=tokens, low=0.99, high=1.05, **common),
    )


def every_method(
    fit_key: Key[Array, ""],
    audit_key: Key[Array, ""],
    train: Pairs,
    tests: Mapping[str, Pairs],
    *,
    sizes: StreamSizes,
    schedule: Schedule,
) -> dict[str, dict[str, Array]]:
    """Accuracies of every method, and scores of TE-D's confounder and ATE-D's dictionary.

    Args:
        fit_key: Random key of all training.
        audit_key: Random key of the probes and of ATE-D's dictionary.
        train: Training rows.
        tests: Test rows: ``"id"``, with the same prior of answers, and ``"ood"``, with another.
        sizes: Sizes of the networks; tokens as wide as features.
        schedule: Training schedule of the networks.
    """
    data = {"first": train.first, "second": train.second, "y": train.answers}

    def scored(logits_of: Logits) -> dict[str, Array]:
        return {split: accuracy(jnp.argmax(logits_of(pairs), axis=1), pairs) for split, pairs in tests.items()}

    def trained(objective):
        return train_streams(fit_key, objective, data, schedule).params

    networks, biased = PlainNetworks(sizes), trained(plain_objective(sizes))
    metrics = {"ERM": scored(lambda pairs: applied(networks, biased, pairs)[0])}
    for name, (fusion, modality) in UNIMODAL.items():
        model = UnimodalModel(sizes, fusion, modality)
        run = partial(applied, UnimodalNetworks(model), trained(unimodal_objective(model)))
        metrics[name] = scored(lambda pairs, run=run: run(pairs)[0])
    outputs = {}
    for name, ablation in ABLATIONS.items():
        model = TEDModel(sizes, **ablation)
        run = partial(applied, TEDNetworks(model), trained(ted_objective(model)))
        metrics |= te_d(name, run, scored, tests["id"])
        outputs[name] = run(tests["id"])
    model = TEDModel(sizes)
    several = fit_ted(fit_key, data, model=model, schedule=schedule, starts=STARTS)
    run = partial(applied, TEDNetworks(model), several.params)
    metrics |= te_d(SEVERAL, run, scored, tests["id"])
    outputs[SEVERAL] = run(tests["id"])
    for name, ratio in zip(outputs, sufficiencies(audit_key, outputs.values(), sizes.answers)):
        metrics[name]["sufficiency"] = ratio
    models = [ATEDModel(sizes, stream) for stream in STREAMS.values()]
    tokens = jnp.stack([applied(ATEDNetworks(model), biased, train, method="stream") for model in models])
    # The tokens of all streams are equally wide: one program autoencodes them.
    dictionaries = jax.lax.map(lambda h: find_confounders(audit_key, h, models[0])[0], tokens)
    for j, (name, model) in enumerate(zip(STREAMS, models)):
        confounders = jax.tree.map(lambda part, j=j: part[j], dictionaries)
        fitted = recalibrate(fit_key, data, biased, confounders, model=model, schedule=schedule)
        run = partial(applied, ATEDNetworks(model), fitted.params["net"])
        metrics[name] = scored(lambda pairs, run=run, c=confounders: run(pairs, c))
        metrics[name] |= dictionary(confounders, tokens[j], run(tests["id"], method="stream"))
        metrics[f"{name}, explicit"] = scored(lambda pairs, run=run, c=confounders: run(pairs, c, method="explicit"))
    for name in ("TE-D, total effect", f"{SEVERAL}, total effect"):
        total = metrics[name]
        total["ood_gain"] = total["ood"] - metrics["ERM"]["ood"]
        total["id_loss"] = metrics["ERM"]["id"] - total["id"]
    return metrics


def applied(networks, params, pairs: Pairs, *more, **method):
    """Outputs of networks for embeddings."""
    return networks.apply(params, pairs.first, pairs.second, *more, **method)


def te_d(
    name: str, run: Callable[[Pairs], TEDOutput], scored: Callable[[Logits], dict[str, Array]], pairs: Pairs
) -> dict[str, dict[str, Array]]:
    """Both predictions of TE-D, those of its confounder, and the information of the confounder."""
    own, bias = scored(lambda rows: run(rows).logits), scored(lambda rows: run(rows).confounder_logits)
    out = run(pairs)
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


def dictionary(
    confounders: Confounders, train_tokens: Float[Array, "n t"], tokens: Float[Array, "m t"]
) -> dict[str, Array]:
    """Weights of tokens, and the error of the autoencoder on the tokens of its fit."""
    weights = confounders.weights(tokens)
    typical = confounders.entries.mean(axis=0, keepdims=True) @ confounders.projection
    squares = jnp.linalg.eigvalsh(train_tokens.T @ train_tokens)
    rebuilt = train_tokens @ confounders.projection.T @ confounders.projection
    least = jnp.sum(squares[: len(squares) - len(confounders.projection)])
    return {
        "weight_low": weights.min(),
        "weight_high": weights.max(),
        "typical_margin": weights.min() - confounders.weights(typical)[0],
        "autoencoder_excess": jnp.sum((train_tokens - rebuilt) ** 2) / least,
    }


def sufficiencies(key: Key[Array, ""], outputs: Iterable[TEDOutput], answers: int) -> Float[Array, " models"]:
    """Sufficiency of each model's confounder for its predictions."""
    outputs = list(outputs)
    width = outputs[0].features.shape[1]
    # Columns of zeros carry no information; with them one compiled program serves all models.
    confounders = [jnp.pad(out.confounder, ((0, 0), (0, width - out.confounder.shape[1]))) for out in outputs]
    arguments = confounders, [out.features for out in outputs], [jnp.argmax(out.logits, axis=1) for out in outputs]
    return jax.lax.map(
        lambda part: sufficiency(key, *part, classes=answers).ratio, tuple(jnp.stack(part) for part in arguments)
    )


def accuracy(predicted: Int[Array, " n"], pairs: Pairs) -> Float[Array, ""]:
    """Mean correctness of the predicted answers."""
    return jnp.mean(jnp.take_along_axis(pairs.answers, predicted[:, None], axis=1))
