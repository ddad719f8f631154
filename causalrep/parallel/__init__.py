"""Many devices and hosts: the mesh, sharding, processes and their supervision."""
