"""Many devices and hosts: the mesh, sharding, processes and their supervision."""

from causalrep.parallel.mesh import make_mesh

__all__ = ["make_mesh"]
