"""Training an :class:`Objective` by :func:`fit`, one pure scan, or by :func:`train`, the same steps for hours.

A :class:`Schedule` says how an estimator trains its networks. A mesh says where a fit runs, :class:`Checkpoints` how
often its state is saved, and :func:`compile_for` whether a pod would run it.
"""

from causalrep.aot.programs import compile_for
from causalrep.parallel.mesh import make_mesh
from causalrep.training.checkpoints.store import Checkpoints
from causalrep.training.clock import clocked, ticking
from causalrep.training.fit import fit
from causalrep.training.loader import GrainLoader
from causalrep.training.loop import FitResult
from causalrep.training.objective import Objective, SVIObjective, svi_objective
from causalrep.training.observe import Console, Progress, TensorBoard
from causalrep.training.precision import mixed_precision, rematerialised
from causalrep.training.programs import training_program
from causalrep.training.rows import Schedule
from causalrep.training.train import train
from causalrep.training.trained import Trained

__all__ = [
    "Checkpoints",
    "Console",
    "FitResult",
    "GrainLoader",
    "Objective",
    "Progress",
    "SVIObjective",
    "Schedule",
    "TensorBoard",
    "Trained",
    "clocked",
    "compile_for",
    "fit",
    "make_mesh",
    "mixed_precision",
    "rematerialised",
    "svi_objective",
    "ticking",
    "train",
    "training_program",
]
