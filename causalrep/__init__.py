"""causalrep: causal inference and causal representation learning in JAX.

A causal question goes in; an estimate, its uncertainty and the evidence that the method works come
out, by the same code on a laptop core, a GPU or a TPU pod.

Rooms: ``causalrep.data`` (simulators and data sets), ``causalrep.iv`` (instruments and IV-like regression),
``causalrep.inference`` (uncertainty), ``causalrep.training`` (the one training loop), ``causalrep.study``
(replicated studies with claims), ``causalrep.metrics`` and ``causalrep.plots``.
"""

from causalrep import _runtime

_runtime.configure()

__version__ = "0.1.0"
