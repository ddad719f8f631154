"""Jobs and LaLonde: a randomised job-training programme, with controls from population surveys in place of its own.

LaLonde (1986) asked whether econometric adjustment of survey controls recovers the effect of the National Supported
Work programme that its randomised controls show. Dehejia and Wahba (1999) took the subset with two years of earlier
earnings. "Jobs" (Shalit et al. 2017) is a binary version: all experimental units and the PSID controls together.
"""

from typing import Literal, get_args

import numpy as np
import pandas as pd

from causalrep.base.validation import check_choice
from causalrep.data.sources.folder import find_file
from causalrep.data.tables.types import EffectBenchmark, EffectTable
from causalrep.errors import DataError

Sample = Literal["dehejia-wahba", "lalonde"]
Controls = Literal["experimental", "psid", "psid2", "psid3", "cps", "cps2", "cps3"]

_JOBS_URL = "https://raw.githubusercontent.com/dmachlanski/CE888_2022/HEAD/project/data/"
_SPLITS_URL = "https://raw.githubusercontent.com/VectorInstitute/Causal_Inference_Laboratory/HEAD/data/Jobs/"
_LALONDE_URL = "https://raw.githubusercontent.com/bradyneal/realcause/HEAD/datasets/"
_JOBS_COVARIATES = (
    "age",
    "education",
    "black",
    "hispanic",
    "married",
    "nodegree",
    "re74",
    "re75",
    "age^2",
    "age^3",
    "education^2",
    "re74^2",
    "re75^2",
    "u74",
    "u75",
    "education*re74",
    "u74*hispanic",
)
_FILES = {
    "lalonde": ("nsw.dta", "3ee014cb0010e2e7fb990ac497f4217968733e2c9abfa4de84e83f524898c24e"),
    "dehejia-wahba": ("nsw_dw.dta", "d1bd2680a1c6f799f1c6d2455bf29633fdf19be01cb19490621c20a560b4e072"),
    "psid": ("psid_controls.dta", "7beebae8928035d6abf662b994ce77a4fbea7ae6575037ff94e92fe099b43e14"),
    "psid2": ("psid_controls2.dta", "799a1178376177359c4e6421c973201fbe03590da71f5fe6ed2abfee53427a3e"),
    "psid3": ("psid_controls3.dta", "20a2b0ce7237c36135530e09d9bf9b2470fe816d00d49d11d659ec5350ffd322"),
    "cps": ("cps_controls.dta", "80f0123eaf723870bd060ba9f8569617a7cb519a462dc20badbfb3443cd8374b"),
    "cps2": ("cps_controls2.dta", "7f1090da18d27d308ffaef9ba509ed040441c9bfd84ccf693c4d97f5c078abeb"),
    "cps3": ("cps_controls3.dta", "74fda0885a8ea7872adc41609d9edbf54d5cba3d5c494412e6ad6186afbc7352"),
}
_ROWS = {
    "lalonde": 722,
    "dehejia-wahba": 445,
    "psid": 2490,
    "psid2": 253,
    "psid3": 128,
    "cps": 15992,
    "cps2": 2369,
    "cps3": 429,
}
# In the PyPI package causaldata, under other names.
_PACKAGED = {"dehejia-wahba": "nsw_mixtape", "cps": "cps_mixtape"}


def jobs() -> EffectBenchmark:
    """Jobs (n = 3,212): employment after training; 722 randomised units and 2,490 controls of a survey.

    The potential outcomes are not known, but the randomised units identify the effect on the treated (.07794). ``y``
    is 1 if the person earned anything in 1978; the covariates that are not binary are standardised.

    Returns:
        ``x`` (3212, 17), ``t`` and ``y`` (3212,), ``randomized`` (3212,), and ``test_rows`` (10, 642), the canonical
        splits.

    Raises:
        DataError: If a file is missing and cannot be downloaded, or is corrupt.
    """
    path = find_file(
        "jobs",
        "jobs.npz",
        sha256="f061257876a5da1ff103b6de73da7ad75a9eda31e7f18c1d541c6bf00e8e948b",
        base_url=_JOBS_URL,
    )
    with np.load(path) as archive:
        x, t, y, e = (archive[name].astype(np.float64) for name in ("x", "t", "y", "e"))
    return EffectBenchmark(
        name="jobs",
        x=x,
        covariates=_JOBS_COVARIATES,
        t=t[:, 0],
        y=y[:, 0],
        randomized=e[:, 0] == 1,
        test_rows=_jobs_test_rows(x, t[:, 0], y[:, 0], e[:, 0]),
        source="LaLonde (1986), Dehejia and Wahba (1999), as prepared by Shalit et al. (2017)",
    )


def _jobs_test_rows(x: np.ndarray, t: np.ndarray, y: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Rows of the ten public test sets, found by content; equal units are told apart by the archive's own numbers."""
    path = find_file(
        "jobs",
        "jobs_DW_bin.new.10.test.npz",
        sha256="11c198167ef322af50e48eb9d48857d6a76d8dea5eadfb2d60d4a82a6357e39f",
        base_url=_SPLITS_URL,
    )
    with np.load(path) as archive:
        units = archive["I"]
        content = [archive["x"], *(archive[name][:, None, :] for name in ("t", "yf", "e"))]
    content = np.concatenate(content, axis=1)
    rows_of: dict[bytes, list[int]] = {}
    for row, values in enumerate(np.column_stack([x, t, y, e])):
        rows_of.setdefault(values.tobytes(), []).append(row)
    row_of_unit: dict[int, int] = {}
    for split in range(units.shape[1]):
        for unit, values in zip(units[:, split], content[:, :, split], strict=True):
            if int(unit) not in row_of_unit:
                row_of_unit[int(unit)] = rows_of[np.ascontiguousarray(values).tobytes()].pop(0)
    return np.array([[row_of_unit[int(unit)] for unit in split] for split in units.T])


def lalonde(sample: Sample = "dehejia-wahba", controls: Controls = "experimental") -> EffectTable:
    """LaLonde (1986): job training and earnings in 1978, with randomised controls or those of two surveys.

    Args:
        sample: ``"dehejia-wahba"`` (185 treated, 260 controls, earnings of 1974 known) or LaLonde's own (297, 425,
            without them).
        controls: The experiment's own controls, or those of PSID or CPS, whole or in the two narrower selections
            (the treated are then compared with people who were never in the programme).

    Raises:
        DataError: If a file is missing and cannot be downloaded, or is corrupt.
        InputError: If a choice is unknown.
    """
    check_choice("sample", sample, get_args(Sample))
    check_choice("controls", controls, get_args(Controls))
    frame = _part(sample)
    if controls != "experimental":
        frame = pd.concat([frame[frame["treat"] == 1], _part(controls)], ignore_index=True)
    earlier = ("re74", "re75") if sample == "dehejia-wahba" else ("re75",)
    covariates = ("age", "education", "black", "hispanic", "married", "nodegree", *earlier)
    frame = frame[["treat", *covariates, "re78"]].astype(np.float64)
    return EffectTable(
        "lalonde", frame, "re78", "treat", covariates, f"National Supported Work ({sample}), controls: {controls}"
    )


def _part(name: str) -> pd.DataFrame:
    frame = _from_package(name)
    if frame is None:
        file_name, sha256 = _FILES[name]
        frame = pd.read_stata(find_file("jobs", file_name, sha256=sha256, base_url=_LALONDE_URL))
    if len(frame) != _ROWS[name]:
        raise DataError(f"lalonde: the table {name!r} holds {len(frame)} rows, expected {_ROWS[name]}.")
    return frame


def _from_package(name: str) -> pd.DataFrame | None:
    if name not in _PACKAGED:
        return None
    try:
        import causaldata
    except ImportError:
        return None
    frame = getattr(causaldata, _PACKAGED[name]).load_pandas().data
    return frame.rename(columns={"educ": "education", "hisp": "hispanic", "marr": "married"})
