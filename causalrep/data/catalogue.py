"""One door to every data set: ``load(name)``."""

import difflib
import inspect
from collections.abc import Callable

from causalrep.data.images import fashion_mnist, mnist, optical_device, small_digits
from causalrep.data.tables import acic, connectivity_cohort, ihdp, jobs, nhefs, open_llm_leaderboard, realcause, twins
from causalrep.data.tables import econometric as tables
from causalrep.errors import InputError

_LOADERS: dict[str, Callable[..., object]] = {
    "card": tables.card,
    "mroz": tables.mroz,
    "wage2": tables.wage2,
    "bwght": tables.bwght,
    "openness": tables.openness,
    "mnist": mnist.load_mnist,
    "small_digits": small_digits.load_small_digits,
    "optical_device": optical_device.load_optical_device,
    "fashion_mnist": fashion_mnist.load_fashion_mnist,
    "ihdp": ihdp.ihdp,
    "twins": twins.twins,
    "jobs": jobs.jobs,
    "lalonde": jobs.lalonde,
    "acic2016": acic.acic2016,
    "realcause": realcause.realcause,
    "nhefs": nhefs.nhefs,
    "connectivity_cohort": connectivity_cohort.connectivity_cohort,
    "open_llm_leaderboard": open_llm_leaderboard.open_llm_leaderboard,
}


def available() -> dict[str, str]:
    """Name and one-line description of every data set.

    >>> sorted(available())[:2]
    ['acic2016', 'bwght']
    """
    return {name: (loader.__doc__ or "").strip().splitlines()[0] for name, loader in _LOADERS.items()}


def load(name: str, **options: object):
    """Load a data set by name; ``available()`` lists them.

    Args:
        name: A name from ``available()``.
        **options: Keywords of the data set's own loader, for instance ``replications`` of ``"ihdp"``, ``controls`` of
            ``"lalonde"``; a wrong one is answered with the right ones.

    Returns:
        The data set's own type: :class:`~causalrep.data.IVTable` for the econometric tables,
        :class:`~causalrep.data.EffectBenchmark` for treatment effects with a known truth (``ihdp``, ``twins``,
        ``jobs``, ``acic2016``, ``realcause``), :class:`~causalrep.data.EffectTable` for those without (``lalonde``,
        ``nhefs``), :class:`~causalrep.data.OpticalDevice` for the optical device,
        :class:`~causalrep.data.Digits` for MNIST,
        :class:`~causalrep.data.LabelledImages` for pictures, :class:`~causalrep.data.Leaderboard` for language models,
        :class:`~causalrep.data.ConnectivityCohort` for brains.

    Raises:
        InputError: If there is no data set of that name, or it has no such option.
        DataError: If the data cannot be found, downloaded, or fail their checksum.
    """
    if name not in _LOADERS:
        near = difflib.get_close_matches(str(name), _LOADERS, n=3, cutoff=0.4) or sorted(_LOADERS)
        raise InputError("name", found=repr(name), expected="a known data set, such as " + ", ".join(near))
    loader = _LOADERS[name]
    known = list(inspect.signature(loader).parameters)
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InputError(
            unknown[0], found=f"an option that {name!r} does not have", expected=f"one of {known}" if known else "none"
        )
    return loader(**options)
