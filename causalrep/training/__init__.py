"""Training: an :class:`Objective` goes in, :func:`fit` is the one loop, :func:`make_mesh` says where."""

from causalrep.training.fit import fit
from causalrep.training.loop import FitResult
from causalrep.training.mesh import make_mesh
from causalrep.training.objective import Objective, SVIObjective, svi_objective

__all__ = ["FitResult", "Objective", "SVIObjective", "fit", "make_mesh", "svi_objective"]
