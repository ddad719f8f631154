"""Programs compiled for a TPU slice on this machine: collectives, memory, loops, precision, and clear refusals."""

import importlib.util
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from causalrep.aot.programs import CompileError, Program, compile_for
from causalrep.errors import InputError
from causalrep.iv import two_stage_least_squares
from tests.libtpu import needs_libtpu

TARGET = "tpu:v5e:4x4"
STEPS, WIDTH, ROWS = 20, 256, 4096


def f32(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def train(params, x, y):
    """Gradient descent on a two-layer network, all steps in one scan."""

    def loss(params):
        return jnp.mean((jax.nn.relu(x @ params[0]) @ params[1] - y) ** 2)

    def body(params, _):
        value, grads = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), value

    return jax.lax.scan(body, params, None, length=STEPS)


WHOLE, SPLIT = P(), P("data")


def training(name="training", params=WHOLE, batch=SPLIT, **options):
    shapes = ((f32(WIDTH, WIDTH), f32(WIDTH, 8)), f32(ROWS, WIDTH), f32(ROWS, 8))
    options = {"collectives": ("all-reduce",), "replica": 1, **options}
    return Program.of(name, train, shapes, in_specs=(params, batch, batch), out_specs=(params, WHOLE), **options)


@pytest.fixture(scope="module")
def reports():
    programs = [
        training(donate=(0,)),
        training("split parameters", params=SPLIT),
        training("nothing split", batch=WHOLE),
        Program.of(
            "too large",
            lambda x: jnp.sin(x) + jnp.cos(x).T,
            (f32(400_000, 400_000),),
            in_specs=(P("data"),),
            out_specs=P("data"),
            replica=1,
        ),
    ]
    return {report.name: report for report in compile_for(TARGET, programs)}


@needs_libtpu
def test_data_parallel_training_runs_the_expected_all_reduces_alone(reports):
    report = reports["training"]
    assert report.problems == ()
    assert report.chips == 16
    (reduce,) = report.collectives
    gradient = 4 * (WIDTH * WIDTH + WIDTH * 8)
    assert reduce.kind == "all-reduce"
    assert reduce.count == STEPS
    assert gradient <= reduce.bytes <= gradient + 1024  # the loss is summed along
    assert report.collective_totals() == {"all-reduce": (STEPS, STEPS * reduce.bytes)}
    # Two products forward, three backward without the gradient of x, on a sixteenth of the rows.
    rows = ROWS // 16
    forward = 2 * rows * WIDTH * (WIDTH + 8)
    backward = 2 * rows * WIDTH * (WIDTH + 8 + 8)
    np.testing.assert_allclose(report.flops, STEPS * (forward + backward), rtol=0.1)
    assert report.open_loops == 0


@needs_libtpu
def test_memory_is_per_chip(reports):
    memory = reports["training"].memory
    parameters, batch = 4 * (WIDTH * WIDTH + WIDTH * 8), 4 * ROWS // 16 * (WIDTH + 8)
    # Narrow arrays are padded to 128 columns on TPUs.
    assert parameters + batch <= memory.arguments <= 1.5 * (parameters + batch)
    assert memory.donated >= parameters
    assert memory.total < reports["training"].limit
    assert reports["nothing split"].memory.arguments > 4 * memory.arguments


@needs_libtpu
def test_the_estimate_follows_from_the_published_peaks(reports):
    report = reports["training"]
    estimate = report.estimate
    assert estimate.compute == pytest.approx(report.flops / 197e12)
    assert estimate.memory == pytest.approx(report.bytes / 819e9)
    moved = STEPS * report.collectives[0].bytes
    assert estimate.network == pytest.approx(2 * moved * 15 / 16 / 200e9)
    assert estimate.seconds == max(estimate.compute, estimate.memory, estimate.network)


@needs_libtpu
def test_a_stray_all_gather_is_a_problem(reports):
    report = reports["split parameters"]
    kinds = report.collective_totals()
    # Each step gathers both matrices, the larger in asynchronous pieces: two logical gathers a step, not one a piece.
    assert kinds["all-gather"][0] == 2 * STEPS
    assert any(problem.startswith("stray all-gather") for problem in report.problems)


@needs_libtpu
def test_a_missing_all_reduce_is_a_problem(reports):
    assert any("no all-reduce" in problem for problem in reports["nothing split"].problems)


@needs_libtpu
def test_a_program_larger_than_the_chip_is_reported(reports):
    report = reports["too large"]
    assert report.memory is None
    assert any(problem.startswith("does not fit") and "HBM" in problem for problem in report.problems)


@needs_libtpu
def test_closed_forms_keep_float32_in_their_products():
    arguments = (f32(64, 500), f32(64, 500, 1), f32(64, 500, 5))
    spec = {"in_specs": P("replica"), "out_specs": P("replica")}
    fit = jax.vmap(lambda y, x, z: two_stage_least_squares(y, x, z, covariance="HC1").cov)
    (report,) = compile_for("tpu:v5e:1x1", [Program.of("2SLS", fit, arguments, **spec)])
    assert report.fast_products == 0
    plain = jax.vmap(lambda y, x, z: jnp.linalg.solve(z.T @ z, z.T @ y))
    (report,) = compile_for("tpu:v5e:1x1", [Program.of("plain", plain, arguments, **spec)])
    assert report.fast_products > 0


@needs_libtpu
def test_float64_factorizations_do_not_compile_for_slices():
    program = Program.of(
        "float64 QR",
        jax.vmap(jnp.linalg.qr),
        (jax.ShapeDtypeStruct((16, 8, 8), jnp.float64),),
        in_specs=P("replica"),
        out_specs=P("replica"),
        context=lambda: jax.enable_x64(True),
    )
    # On a single chip it compiles, in 15 seconds for this one factorization.
    with pytest.raises(CompileError, match="float64 QR does not compile for tpu:v5e:4x4"):
        compile_for(TARGET, [program])


@needs_libtpu
@pytest.mark.parametrize(("target", "chips"), [("tpu:v4:2x2x1", 4), ("tpu:v6e:2x2", 4), ("tpu:v5p:2x2x1", 4)])
def test_other_generations(target, chips):
    (report,) = compile_for(target, [training()])
    assert report.chips == chips
    assert report.problems == ()
    assert report.estimate.seconds > 0


@needs_libtpu
@pytest.mark.parametrize("topology", ["v5e:5x5", "v99:2x2", "nonsense"])
def test_unknown_topologies_are_named(topology):
    with pytest.raises(InputError, match=f"topology: found '{topology}'"):
        compile_for(f"tpu:{topology}", [training()])


@needs_libtpu
def test_two_processes_compile_at_once():
    code = (
        "import causalrep, time\n"
        "from causalrep.aot.programs import tpu_devices\n"
        "print(len(tpu_devices('v5e:2x2')), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "4\n"  # it has loaded the compiler, and so have we
            (report,) = compile_for(TARGET, [training()])
            assert report.problems == ()
        finally:
            holder.kill()
    assert "ALLOW_MULTIPLE_LIBTPU_LOAD" not in os.environ


def test_cuda_is_lowered():
    (report,) = compile_for("cuda:8", [training()])
    assert report.chips == 8
    assert report.memory is None
    assert report.collectives is None
    assert report.estimate is None
    assert report.problems == ()
    assert report.lower_seconds > 0


def test_without_the_compiler_the_extra_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "libtpu" else find(name))
    with pytest.raises(CompileError, match=r"causalrep\[aot\]"):
        compile_for(TARGET, [training()])


def test_one_process_compiles(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    with pytest.raises(CompileError, match="one of 4"):
        compile_for("cuda", [training()])


@pytest.mark.parametrize("target", ["tpu", "gpu", "cuda:0", "tpu:", "v5e:4x4"])
def test_unknown_targets_are_named(target):
    with pytest.raises(InputError, match="target"):
        compile_for(target, [training()])


def test_wrong_programs_are_named():
    with pytest.raises(InputError, match="collectives"):
        training(collectives=("gather",))
    with pytest.raises(InputError, match="collectives"):
        training(collectives="all-reduce")
    with pytest.raises(InputError, match="data"):
        compile_for("cuda:8", [training(replica=None, data=3)])
