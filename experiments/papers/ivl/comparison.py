"""Figure 5, left, of the IVL paper: all methods on the linear simulation with few augmentation directions."""

import dataclasses
import functools

import jax

from causalrep.base.validation import check_range
from causalrep.data import Augmented, draw_linear, sample_linear_sem, translate
from causalrep.metrics import normalized_excess_risk
from causalrep.study import Figure, Ordering, Study, Table, Within
from experiments.papers.ivl.baselines import fit_baselines
from experiments.papers.ivl.figures import method_means
from experiments.papers.ivl.linear import LOWEST_ALPHA
from experiments.papers.ivl.methods import fit_all


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All methods at kappa = gamma = 1.

    Attributes:
        simulations: Structural models (paper: 16).
        samples: Rows per model (paper: 2048).
        treatments: Dimension m of X and of C (paper: 16).
        keep: Probability with which a basis vector of null(f) is an augmentation direction (paper: 1/3).
        sigma: Standard deviation of the noise (paper: 0.1).
        seed: Random seed.
    """

    simulations: int = 16
    samples: int = 2048
    treatments: int = 16
    keep: float = 1 / 3
    sigma: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("simulations", self.simulations, at_least=1)
        check_range("treatments", self.treatments, at_least=2)
        check_range("samples", self.samples, at_least=4 * self.treatments)
        check_range("keep", self.keep, above=0, at_most=1)
        check_range("sigma", self.sigma, above=0)

    def study(self) -> Study:
        """The study: one cell, structural models as replications."""
        source = {"source": "Figure 5, left"}
        return Study(
            name="ivl/comparison",
            replicate=functools.partial(replicate, config=self),
            settings=[{"kappa": 1.0, "gamma": 1.0}],
            replications=self.simulations,
            seed=self.seed,
            traced=("kappa", "gamma"),
            claims=(
                Ordering(metric="ncer", methods=("DA+IVL-CC", "DA+ERM", "ERM"), **source),
                Ordering(metric="ncer", methods=("DA+IVL-CV", "DA+ERM"), **source),
                Ordering(metric="ncer", methods=("DA+ERM", "DA+IV"), **source),
                Ordering(metric="ncer", methods=("DA+ERM", "MM-REx"), **source),
                Ordering(metric="ncer", methods=("l1 Janzing", "l2 Janzing"), **source),
                Within(metric="ncer", method="Kania & Wit", low=0.17, high=0.32, **source),
            ),
            tables=(Table(title="Figure 5, left: nCER on the linear simulation", metric="ncer"),),
            figures=(Figure("methods", functools.partial(method_means, title="Linear simulation, m = 16")),),
        )


def replicate(key, setting, *, config: Comparison):
    """One structural model: the error of every method."""
    sem_key, data_key, fit_key, baseline_key = jax.random.split(key, 4)
    m = config.treatments
    sem = sample_linear_sem(sem_key, treatments=m, confounders=m, keep=config.keep)
    kappa, gamma = setting["kappa"], setting["gamma"]
    sample = draw_linear(data_key, sem, n=config.samples, kappa=kappa, gamma=gamma, sigma=config.sigma)
    augmented = Augmented(sample.gx, sample.g)
    estimates, _, _ = fit_all(fit_key, sample.y, sample.x, augmented, lowest=LOWEST_ALPHA)
    again = translate(sem.gamma, gamma)
    estimates |= fit_baselines(baseline_key, sample.y, sample.x, augmented, lambda key: again(key, sample.x).gx)
    return {method: {"ncer": normalized_excess_risk(h, sem.f)} for method, h in estimates.items()}
