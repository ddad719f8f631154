"""Recipes of the estimators with a closed form or a short optimization."""

from typing import Any

import numpy as np

from causalrep import confounders, effects, iv, latent
from tests.contract.catalogue import ROWS, Recipe

# ---------------------------------------------------------------- instruments


def instruments(rng: np.random.Generator) -> dict[str, Any]:
    """Outcome, one treatment, two controls and two instruments that are strong."""
    x, z = rng.normal(size=(ROWS, 2)), rng.normal(size=(ROWS, 2))
    u = rng.normal(size=ROWS)
    t = z @ [1.0, -0.7] + 0.5 * x[:, 0] + u + 0.5 * rng.normal(size=ROWS)
    y = 1.5 * t + x @ [1.0, -0.5] + u + rng.normal(size=ROWS) + 2
    return {"Y": y, "T": t, "X": x, "Z": z}


def linear_answers(model: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Effects, predictions, and everything that is reported about the instruments."""
    answers = {"effect": model.ate(), "residuals": model.residuals_, "predict": model.predict(data["T"], data["X"])}
    if model._no_interval is None:
        answers |= {"interval": model.ate_interval(), "t": model.tvalues_[: model.coef_.shape[0] - 1]}
        if model._uses_instruments:
            for method in ("ar", "clr", "lm"):
                answers[method] = np.array(model.confidence_set(method).intervals)
            answers |= {"strength": model.first_stage().to_numpy(float), "tests": _tests(model)}
    return answers


def _tests(model: Any) -> np.ndarray:
    return model.diagnostics()[["statistic", "p_value"]].to_numpy(float)


def without_instruments(rng: np.random.Generator) -> dict[str, Any]:
    """The same without instruments."""
    return {argument: value for argument, value in instruments(rng).items() if argument != "Z"}


def linear(make: Any, data: Any = instruments, random: tuple[str, ...] = ()) -> Recipe:
    """A linear estimator with instruments."""
    per_unit = {"Y": 1, "T": -1}
    return Recipe(
        make,
        data,
        linear_answers,
        units={"effect": per_unit, "interval": per_unit, "ar": per_unit, "clr": per_unit, "lm": per_unit}
        | {"residuals": {"Y": 1}, "predict": {"Y": 1}},
        by_row=("residuals", "predict"),
        numeric=("Y", "T", "X", "Z")[: 3 if data is without_instruments else 4],
        later={
            "T": lambda model, T, data: model.predict(T, data["X"]),
            "X": lambda model, X, data: model.predict(data["T"], X),
        },
        scalable=("Y", "T", "X", "Z")[: 3 if data is without_instruments else 4],
        shiftable=("X", "Z")[: 1 if data is without_instruments else 2],
        random=random,
    )


def one_instrument(rng: np.random.Generator) -> dict[str, Any]:
    """The same with one control and one instrument, for products of many terms."""
    data = instruments(rng)
    return data | {"X": data["X"][:, :1], "Z": data["Z"][:, :1]}


def nonlinear(make: Any, random: tuple[str, ...] = ("predict",), data: Any = instruments) -> Recipe:
    """A nonlinear estimator with instruments."""

    def answers(model: Any, data: dict[str, Any]) -> dict[str, Any]:
        return {"predict": model.predict(data["T"][:20], data["X"][:20])}

    return Recipe(
        make,
        data,
        answers,
        units={"predict": {"Y": 1}},
        numeric=("Y", "T", "X", "Z"),
        later={
            "T": lambda model, T, data: model.predict(T, data["X"]),
            "X": lambda model, X, data: model.predict(data["T"], X),
        },
        scalable=("Y", "T", "X", "Z"),
        shiftable=("T", "X", "Z"),
        random=random,
    )


# ---------------------------------------------------------------- effects


def treated(rng: np.random.Generator) -> dict[str, Any]:
    """Outcome, binary treatment and three covariates."""
    x = rng.normal(size=(ROWS, 3))
    t = (x @ [0.5, -0.3, 0.0] + rng.logistic(size=ROWS) > 0).astype(float)
    y = t * (1 + 0.5 * x[:, 0]) + x @ [1.0, 0.5, -1.0] + rng.normal(size=ROWS)
    return {"Y": y, "T": t, "X": x}


def with_folds(rng: np.random.Generator) -> dict[str, Any]:
    """The same with folds of the user's own, which move with the rows."""
    return treated(rng) | {"folds": rng.integers(0, 3, ROWS)}


def average_answers(model: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Averages with intervals, and effects by row where there are any."""
    answers = {"ate": model.ate(), "att": model.att(), "ate_interval": model.ate_interval()}
    if hasattr(type(model), "effect"):
        answers["effect"] = model.effect(data["X"])
    return answers


def effect(make: Any, data: Any = treated, **changes: Any) -> Recipe:
    """An effect estimator."""
    later = {"X": lambda model, X, data: model.effect(X)} if hasattr(type(make()), "effect") else {}
    settings = {
        "units": {name: {"Y": 1} for name in ("ate", "att", "ate_interval", "effect")},
        "by_row": ("effect",),
        "numeric": ("Y", "T", "X"),
        "labels": ("folds",) if data is with_folds else (),
        "later": later,
        "scalable": ("Y", "X"),
        "shiftable": ("Y", "X"),
    }
    return Recipe(make, data, average_answers, **(settings | changes))


# ---------------------------------------------------------------- confounders


def many_causes(rng: np.random.Generator) -> dict[str, Any]:
    """Outcome and six causes with one common factor."""
    z = rng.normal(size=ROWS)
    t = np.outer(z, [1, 1, -1, 1, 0.5, 1]) + rng.normal(size=(ROWS, 6))
    return {"Y": t @ [1, 0, 0.5, 0, 0, 0] + 2 * z + rng.normal(size=ROWS), "T": t}


def demographics(rng: np.random.Generator) -> dict[str, Any]:
    """Features and two demographic variables."""
    d = np.column_stack([rng.normal(40, 10, ROWS), rng.integers(0, 2, ROWS)])
    return {"X": d @ rng.normal(size=(2, 4)) + rng.normal(size=(ROWS, 4)), "D": d}


# ---------------------------------------------------------------- latent


def environments(rng: np.random.Generator) -> dict[str, Any]:
    """Three columns in four environments: one observational, one intervention on each of three latents."""
    blocks, mixing = [], rng.normal(size=(3, 3))
    for target in (None, 0, 1, 2):
        e = rng.normal(size=(120, 3)) * np.where(np.arange(3) == target, 2.0, 1.0)
        z = np.linalg.solve(np.eye(3) - np.tril(np.ones((3, 3)), -1) * 0.5, e.T).T
        blocks.append((z + (np.arange(3) == target) * 1.0) @ mixing.T)
    return {"X": np.concatenate(blocks), "environment": np.repeat(["none", "a", "b", "c"], 120)}


def domains(rng: np.random.Generator) -> dict[str, Any]:
    """Four columns of three independent latents in two domains."""
    e = rng.laplace(size=(2, 200, 2))
    mixing = rng.normal(size=(2, 4))
    x = np.concatenate([e[0] @ mixing, (e[1] * [1.0, 2.0] @ [[1, 0.5], [0, 1]]) @ mixing])
    return {"X": x + 0.1 * rng.normal(size=x.shape), "domain": np.repeat(["home", "away"], 200)}


def _transformed(model: Any, data: dict[str, Any]) -> dict[str, Any]:
    return {"transform": model.transform(data["X"])}


def _transform(model: Any, X: Any, data: dict[str, Any]) -> Any:
    return model.transform(X)


def representation(make: Any, data: Any, labels: tuple[str, ...], *, scalable: bool = True, **options: Any) -> Recipe:
    """A representation of rows in environments or domains."""
    return Recipe(
        make,
        data,
        _transformed,
        by_row=("transform",),
        numeric=("X",),
        labels=labels,
        later={"X": _transform},
        scalable=("X",) if scalable else (),
        options=options,
    )


CLOSED: dict[str, Recipe] = {
    **{
        name: linear(getattr(iv, name))
        for name in ("TwoStageLeastSquares", "LIML", "Fuller", "KClass", "JIVE", "AnchorRegression", "PULSE")
    },
    "OLS": linear(iv.OLS, without_instruments),
    "GMM": linear(iv.GMM),
    "IVLRegression": linear(lambda: iv.IVLRegression(alpha="cv"), random=("effect", "residuals", "predict")),
    **{name: nonlinear(getattr(iv, name)) for name in ("KernelIV", "KernelMMR", "KernelIVL")},
    "SieveIV": nonlinear(lambda: iv.SieveIV(4), (), one_instrument),
    "RidgeSieveIV": nonlinear(lambda: iv.RidgeSieveIV(4)),
    **{name: effect(getattr(effects, name)) for name in ("IPW", "Matching")},
    **{
        name: effect(lambda kind=name: getattr(effects, kind)(cv=3), with_folds)
        for name in ("AIPW", "SLearner", "TLearner", "XLearner", "RLearner", "DRLearner")
    },
    "ControlFunction": effect(
        lambda: confounders.ControlFunction(draws=20), lambda rng: _excluded(rng), random=("ate_interval",)
    ),
    "Deconfounder": Recipe(
        confounders.Deconfounder,
        many_causes,
        lambda model, data: {"score": model.predictive_score_, "effects": np.asarray(model.effects_)},
        units={"effects": {"Y": 1, "T": -1}},
        numeric=("Y", "T"),
        scalable=("Y", "T"),
        shiftable=("Y", "T"),
        random=("score",),
    ),
    "LinearResidualizer": Recipe(
        confounders.LinearResidualizer,
        demographics,
        lambda model, data: {"transform": model.transform(data["X"], data["D"])},
        units={"transform": {"X": 1}},
        by_row=("transform",),
        numeric=("X",),
        later={"X": lambda model, X, data: model.transform(X, data["D"])},
        scalable=("D",),
        shiftable=("D",),
    ),
    "LinearDisentanglement": representation(
        lambda: latent.LinearDisentanglement(3), environments, ("environment",), observational="none"
    ),
    "LSCALEI": representation(lambda: latent.LSCALEI(3), environments, ("environment",), observational="none"),
    "HCA": representation(lambda: latent.HCA(2), domains, ("domain",), scalable=False),
}


def _excluded(rng: np.random.Generator) -> dict[str, Any]:
    data = treated(rng)
    z = rng.normal(size=ROWS)
    t = (0.5 * data["X"][:, 0] + z + rng.normal(size=ROWS) > 0).astype(float)
    return data | {"T": t, "Z": z}
