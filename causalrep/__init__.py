"""causalrep: causal inference and causal representation learning in JAX.

A causal question goes in; an estimate, its uncertainty and the evidence that the method works come
out, by the same code on a laptop core, a GPU or a TPU pod.

Rooms: ``causalrep.data`` (simulators and data sets), ``causalrep.iv`` (instruments and IV-like regression),
``causalrep.invariance`` (predictors that hold across environments), ``causalrep.effects`` (treatment effects),
``causalrep.inference`` (uncertainty), ``causalrep.nn`` (networks), ``causalrep.training`` (fits short and long,
checkpoints, the mesh), ``causalrep.study`` (replicated studies with claims), ``causalrep.metrics`` and
``causalrep.plots``.
"""

from causalrep import _runtime

_runtime.configure()

__version__ = "0.1.0"
