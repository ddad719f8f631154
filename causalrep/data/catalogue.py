"""``load(name)`` loads any of the data sets; ``available()`` lists them."""

import difflib
import inspect
from collections.abc import Callable

from causalrep.data.images import fashion_mnist, mnist, optical_device, small_digits
from causalrep.data.tables import (
    acic,
    connectivity_cohort,
    econometric,
    ihdp,
    jobs,
    nhefs,
    open_llm_leaderboard,
    realcause,
    twins,
)
from causalrep.errors import InputError

_LOADERS: dict[str, Callable[..., object]] = {
    "card": econometric.card,
    "mroz": econometric.mroz,
    "wage2": econometric.wage2,
    "bwght": econometric.bwght,
    "openness": econometric.openness,
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
    """One-line descriptions of all data sets, by name.

    >>> sorted(available())[:2]
    ['acic2016', 'bwght']
    """
    return {name: (loader.__doc__ or "").strip().partition("\n")[0] for name, loader in _LOADERS.items()}


def load(name: str, **options: object):
    """Load a data set by name.

    Args:
        name: A name from :func:`available`.
        **options: Options of the data set, for instance ``replications`` of ``"ihdp"`` or ``controls`` of
            ``"lalonde"``. The error for a wrong option lists the right ones.

    Returns:
        A type that depends on the data set:

        * :class:`~causalrep.data.IVTable` for econometric tables (``card``, ``mroz``, ``wage2``, ``bwght``,
          ``openness``);
        * :class:`~causalrep.data.EffectBenchmark` for treatment effects with a known truth (``ihdp``, ``twins``,
          ``jobs``, ``acic2016``, ``realcause``);
        * :class:`~causalrep.data.EffectTable` for those without (``lalonde``, ``nhefs``);
        * :class:`~causalrep.data.Digits` for ``mnist`` and ``small_digits``;
        * :class:`~causalrep.data.LabelledImages` for ``fashion_mnist``;
        * :class:`~causalrep.data.OpticalDevice` for ``optical_device``;
        * :class:`~causalrep.data.Leaderboard` for ``open_llm_leaderboard``;
        * :class:`~causalrep.data.ConnectivityCohort` for ``connectivity_cohort``.

    Raises:
        InputError: If there is no data set of that name, or it has no such option.
        DataError: If the data can be neither found nor downloaded, or fail their checksum.

    >>> load("ihdp", replications=[1, 2]).y.shape
    (2, 747)
    """
    if name not in _LOADERS:
        near = difflib.get_close_matches(str(name), _LOADERS, n=3, cutoff=0.4) or sorted(_LOADERS)
        raise InputError("name", found=repr(name), expected="a name from available(), such as " + ", ".join(near))
    loader = _LOADERS[name]
    known = list(inspect.signature(loader).parameters)
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InputError(
            unknown[0], found=f"an option that {name!r} does not have", expected=f"one of {known}" if known else "none"
        )
    return loader(**options)
