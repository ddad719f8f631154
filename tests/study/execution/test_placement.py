"""Who decides the precision of a study: the study, the user, the platform; and what the record then says."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest

from causalrep.errors import InputError
from causalrep.study import Study, run, run_folder
from causalrep.study.execution.executor import Executor
from causalrep.study.execution.placement import place

DECIDED = {
    # (the study's, the user's, platform): (precision, full products)
    ("float64", "auto", "cpu"): ("float64", False),
    ("float64", "auto", "gpu"): ("float64", False),
    ("float64", "auto", "tpu"): ("host", False),
    ("float64", "float64", "tpu"): ("host", False),
    ("float64", "float32", "tpu"): ("float32", True),
    ("auto", "auto", "cpu"): ("float64", False),
    ("auto", "auto", "tpu"): ("float32", True),
    ("auto", "host", "tpu"): ("host", False),
    ("auto", "float64", "tpu"): ("host", False),
    ("float32", "auto", "tpu"): ("float32", False),
    ("float32", "float32", "tpu"): ("float32", False),
    ("float32", "float64", "cpu"): ("float64", False),
    ("host", "auto", "gpu"): ("host", False),
}


@pytest.mark.parametrize(("given", "decided"), DECIDED.items())
def test_the_platform_decides_what_study_and_user_leave_open(location_study, given, decided):
    own, asked, platform = given
    placed = place(location_study(precision=own), asked, platform).study
    assert (placed.precision, placed.full_products) == decided
    again = place(placed, "auto", platform).study  # deciding twice changes nothing
    assert (again.precision, again.full_products) == decided


def test_only_another_precision_is_another_run(location_study):
    study = location_study()
    for same in ("auto", "host"):
        assert dataclasses.replace(study, precision=same).digest() == study.digest()
    on_tpu = place(location_study(precision="auto"), "auto", "tpu").study
    assert on_tpu.digest() == place(study, "float32", "cpu").study.digest()
    assert on_tpu.digest() not in (study.digest(), location_study(precision="float32").digest())


def test_products_are_full_where_float32_stands_in_for_float64(location_study):
    seen = []

    def product(key, setting):
        x = jax.random.normal(key, (4, 4))
        text = str(jax.make_jaxpr(jnp.matmul)(x, x))
        seen.append((x.dtype.name, "HIGHEST" in text))
        return {"m": {"x": (x @ x)[0, 0]}}

    for precision, asked in (("auto", "auto"), ("auto", "float32"), ("float32", "auto")):
        run(location_study(replicate=product, precision=precision), precision=asked, progress=False)
    assert set(seen[:2]) == {("float64", False)}
    assert set(seen[2:4]) == {("float32", True)}
    assert set(seen[4:]) == {("float32", False)}


def test_the_record_says_which_and_why(location_study, tmp_path):
    study = location_study(precision="auto")
    recorded = {"auto": "float64", "float32": "float32, full matrix products", "host": "float64 on the host"}
    for asked, precision in recorded.items():
        records = run(study, tmp_path / asked, precision=asked, progress=False)
        environment = json.loads((records.folder / "environment.json").read_text())
        assert environment["precision"] == precision
        assert environment["precision_why"]
    assert run_folder(study, tmp_path / "auto").exists()
    assert not run_folder(study, tmp_path / "float32").exists()


def test_beside_accelerators_float64_takes_the_host_s_processor(location_study, monkeypatch):
    processors, accelerators = jax.local_devices(backend="cpu")[:1], jax.devices()[4:]
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    monkeypatch.setattr(jax, "devices", lambda: accelerators)
    monkeypatch.setattr(jax, "local_devices", lambda backend: processors)
    for precision, devices in (("float64", processors), ("host", processors), ("auto", accelerators[:1])):
        assert list(Executor(location_study(precision=precision)).devices) == devices


def test_wrong_precisions_are_named(location_study):
    with pytest.raises(InputError, match="precision"):
        location_study(precision="bfloat16")
    with pytest.raises(InputError, match="precision"):
        run(location_study(), precision="half", progress=False)
    host = Study("demo/host", lambda key, setting: {"m": {"x": 1.0}}, [{"a": 1}], 2, compiled=False)
    with pytest.raises(InputError, match="compiled=False"):
        run(host, precision="float32", progress=False)
