"""The three modes agree, compile once, and give the same numbers whatever the chunk or the devices."""

from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.study import Study, run
from causalrep.study.execution.chunks import operations_of
from causalrep.study.execution.executor import Executor


def _run(study, **options):
    return run(study, progress=False, **options)


def test_modes_and_chunks_give_the_same_numbers(location_study):
    study = location_study()
    loop = _run(study, mode="loop").frame
    assert list(loop.columns) == ["n", "mu", "sd", "method", "replication", "metric", "value"]
    assert len(loop) == 6 * 21 * 4
    for options in (
        {"mode": "vmap"},
        {"mode": "vmap", "chunk": 4},
        {"mode": "sharded"},
        {"mode": "sharded", "chunk": 8},
    ):
        other = _run(study, **options).frame
        np.testing.assert_allclose(other["value"], loop["value"], rtol=1e-12, atol=1e-12)
        assert other.drop(columns="value").equals(loop.drop(columns="value"))
    auto = _run(study)
    assert auto.environment["mode"] == "vmap"
    assert _run(study, mode="sharded").environment["devices"] == ["cpu: cpu"] * 8


def test_a_program_that_cannot_be_read_costs_unknown_operations():
    texts = (
        "",
        "HloModule other\n",
        "ENTRY %e (a: f32[2]) -> f32[2] {\n  %a = f32[2] parameter(0)\n"
        "  ROOT %d = f32[2] dot(%a, %a), lhs_contracting_dims={3}, rhs_contracting_dims={0}\n}\n",
    )
    for text in texts:
        assert operations_of(SimpleNamespace(as_text=lambda text=text: text)) == (None, False)


def test_sharded_chunks_really_lie_on_all_devices(location_study):
    executor = Executor(location_study(), "sharded", 16)
    with jax.enable_x64(True):
        arguments = executor._arguments(0, np.arange(16, dtype=np.uint32))
        result = executor._program(0).executable("sharded", 16, executor.devices, *arguments)(*arguments)
    assert len(result.sharding.device_set) == 8
    assert {shard.data.shape[0] for shard in result.addressable_shards} == {2}


def test_records_are_what_the_function_returns(location_study):
    study = location_study()
    frame = _run(study).frame
    with jax.enable_x64(True):
        key = jax.random.fold_in(study.cell_key(4), 17)
        direct = study.replicate(key, {"n": 40, "mu": 1.0, "sd": 1.0})
    rows = frame[(frame["n"] == 40) & (frame["mu"] == 1.0) & (frame["replication"] == 17)]
    assert list(rows["method"]) == ["median", "median", "mean", "mean"]
    assert list(rows["metric"]) == ["estimate", "error"] * 2
    expected = [direct[m][k] for m in ("median", "mean") for k in ("estimate", "error")]
    np.testing.assert_allclose(rows["value"], expected, rtol=1e-12)


def test_a_cell_keeps_its_numbers_beside_other_cells(location_study):
    study = location_study()
    alone = _run(location_study(settings=[study.settings[4]])).frame
    beside = _run(study).frame
    beside = beside[(beside["n"] == 40) & (beside["mu"] == 1.0)]
    np.testing.assert_array_equal(alone["value"], beside["value"])


def test_common_random_numbers_across_shared_fields(location_study):
    frame = _run(location_study()).frame
    errors = frame[(frame["metric"] == "estimate") & (frame["n"] == 20)].pivot_table(
        index=["replication", "method"], columns="mu", values="value"
    )
    np.testing.assert_allclose(errors[2.0] - errors[0.0], 2.0)


@pytest.mark.parametrize("mode", ["loop", "vmap", "sharded"])
def test_one_trace_for_each_set_of_static_fields(location_study, traces, mode):
    # Two values of n; the three of mu share a program, and so does the estimate of a chunk's memory, except that the
    # sharded program is traced inside its mesh: a trace more would be an error of chex.
    most = 4 if mode == "sharded" else 2
    chex.clear_trace_counter()
    replicate = chex.assert_max_traces(location_study().replicate, n=most)
    study = location_study(replicate=replicate)
    assert _run(study, mode=mode).environment["compile_seconds"] > 0
    assert [seen["n"] for seen in traces] == ([20, 20, 40, 40] if mode == "sharded" else [20, 40])
    count = len(traces)
    again = _run(location_study(replicate=study.replicate, seed=5), mode=mode)
    assert len(traces) == count
    assert again.environment["compile_seconds"] == 0


def test_precision_is_the_study_s(location_study):
    seen = []

    def dtype(key, setting):
        x = jax.random.normal(key)
        seen.append((x.dtype.name, setting["mu"].dtype.name, type(setting["n"])))
        return {"m": {"x": x}}

    for precision in ("float64", "float32"):
        frame = _run(location_study(replicate=dtype, precision=precision)).frame
        assert frame["value"].dtype == np.float64
    assert seen == [("float64", "float64", int)] * 2 + [("float32", "float32", int)] * 2
    assert not jax.config.jax_enable_x64


def test_default_chunk_follows_from_the_program(location_study):
    def large(key, setting):
        return {"m": {"x": jax.random.normal(key, (2**20, setting["n"])).sum()}}

    def small(key, setting):
        return {"m": {"x": jax.random.normal(key)}}

    common = {"settings": [{"n": 8}], "traced": (), "shared": (), "replications": 1000}
    by_memory = Executor(location_study(replicate=large, **common)).chunk(0)
    assert by_memory.size == 1
    assert by_memory.why.startswith("memory: the compiled program needs ")
    assert 2**26 <= by_memory.bytes <= 2**28
    by_number = Executor(location_study(replicate=small, **common)).chunk(0)
    assert (by_number.size, by_number.by_memory) == (125, False)
    assert Executor(location_study(replicate=small, **common), "sharded").chunk(0).size == 1000
    assert Executor(location_study(replicate=small, **common), "sharded", 3).chunk(0).size == 8


def test_a_chunk_that_compiles_too_large_is_made_smaller(location_study, monkeypatch):
    """The first bound may be too low, where the compiler pads or copies: the compiled program decides."""
    from causalrep.study.execution import cell_program, chunks

    monkeypatch.setattr(cell_program, "peak_bytes", lambda jaxpr: 0)
    monkeypatch.setitem(chunks.CHUNK_BYTES, "cpu", 2**16)
    study = location_study(replications=100, settings=[{"n": 500, "mu": 0.0, "sd": 1.0}])
    chunk = Executor(study).chunk(0)
    assert chunk.by_memory
    assert 1 < chunk.size < 100
    assert chunk.bytes <= 2**16
    done = _run(study)
    assert done.environment["chunks"] == [
        {
            "cells": [0],
            "replications": chunk.size,
            "why": chunk.why,
            "bytes_on_each_device": chunk.bytes,
            "by_memory": True,
        }
    ]
    np.testing.assert_allclose(done.frame["value"], _run(study, mode="loop").frame["value"], rtol=1e-12)


def test_host_code_runs_as_it_is():
    def host(key, setting):
        generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        return {"m": {"x": float(generator.normal()) + setting["mu"], "bad": float("nan")}}

    study = Study("demo/host", host, [{"mu": 1.0, "text": "a"}, {"mu": 2.0, "text": "b"}], 5, compiled=False)
    first, second = _run(study).frame, _run(study, chunk=2).frame
    assert first.equals(second)
    assert first["text"].tolist() == ["a"] * 10 + ["b"] * 10
    assert np.isnan(first.loc[first["metric"] == "bad", "value"]).all()
    with pytest.raises(InputError, match="mode"):
        _run(study, mode="vmap")


@pytest.mark.parametrize(
    "returned",
    [{}, {"m": 1.0}, {"m": {}}, {"m": {"x": np.ones(2)}}, 3.0],
)
@pytest.mark.parametrize("compiled", [True, False])
def test_wrong_metrics_are_named(returned, compiled):
    study = Study("demo/bad", lambda key, setting: returned, [{"a": 1}], 2, compiled=compiled)
    with pytest.raises(InputError, match="replicate"):
        _run(study)


def test_wrong_options_are_named(location_study):
    with pytest.raises(InputError, match="mode"):
        _run(location_study(), mode="pmap")
    with pytest.raises(InputError, match="chunk"):
        _run(location_study(), chunk=0)


def test_sharded_programs_hold_no_collective(location_study):
    def factorized(key, setting):
        # The compiler would gather the operands of the factorization, and join the exits of the loop.
        a = jax.random.normal(key, (8, setting["n"] // 10))
        doubled = jax.lax.while_loop(lambda v: v < 10.0, lambda v: 2.0 * v, 1.0 + jnp.abs(a[0, 0]))
        return {"m": {"r": jnp.linalg.qr(a, mode="r")[0, 0], "doubled": doubled}}

    study = location_study(replicate=factorized)
    executor = Executor(study, "sharded", 16)
    with jax.enable_x64(True):
        arguments = executor._arguments(0, np.arange(16, dtype=np.uint32))
        text = executor._program(0).executable("sharded", 16, executor.devices, *arguments).as_text()
    for kind in ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter"):
        assert kind not in text
    np.testing.assert_allclose(
        _run(study, mode="sharded").frame["value"], _run(study, mode="loop").frame["value"], rtol=1e-12
    )
