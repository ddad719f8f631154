"""Training: an :class:`Objective` goes in, :func:`fit` is the one loop, :func:`make_mesh` says where."""

from causalrep.training.aot import Program, ProgramReport, compile_for
from causalrep.training.fit import FitResult, fit
from causalrep.training.mesh import make_mesh
from causalrep.training.objective import Objective, SVIObjective, svi_objective

__all__ = [
    "FitResult",
    "Objective",
    "Program",
    "ProgramReport",
    "SVIObjective",
    "compile_for",
    "fit",
    "make_mesh",
    "svi_objective",
]
