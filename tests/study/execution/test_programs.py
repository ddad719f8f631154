"""A study's programs compiled for a slice: the function that runs, no collective but the gather, full products."""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from causalrep.aot.programs import compile_for
from causalrep.study import Study
from causalrep.study.execution.placement import place
from causalrep.study.execution.programs import host_reason, study_programs
from causalrep.training import Objective, fit
from experiments.papers.iv.weak import WeakInstruments
from tests.libtpu import needs_libtpu

TARGET = "tpu:v5e:4x4"
STEPS = 50


def _init(key, batch):
    keys = jax.random.split(key)
    return [0.3 * jax.random.normal(k, shape) for k, shape in zip(keys, ((4, 16), (16, 1)), strict=True)]


def _loss(params, key, batch):
    x, y = batch
    return jnp.mean((jax.nn.tanh(x @ params[0]) @ params[1] - y) ** 2), {}


OBJECTIVE, OPTIMIZER = Objective(_init, _loss), optax.adam(1e-2)


def small_fit(key, setting):
    """A small network trained in one scan: the replication of a neural study."""
    x = jax.random.normal(key, (128, 4))
    result = fit(OBJECTIVE, OPTIMIZER, (x, jnp.sum(x, axis=1, keepdims=True)), key, steps=STEPS)
    return {"network": {"loss": result.final_loss}}


@needs_libtpu
def test_small_fits_on_every_chip_run_no_collective_but_the_gather():
    study = Study("demo/fits", small_fit, [{"a": 1}], 64, precision="float32")
    fits, gather = compile_for(TARGET, study_programs(study, TARGET))
    assert fits.problems == gather.problems == ()
    assert fits.collectives == ()
    assert fits.open_loops == 0
    # Four replications a chip; two products forward, three in the gradient, every step of the scan counted.
    products = STEPS * 4 * 2 * 128 * (2 * (4 * 16 + 16) + 16)
    assert products < fits.flops < 2.5 * products
    assert fits.fast_products > 0  # a float32 study of its own accord: the chip's default
    ((kind, (count, size)),) = gather.collective_totals().items()
    assert kind in ("all-gather", "all-reduce")
    assert (count, size) == (1, 64 * 4)


@needs_libtpu
def test_closed_forms_compile_in_float32_with_full_products():
    study = dataclasses.replace(WeakInstruments().study(), replications=32)
    study = dataclasses.replace(study, settings=[s for s in study.settings if s["errors"] == "homoskedastic"])
    monte_carlo, gather = compile_for(TARGET, study_programs(study, TARGET))
    assert monte_carlo.name == "errors=homoskedastic (7 cells)"
    assert monte_carlo.problems == gather.problems == ()
    assert monte_carlo.collectives == ()
    assert monte_carlo.fast_products == 0
    assert monte_carlo.memory.total < 0.01 * monte_carlo.limit


def test_one_program_for_each_set_of_static_fields(location_study):
    names = [program.name for program in study_programs(location_study(precision="float32"), "cuda:8")]
    assert names == ["n=20 (3 cells)", "n=40 (3 cells)", "gather of the results"]
    reports = compile_for("cuda:8", study_programs(location_study(), "cuda:8"))
    assert [report.problems for report in reports] == [()] * 3


def test_studies_of_the_host_have_no_program(location_study):
    assert study_programs(location_study(), TARGET) == []  # float64, on TPUs
    assert "host" in host_reason(place(location_study(), "auto", "tpu"))
    assert study_programs(location_study(compiled=False, traced=()), "cuda") == []
    assert study_programs(location_study(precision="auto"), TARGET)


def test_chunks_fill_the_devices(location_study):
    study = location_study(precision="float32")
    for chunk, lanes in ((None, 24), (5, 8), (1000, 24)):
        (program, *_) = study_programs(study, "cuda:8", chunk=chunk)
        mesh = jax.sharding.AbstractMesh((8, 1), ("replica", "data"))
        assert program.arguments(mesh)[1].shape == (lanes,)
