"""The device mesh: one axis for independent replicas, one for the data of a large model."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from causalrep.errors import InputError


def make_mesh(
    replica: int | None = None, data: int | None = None, *, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A ``("replica", "data")`` mesh over all devices of all hosts.

    On one CPU the mesh is 1 x 1, and programs written for it run unchanged.

    Args:
        replica: Size of the replica axis; default: the number of devices divided by ``data``.
        data: Size of the data axis; default: the number of devices divided by ``replica``, or 1 if neither is given.
        devices: The devices; default ``jax.devices()``.

    Raises:
        InputError: If the sizes do not multiply to the number of devices.

    >>> dict(make_mesh(devices=jax.devices()[:1]).shape)
    {'replica': 1, 'data': 1}
    """
    devices = list(jax.devices() if devices is None else devices)
    count = len(devices)
    for argument, size in (("replica", replica), ("data", data)):
        if size is not None and (size < 1 or count % size):
            raise InputError(argument, found=size, expected=f"a divisor of the number of devices, {count}")
    if replica is None:
        replica = count // (data or 1)
    if data is None:
        data = count // replica
    if replica * data != count:
        raise InputError("replica x data", found=f"{replica} x {data}", expected=f"{count}, the number of devices")
    return Mesh(np.asarray(devices).reshape(replica, data), ("replica", "data"))
