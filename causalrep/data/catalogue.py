"""One door to every data set: ``load(name)``."""

import difflib
from collections.abc import Callable

from causalrep.data import ihdp, optical_device, tables
from causalrep.errors import InputError

_LOADERS: dict[str, Callable[..., object]] = {
    "card": tables.card,
    "mroz": tables.mroz,
    "wage2": tables.wage2,
    "bwght": tables.bwght,
    "openness": tables.openness,
    "optical_device": optical_device.load_optical_device,
    "ihdp": ihdp.ihdp,
}


def available() -> dict[str, str]:
    """Name and one-line description of every data set.

    >>> sorted(available())[:2]
    ['bwght', 'card']
    """
    return {name: (loader.__doc__ or "").strip().splitlines()[0] for name, loader in _LOADERS.items()}


def load(name: str, **options: object):
    """Load a data set by name; ``available()`` lists them.

    Args:
        name: A name from ``available()``.
        **options: Passed to the data set's own loader.

    Returns:
        The data set's own type: :class:`~causalrep.data.IVTable` for the econometric tables,
        :class:`~causalrep.data.OpticalDevice` for the optical device.

    Raises:
        InputError: If there is no data set of that name.
        DataError: If the data cannot be found, downloaded, or fail their checksum.
    """
    if name not in _LOADERS:
        near = difflib.get_close_matches(str(name), _LOADERS, n=3, cutoff=0.4) or sorted(_LOADERS)
        raise InputError("name", found=repr(name), expected="a known data set, such as " + ", ".join(near))
    return _LOADERS[name](**options)
