"""Recipes of the estimators that train networks or draw from a posterior: small, and two fits of one shape each."""

from typing import Any

import numpy as np

from causalrep import confounders, effects, iv, latent, multimodal
from causalrep.training import Schedule
from tests.contract.catalogue import ROWS, Recipe
from tests.contract.recipes import (
    CLOSED,
    _excluded,
    demographics,
    domains,
    effect,
    environments,
    instruments,
    treated,
)

STEPS = Schedule(steps=30, batch_size=40)
EPOCHS = Schedule(epochs=4, batch_size=40)
GRAPH = [[0, 1, 1], [0, 0, 1], [0, 0, 0]]


def network_iv(make: Any) -> Recipe:
    """A network with instruments."""
    return Recipe(
        make,
        instruments,
        lambda model, data: {"predict": model.predict(data["T"][:20], data["X"][:20])},
        units={"predict": {"Y": 1}},
        numeric=("Y", "T", "X", "Z"),
        later={
            "T": lambda model, T, data: model.predict(T, data["X"]),
            "X": lambda model, X, data: model.predict(data["T"], X),
        },
        scalable=("Y", "T", "X", "Z"),
        slow=True,
    )


def network_effect(make: Any) -> Recipe:
    """A network of outcomes under both treatments."""

    def answers(model: Any, data: dict[str, Any]) -> dict[str, Any]:
        return {"ate": model.ate(), "effect": model.effect(data["X"])}

    return Recipe(
        make,
        treated,
        answers,
        units={"ate": {"Y": 1}, "effect": {"Y": 1}},
        numeric=("Y", "T", "X"),
        later={"X": lambda model, X, data: model.effect(X)},
        scalable=("Y", "X"),
        slow=True,
    )


def network_of(make: Any, data: Any, label: str, needs_label: bool = False, **options: Any) -> Recipe:
    """A network that encodes rows with labels."""

    def encode(model: Any, X: Any, data: dict[str, Any]) -> Any:
        return model.transform(X, data[label]) if needs_label else model.transform(X)

    return Recipe(
        make,
        data,
        lambda model, data: {"transform": encode(model, data["X"], data)},
        by_row=("transform",),
        numeric=("X",),
        labels=(label,),
        later={"X": encode},
        scalable=("X",),
        slow=True,
        options=options,
    )


def segments(rng: np.random.Generator) -> dict[str, Any]:
    """Three columns in five segments of different scales."""
    x = rng.normal(size=(300, 3)) * np.repeat(rng.uniform(0.5, 2, size=(5, 3)), 60, axis=0)
    return {"X": x @ rng.normal(size=(3, 3)), "segment": np.repeat(["a", "b", "c", "d", "e"], 60)}


def embeddings(rng: np.random.Generator) -> dict[str, Any]:
    """Two embeddings and an answer."""
    y = rng.integers(0, 3, ROWS)
    first = rng.normal(size=(ROWS, 6)) + y[:, None]
    return {"first": first, "second": rng.normal(size=(ROWS, 5)) - y[:, None], "y": np.array(["no", "yes", "may"])[y]}


def pair(make: Any) -> Recipe:
    """A classifier of two embeddings."""
    return Recipe(
        make,
        embeddings,
        lambda model, data: {"logits": model.decision_function(data["first"], data["second"])},
        by_row=("logits",),
        numeric=("first", "second"),
        labels=("y",),
        later={
            "first": lambda model, first, data: model.decision_function(first, data["second"]),
            "second": lambda model, second, data: model.decision_function(data["first"], second),
        },
        scalable=("first", "second"),
        slow=True,
    )


LAYERS: dict[str, Any] = {"representation": (8,), "heads": (8,)}
TWO_STREAMS: dict[str, Any] = {"tokens": 8, "features": 8, "schedule": EPOCHS}
NETWORKS: dict[str, Recipe] = {
    "DeepIV": network_iv(lambda: iv.DeepIV(hidden=(8,), components=2, dropout=0.0, schedule=EPOCHS, seeds=1)),
    "DFIV": network_iv(
        lambda: iv.DFIV(
            treatment=(4,), instrument=(4,), covariate=(4,), inner_steps=2, schedule=Schedule(steps=30), seeds=1
        )
    ),
    "DeepGMM": network_iv(lambda: iv.DeepGMM(hidden=(8,), schedule=EPOCHS, seeds=1)),
    "NeuralIVL": network_iv(lambda: iv.NeuralIVL(hidden=(8,), schedule=EPOCHS)),
    **{
        name: network_effect(lambda kind=name: getattr(effects, kind)(**LAYERS, schedule=STEPS, cv=2))
        for name in ("TARNet", "CFRNet", "BNN")
    },
    "DragonNet": network_effect(lambda: effects.DragonNet(**LAYERS, schedule=EPOCHS, cv=2)),
    "SNet": network_effect(lambda: effects.SNet(large=(8,), small=(4,), heads=(8,), schedule=STEPS, cv=2)),
    "CausalForest": effect(lambda: effects.CausalForest(trees=20, cv=2), slow=True),
    "CEVAE": network_effect(lambda: confounders.CEVAE(latents=2, width=8, schedule=EPOCHS, draws=5)),
    "IntactVAE": network_effect(lambda: confounders.IntactVAE(hidden=(8,), schedule=EPOCHS)),
    "VLUCI": network_effect(
        lambda: confounders.VLUCI(latent="two_point", hidden=(8,), warm_start=1, schedule=EPOCHS),
    ),
    "BayesianConfounder": effect(
        lambda: confounders.BayesianConfounder("gaussian", warmup=40, draws=40, chains=1), _excluded, slow=True
    ),
    "DemoVAE": Recipe(
        lambda: confounders.DemoVAE(latents=2, hidden=(8,), schedule=EPOCHS),
        demographics,
        lambda model, data: {"transform": model.transform(data["X"])},
        units={"transform": {"X": 1}},
        by_row=("transform",),
        numeric=("X",),
        later={"X": lambda model, X, data: model.transform(X)},
        scalable=("D",),
        slow=True,
    ),
    "BetaVAE": Recipe(
        lambda: latent.BetaVAE(2, hidden=(8,), schedule=STEPS),
        lambda rng: {"X": segments(rng)["X"]},
        lambda model, data: {"transform": model.transform(data["X"])},
        by_row=("transform",),
        numeric=("X",),
        later={"X": lambda model, X, data: model.transform(X)},
        scalable=("X",),
        slow=True,
    ),
    "IVAE": network_of(lambda: latent.IVAE(2, hidden=(8,), schedule=STEPS), segments, "segment", needs_label=True),
    "TCL": network_of(lambda: latent.TCL(2, hidden=(8,), schedule=STEPS), segments, "segment"),
    "IFlow": network_of(lambda: latent.IFlow(blocks=1, hidden=(8,), schedule=STEPS), segments, "segment"),
    "CauCA": network_of(
        lambda: latent.CauCA(GRAPH, blocks=1, hidden=(8,), schedule=STEPS),
        environments,
        "environment",
        observational="none",
        targets={"a": 0, "b": 1, "c": 2},
    ),
    "ContrastiveCRL": network_of(
        lambda: latent.ContrastiveCRL(3, hidden=(8,), schedule=STEPS), environments, "environment", observational="none"
    ),
    "PolynomialDisentanglement": network_of(
        lambda: latent.PolynomialDisentanglement(3, schedule=STEPS), environments, "environment", observational="none"
    ),
    "TemporalFlow": Recipe(
        lambda: latent.TemporalFlow(lags=1, blocks=1, hidden=(8,), schedule=STEPS),
        lambda rng: {"X": rng.normal(size=(ROWS, 2)).cumsum(axis=0), "series": np.repeat(["a", "b"], ROWS // 2)},
        lambda model, data: {"transform": model.transform(data["X"])},
        by_row=("transform",),
        numeric=("X",),
        labels=("series",),
        later={"X": lambda model, X, data: model.transform(X)},
        scalable=("X",),
        slow=True,
    ),
    "ILD": Recipe(
        lambda: latent.ILD(k=1, starts=1, rounds=1, schedule=Schedule(steps=60, batch_size=50)),
        domains,
        lambda model, data: {"transform": model.transform(data["X"])},
        by_row=("transform",),
        numeric=("X",),
        labels=("domain",),
        later={"X": lambda model, X, data: model.transform(X)},
        scalable=(),
        slow=True,
    ),
    "TEDClassifier": pair(lambda: multimodal.TEDClassifier(starts=1, **TWO_STREAMS)),
    "ATEDClassifier": pair(lambda: multimodal.ATEDClassifier(bottleneck=3, **TWO_STREAMS)),
    "UnimodalDebiasing": pair(lambda: multimodal.UnimodalDebiasing(**TWO_STREAMS)),
}
# Estimators whose data are no matrices of rows: their own tests hold their doors.
ELSEWHERE = {
    "ILDVAE": "images, of which no column has a unit or a name: tests/latent/test_ild_vae.py",
    "PersonaX": "a list of lists of matrices: tests/latent/test_personax.py",
}
ALL: dict[str, Recipe] = CLOSED | NETWORKS
