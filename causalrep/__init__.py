"""causalrep: causal inference and causal representation learning in JAX.

A causal question goes in; an estimate, its uncertainty and the evidence that the method works come
out, by the same code on a laptop core, a GPU or a TPU pod.

Each room answers one question:

* ``causalrep.iv``: is there a source of variation outside the confounder?
* ``causalrep.invariance``: which predictors hold across environments?
* ``causalrep.effects``: what does the treatment do to the outcome, and for whom?
* ``causalrep.confounders``: what if a confounder was not measured?
* ``causalrep.latent``: which causal variables generated the data?
* ``causalrep.discovery``: what causes what?
* ``causalrep.multimodal``: what does each modality contribute, and what if one misleads?

They stand on ``causalrep.data`` (simulators and data sets), ``causalrep.inference`` (uncertainty and tests),
``causalrep.metrics`` (scores against a truth), ``causalrep.nn`` (networks), ``causalrep.training`` (one loop for all
fits), ``causalrep.parallel`` (many devices and hosts), ``causalrep.aot`` (compiling for other chips),
``causalrep.plots``, and ``causalrep.study`` (replicated studies with claims).

A room is imported when it is used: ``from causalrep.iv import TwoStageLeastSquares``.
"""

from causalrep import _runtime
from causalrep.versions import show_versions

_runtime.configure()

__all__ = ["__version__", "show_versions"]
__version__ = "0.1.0"
