"""Chooses the precision and device for a study from its own setting, the user's override and the platform.

TPUs have no float64, and their compiler does not emulate it well: QR, SVD and Cholesky with a triangular solve do not
compile for a slice of several chips, and take a minute each to compile for one chip (jax 0.10.2, libtpu 0.0.51). On a
TPU, a study that asks for float64 therefore runs on the host's processor. A study that asks for ``"auto"`` states that
its error in float32 is known (see ``docs/measurements/float32.md``); it runs on the TPU in float32, with matrix
products that keep float32.
"""

import dataclasses
from typing import Literal, get_args

import jax

from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.study.plan import Study

Precision = Literal["auto", "float64", "float32", "host"]

_WHY = {
    "float64": "the platform computes in float64",
    "float32": "the study asks for float32",
    "host": "as asked",
}


@dataclasses.dataclass(frozen=True)
class Placement:
    """A study with its precision decided, and the reason.

    Attributes:
        study: The study; its ``precision`` is ``"float64"``, ``"float32"`` or ``"host"``.
        why: The reason, for the record.
    """

    study: Study
    why: str

    def record(self) -> dict[str, str]:
        """The entries about precision in a run's ``environment.json``."""
        names = {"host": "float64 on the host", "float64": "float64", "float32": "float32"}
        products = ", full matrix products" if self.study.full_products else ""
        return {"precision": names[self.study.precision] + products, "precision_why": self.why}


def place(study: Study, precision: Precision = "auto", platform: str | None = None) -> Placement:
    """Decide the precision of a study on a platform.

    Args:
        study: The study.
        precision: ``"auto"`` leaves it to the study, whose own ``"auto"`` is float64 except on TPUs. ``"float64"``,
            ``"float32"`` and ``"host"`` override it; float32 then keeps full matrix products.
        platform: ``"cpu"``, ``"gpu"`` or ``"tpu"``; default the running backend.

    Raises:
        InputError: If the precision is unknown, or given for a study of ordinary Python code (``compiled=False``).
    """
    check_choice("precision", precision, get_args(Precision))
    if not study.compiled and precision != "auto":
        raise InputError(
            "precision", found=repr(precision), expected="'auto', since the study is ordinary Python (compiled=False)"
        )
    tpu = (platform or jax.default_backend()) == "tpu"
    decided = study.precision if precision == "auto" else precision
    why = _WHY.get(decided, "")
    if precision == "float32" and study.precision != "float32":
        why = "as asked"
    elif decided == "auto":
        decided = "float32" if tpu else "float64"
        why = "TPU slices do not factorize in float64" if tpu else _WHY["float64"]
    elif decided == "float64" and tpu:
        decided, why = "host", "TPU slices do not factorize in float64"
    full = study.full_products or (decided == "float32" and study.precision != "float32")
    return Placement(dataclasses.replace(study, precision=decided, full_products=full), why)
