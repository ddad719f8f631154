"""Many devices and hosts: the mesh, sharding, communication between processes, and what happens if one fails."""

from causalrep.parallel.mesh import make_mesh

__all__ = ["make_mesh"]
