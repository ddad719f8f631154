"""The NP and CC designs of the KIV paper: kernel, sieve and moment estimators, and a regression."""

import dataclasses
import itertools
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import pandas as pd

from causalrep.base.validation import check_range
from causalrep.data import newey_powell
from causalrep.data.simulators.iv.nonlinear import NonlinearIVSample
from causalrep.iv.nonlinear import (
    default_penalties,
    kernel_iv,
    kernel_predict,
    nystroem_kernel_iv,
    nystroem_kernel_mmr,
    nystroem_kernel_ridge,
    two_stage_ridge,
)
from causalrep.iv.nonlinear.bases import evaluate_basis, make_basis
from causalrep.linalg import min_norm_solve, orthonormal_basis, project
from causalrep.study import Curves, Holds, Ratio, Study, Table, Within, grid, select

KIV, NYSTROEM, RIDGE = "KIV", "KIV (Nystroem)", "Kernel ridge (no IV)"
PAPER = "paper's released results"


@dataclasses.dataclass(frozen=True)
class NeweyPowell:
    """Mean squared error of the estimated structural function at 1,000 points of [0, 1].

    Attributes:
        replications: Data sets per cell (paper: 40).
        designs: NP is a logarithm with a kink, CC is a line.
        samples: Sample sizes (paper: 1,000, 5,000, 10,000).
        exact_up_to: Largest sample size for which exact KIV runs, in addition to its Nystroem form.
        landmarks: Number of Nystroem landmarks.
        candidates: Number of penalties tried at each stage.
        terms: Number of cubic B-splines of the treatment in the sieves, and of the instrument.
        seed: Random seed.
    """

    replications: int = 40
    designs: tuple[Literal["NP", "CC"], ...] = ("NP", "CC")
    samples: tuple[int, ...] = (1000,)
    exact_up_to: int = 1000
    landmarks: int = 100
    candidates: int = 25
    terms: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("replications", self.replications, at_least=1)
        check_range("samples", min(self.samples, default=0), at_least=2 * self.landmarks)
        check_range("landmarks", self.landmarks, at_least=1)
        check_range("candidates", self.candidates, at_least=1)
        check_range("terms", self.terms, at_least=4)

    def study(self) -> Study:
        """The study: cells are designs x sample sizes, replications are data sets."""
        rows = {"metric": "mse", "rows": "method", "columns": "n", "aggregate": "median"}
        note = f"KIV (Nystroem): {self.landmarks} landmarks; compared with the paper's KIV where exact KIV is not run."
        return Study(
            name="iv/kiv_np",
            replicate=partial(replicate, config=self),
            settings=grid(design=list(self.designs), n=list(self.samples)),
            replications=self.replications,
            claims=self._claims(),
            tables=tuple(
                Table(title=f"{design}: mean squared error", where={"design": design}, note=note, **rows)
                for design in self.designs
            ),
            figures=tuple(
                Curves(
                    x="n",
                    metric="mse",
                    title=design,
                    where={"design": design},
                    xscale="log",
                    yscale="log",
                    methods=(NYSTROEM, "Kernel MMR", "Ridge sieve IV", RIDGE),
                    name=f"mse-{design}",
                    ylabel="mean squared error (mean ± 2 SE)",
                )
                for design in self.designs
                if len(self.samples) > 1
            ),
        )

    def _claims(self) -> tuple[Any, ...]:
        expected = []
        for design in self.designs:
            for n in self.samples:
                common = {
                    "metric": "mse",
                    "where": {"design": design, "n": n},
                    "aggregate": "median",
                    "source": "card, section 8, item 3",
                }
                kiv = KIV if n <= self.exact_up_to else NYSTROEM
                if (design, n) == ("NP", 1000):
                    expected.append(Within(method=kiv, high=0.10, **common))
                expected.append(Ratio(numerator=RIDGE, denominator=kiv, low=1.5, **common))
                if design == "NP":
                    expected.append(Within(method=RIDGE, low=0.12, high=0.14, **common))
                if n <= self.exact_up_to:
                    expected.append(
                        Holds(
                            f"{design}, n={n}: Nystroem and exact KIV differ by less than 1% in every data set",
                            partial(_agree, design, n),
                            "theory",
                        )
                    )
            if len(self.samples) > 1:
                expected += [
                    Holds(f"{design}: {NYSTROEM} falls with n", partial(_falls, design, self.samples), PAPER),
                ]
        return tuple(expected)


def replicate(key, setting, *, config: NeweyPowell):
    """Errors of every method on the test grid for one data set."""
    n = setting["n"]
    sample = newey_powell(key, n=n, function=setting["design"])
    y, x, z = sample.y, sample.t, sample.z
    penalties = default_penalties(config.candidates)
    fits = {
        NYSTROEM: nystroem_kernel_iv(y, x, z, penalties, penalties, landmarks=config.landmarks),
        "Kernel MMR": nystroem_kernel_mmr(y, x, z, penalties, landmarks=config.landmarks),
        RIDGE: nystroem_kernel_ridge(y, x, penalties, landmarks=config.landmarks),
    }
    if n <= config.exact_up_to:
        fits = {KIV: kernel_iv(y, x, z, penalties, penalties), **fits}
    functions = {name: kernel_predict(fit, sample.test_t) for name, fit in fits.items()}
    functions |= sieves(sample, config.terms, penalties)
    metrics = {name: {"mse": jnp.mean((f - sample.test_f) ** 2)} for name, f in functions.items()}
    for name, fit in fits.items():
        metrics[name] |= {f"penalty_{stage}": value for stage, value in enumerate(fit.penalties, start=1)}
    return metrics


def sieves(sample: NonlinearIVSample, terms: int, penalties: jax.Array) -> dict[str, jax.Array]:
    """Two-stage least squares on cubic B-splines: without penalties on all rows, and with penalties on two halves."""
    n = sample.y.shape[0]
    basis, instruments = make_basis(sample.t, terms), make_basis(sample.z, terms)
    phi, psi = evaluate_basis(basis, sample.t), evaluate_basis(instruments, sample.z)
    test = evaluate_basis(basis, sample.test_t)
    # First stage: project the treatment's splines on the span of the instrument's. Second stage: regress y on the
    # result.
    plain = min_norm_solve(project(orthonormal_basis(psi), phi), sample.y)
    halves = [(block[: n // 2], block[n // 2 :]) for block in (phi, psi, sample.y)]
    ridge = two_stage_ridge(*halves, penalties, penalties)
    return {"Sieve IV": test @ plain, "Ridge sieve IV": test @ ridge.coef}


def _errors(frame: pd.DataFrame, method: str, design: str, n: int) -> pd.Series:
    return select(frame, design=design, n=n, method=method, metric="mse").set_index("replication")["value"]


def _agree(design: str, n: int, frame: pd.DataFrame) -> tuple[bool, str]:
    exact, approximate = (_errors(frame, method, design, n) for method in (KIV, NYSTROEM))
    worst = float((approximate / exact - 1).abs().max())
    return worst < 0.01, f"largest relative difference {worst:.2g} over {len(exact)} data sets"


def _falls(design: str, samples: tuple[int, ...], frame: pd.DataFrame) -> tuple[bool | None, str]:
    medians = [(n, _errors(frame, NYSTROEM, design, n)) for n in sorted(samples)]
    if len(medians[0][1]) < 20:
        return None, "20 replications needed"
    values = [float(errors.median()) for _, errors in medians]
    detail = ", ".join(f"n={n}: {value:.4f}" for (n, _), value in zip(medians, values, strict=True))
    return all(b < a for a, b in itertools.pairwise(values)), f"medians {detail}"
