"""Jobs and LaLonde: a randomized job-training program, whose own controls can be replaced by those of surveys.

LaLonde (1986) asked whether econometric adjustment with survey controls recovers the effect of the National Supported
Work program that its randomized controls show. Dehejia and Wahba (1999) took the subset with two years of earlier
earnings. "Jobs" (Shalit et al. 2017) is a version with a binary outcome that joins all experimental units and the PSID
controls.
"""

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.lib.npyio import NpzFile

from causalrep.base.validation import check_choice
from causalrep.data.sources.folder import find_file
from causalrep.data.sources.packages import check_table, data_package
from causalrep.data.tables.types import EffectBenchmark, EffectTable
from causalrep.errors import DataError

Sample = Literal["dehejia-wahba", "lalonde"]
Controls = Literal["experimental", "psid", "psid2", "psid3", "cps", "cps2", "cps3"]

_JOBS_URL = "https://raw.githubusercontent.com/dmachlanski/CE888_2022/HEAD/project/data/"
_SPLITS_URL = "https://raw.githubusercontent.com/VectorInstitute/Causal_Inference_Laboratory/HEAD/data/Jobs/"
_JOBS_SHA256 = "f061257876a5da1ff103b6de73da7ad75a9eda31e7f18c1d541c6bf00e8e948b"
_SPLITS_SHA256 = "11c198167ef322af50e48eb9d48857d6a76d8dea5eadfb2d60d4a82a6357e39f"
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
# Each table's file, number of rows, and checksum.
_FILES = {
    "lalonde": ("nsw.dta", 722, "3ee014cb0010e2e7fb990ac497f4217968733e2c9abfa4de84e83f524898c24e"),
    "dehejia-wahba": ("nsw_dw.dta", 445, "d1bd2680a1c6f799f1c6d2455bf29633fdf19be01cb19490621c20a560b4e072"),
    "psid": ("psid_controls.dta", 2490, "7beebae8928035d6abf662b994ce77a4fbea7ae6575037ff94e92fe099b43e14"),
    "psid2": ("psid_controls2.dta", 253, "799a1178376177359c4e6421c973201fbe03590da71f5fe6ed2abfee53427a3e"),
    "psid3": ("psid_controls3.dta", 128, "20a2b0ce7237c36135530e09d9bf9b2470fe816d00d49d11d659ec5350ffd322"),
    "cps": ("cps_controls.dta", 15992, "80f0123eaf723870bd060ba9f8569617a7cb519a462dc20badbfb3443cd8374b"),
    "cps2": ("cps_controls2.dta", 2369, "7f1090da18d27d308ffaef9ba509ed040441c9bfd84ccf693c4d97f5c078abeb"),
    "cps3": ("cps_controls3.dta", 429, "74fda0885a8ea7872adc41609d9edbf54d5cba3d5c494412e6ad6186afbc7352"),
}
# Tables that the PyPI package causaldata has under other names.
_PACKAGED = {"dehejia-wahba": "nsw_mixtape", "cps": "cps_mixtape"}


def jobs() -> EffectBenchmark:
    """Jobs (n = 3,212): employment after training; 722 randomized units and 2,490 controls of a survey.

    The potential outcomes are unknown, but the randomized units identify the effect on the treated (0.07794). ``y`` is
    1 if the person earned anything in 1978. Covariates that are not binary are standardized.

    Returns:
        ``x`` (3212, 17), ``t``, ``y`` and ``randomized`` (3212,), and the canonical splits ``test_rows`` (10, 642).

    Raises:
        DataError: If a file is missing and cannot be downloaded, or is corrupt.
    """
    with _archive("jobs.npz", _JOBS_URL, _JOBS_SHA256) as archive:
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


def _archive(name: str, base_url: str, sha256: str) -> NpzFile:
    return np.load(find_file("jobs", name, sha256=sha256, base_url=base_url))


def _jobs_test_rows(x: np.ndarray, t: np.ndarray, y: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Row numbers of the ten public test sets (10, 642).

    The test archive holds values and unit numbers of its own, so each unit is matched to a row by its values. Units
    with equal values take different rows, and keep them in every split.
    """
    with _archive("jobs_DW_bin.new.10.test.npz", _SPLITS_URL, _SPLITS_SHA256) as archive:
        units = archive["I"]
        blocks = [archive["x"], *(archive[name][:, None, :] for name in ("t", "yf", "e"))]
    content = np.concatenate(blocks, axis=1)
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
    """LaLonde (1986): job training and earnings in 1978, with randomized controls or those of two surveys.

    Args:
        sample: ``"dehejia-wahba"`` (185 treated, 260 controls, with earnings of 1974) or ``"lalonde"`` (297 treated,
            425 controls, without them).
        controls: The experiment's own controls, or those of the surveys PSID or CPS, whole or in one of two narrower
            selections. Survey controls were never in the program.

    Raises:
        DataError: If a file is missing and cannot be downloaded, or is corrupt.
        InputError: If the sample or the controls are unknown.
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
    file_name, rows, sha256 = _FILES[name]
    frame = _from_package(name)
    if frame is None:
        frame = pd.read_stata(find_file("jobs", file_name, sha256=sha256, base_url=_LALONDE_URL))
    check_table("lalonde", frame, ["treat", "re78"], rows=rows, origin=f"the table {name!r}")
    return frame


def _from_package(name: str) -> pd.DataFrame | None:
    """The table from the package causaldata, or None if it is not there."""
    if name not in _PACKAGED:
        return None
    try:
        package = data_package("lalonde", "causaldata")
    except DataError:
        return None
    frame = getattr(package, _PACKAGED[name]).load_pandas().data
    return frame.rename(columns={"educ": "education", "hisp": "hispanic", "marr": "married"})
