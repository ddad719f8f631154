"""Times training steps of released PyTorch code; another Python runs it: ``python torch_peers.py METHOD CLONE``.

METHOD is ``dfiv`` (CLONE is then a clone of liyuan9988/DeepFeatureIV), ``deep_gmm`` (of CausalML/DeepGMM), ``ild`` (of
inouye-lab/ild-domain-counterfactuals) or ``cevae`` (any folder in which Python should look for the package pyro, if it
is not installed). Prints the CPU seconds of one unit of work, with five repeats, as JSON. The script imports the
clone's classes and calls their training steps on one thread. Modules that the clone imports for other experiments and
that are not used here are replaced by empty ones.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch

REPEATS = 5


def dfiv() -> list[float]:
    """Times an outer iteration on 5,000 rows of the demand design: 20 + 20 inner updates and 1 outer update."""
    _stub("torchvision", "torchvision.datasets:MNIST", "torchvision:transforms", "filelock:FileLock")
    from src.data import generate_train_data
    from src.models.DFIV.trainer import DFIVTrainer

    settings = {
        "lam1": 0.1,
        "lam2": 0.1,
        "stage1_iter": 20,
        "covariate_iter": 20,
        "stage2_iter": 1,
        "n_epoch": 100,
        "split_ratio": 0.5,
        "treatment_weight_decay": 0.0,
        "instrumental_weight_decay": 0.0,
        "covariate_weight_decay": 0.1,
    }
    trainer = DFIVTrainer({"data_name": "demand"}, settings)
    halves = trainer.split_train_data(generate_train_data(data_name="demand", rand_seed=0, data_size=5000, rho=0.5))
    trainer.lam1 *= 2500
    trainer.lam2 *= 2500

    def work() -> None:
        for _ in range(5):
            trainer.stage1_update(halves[0], 0)
            trainer.update_covariate_net(*halves, 0)
            trainer.stage2_update(*halves, 0)

    return _times(work, units=5)


def deep_gmm() -> list[float]:
    """Times a step of both players of the game on 1,024 rows."""
    _stub("plotting:PlotElement", "matplotlib", "matplotlib.pyplot", "pandas")
    from game_objectives.simple_moment_objective import OptimalMomentObjective
    from learning.learning_dev_f import GradientDescentLearningDevF
    from models.mlp_model import MLPModel
    from optimizers.oadam import OAdam

    g = MLPModel(input_dim=1, layer_widths=[20, 3], activation=torch.nn.LeakyReLU)
    f = MLPModel(input_dim=2, layer_widths=[20], activation=torch.nn.LeakyReLU)
    optimizers = {
        "g_optimizer": OAdam(g.parameters(), lr=5e-4, betas=(0.5, 0.9)),
        "f_optimizer": OAdam(f.parameters(), lr=2.5e-3, betas=(0.5, 0.9)),
    }
    learner = GradientDescentLearningDevF(
        OptimalMomentObjective(),
        g,
        f,
        **optimizers,
        dev_f_collection=None,
        e_dev_tilde=None,
        final_g_optimizer_factory=None,
    )
    rng = np.random.default_rng(0)
    z, e = rng.normal(size=(1024, 2)), rng.normal(size=(1024, 1))
    x = z.sum(axis=1, keepdims=True) + 2 * e
    batch = [torch.tensor(block, dtype=torch.float32) for block in (x, z, (x + 5 * e) / 7)]

    def work() -> None:
        for _ in range(200):
            learner.update_params_iter(1, *batch)

    return _times(work, units=200)


def ild() -> list[float]:
    """Times a maximum-likelihood step on 500 rows of three domains with six latents, Relax-Can with k = 2."""
    sys.path.insert(0, str(Path(sys.argv[2]) / "simulated"))
    # The optimizers load this module, which looks for real modules where the stubs will be; so it is loaded first.
    importlib.import_module("torch._dynamo")
    _stub(
        "torchvision:datasets",
        "torchvision:transforms",
        "seaborn",
        "pandas",
        "wandb",
        "matplotlib",
        "matplotlib.pyplot",
        "tqdm",
        "tqdm.auto:tqdm",
    )
    from dataset import SimulatedDataset
    from solver import Solver

    settings = {
        "device": "cpu",
        "domain_list": [0, 1, 2],
        "n_domains": 3,
        "latent_dim": 6,
        "k_spa": 2,
        "f_type": "relax_can",
        "seed": 0,
        "num_iters": 0,
        "beta1": 0.5,
        "beta2": 0.999,
        "lr_f": 1e-3,
        "lr_g": 1e-3,
        "leaky_relu_slope": 0.5,
        "wandb": False,
        "step_check": 100,
        "step_vis": 10**9,
        "step_save": 10**9,
        "save_dir": "",
        "run_name": "",
        **dict.fromkeys(("no_leaky_relu", "no_model_bias", "no_model_s"), False),
    }
    rows = SimulatedDataset(100_000, n_domains=3, latent_dim=6, int_set=[4, 5], model_seed=0, noise_seed=100)
    # The data loader is left out: it fetches rows one by one and takes longer than the step itself.
    solver = Solver(None, None, None, SimpleNamespace(**settings))
    solver.set_model_mode()
    order = torch.randperm(len(rows.observed))
    batches = [order[start : start + 500] for start in range(0, 100_000, 500)]

    def work() -> None:
        for batch in batches:
            loss = -solver.compute_loglikelihood(rows.observed[batch], rows.domain[batch])
            solver.reset_grad()
            loss.backward()
            solver.f_opt.step()
            solver.g_opt.step()

    return _times(work, units=len(batches))


def cevae() -> list[float]:
    """Times an epoch of Pyro's CEVAE on 1,000 rows of 25 covariates, batches of 100, three hidden layers of 200."""
    import pyro
    from pyro.contrib.cevae import CEVAE

    pyro.set_rng_seed(0)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(1000, 25)), rng.integers(0, 2, 1000)
    y = x[:, 0] + t + rng.normal(size=1000)
    data = [torch.tensor(block, dtype=torch.float32) for block in (x, t, y)]

    def work() -> None:
        model = CEVAE(feature_dim=25, outcome_dist="normal", latent_dim=20, hidden_dim=200, num_layers=3)
        model.fit(*data, num_epochs=5, batch_size=100, learning_rate=1e-3, log_every=10**6)

    return _times(work, units=5)


def _times(work, *, units: int) -> list[float]:
    work()
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        seconds.append((time.process_time() - start) / units)
    return seconds


def _stub(*names: str) -> None:
    """Replaces modules that are not installed by empty ones; a name after a colon becomes their attribute."""
    for name in names:
        module, _, attribute = name.partition(":")
        try:
            stub = importlib.import_module(module)
        except ImportError:
            stub = sys.modules[module] = ModuleType(module)
        if attribute and not hasattr(stub, attribute):
            setattr(stub, attribute, None)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sys.path.insert(0, sys.argv[2])
    methods = {"dfiv": dfiv, "deep_gmm": deep_gmm, "ild": ild, "cevae": cevae}
    print(json.dumps(methods[sys.argv[1]]()))
