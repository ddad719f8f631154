"""What the text of a compiled program says: collectives of every spelling, and loops multiplied out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from causalrep.aot.hlo.summary import read_hlo
from causalrep.aot.hlo.text import shape_bytes
from causalrep.training import make_mesh

# The spellings of asynchronous collectives that CPUs do not produce, as GPUs and TPUs write them.
ASYNCHRONOUS = """HloModule jit_step, is_scheduled=true

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}

%scatter_computation (p: f32[64]) -> f32[8] {
  %p = f32[64]{0} parameter(0)
  ROOT %reduce-scatter.1 = f32[8]{0} reduce-scatter(%p), channel_id=3, dimensions={0}, to_apply=%add
}

%start_piece (p.1: f32[2,4]) -> (f32[2,4], f32[16,4]) {
  %p.1 = f32[2,4]{1,0:T(8,128)} parameter(0)
  %all-gather.5 = f32[16,4]{1,0:T(8,128)} all-gather(%p.1), channel_id=9, dimensions={0}, backend_config={"async_collective_fusion_config":{"flag_start":"-1","flag_end":"-1"}}
  ROOT %custom-call.5 = (f32[2,4]{1,0}, f32[16,4]{1,0}) custom-call(%all-gather.5), custom_call_target="AsyncCollectiveStart"
}

%done_piece (p.2: f32[2,4]) -> f32[16,4] {
  %p.2 = f32[2,4]{1,0:T(8,128)} parameter(0)
  %all-gather.6 = f32[16,4]{1,0:T(8,128)} all-gather(%p.2), channel_id=9, dimensions={0}, backend_config={"async_collective_fusion_config":{"flag_start":"2","flag_end":"8"}}
  ROOT %custom-call.6 = f32[16,4]{1,0} custom-call(%p.2, %all-gather.6), custom_call_target="AsyncCollectiveDone"
}

ENTRY %main (a: f32[8], b: f32[64], c: bf16[4], d: f32[2,4]) -> f32[64] {
  %a = f32[8]{0} parameter(0)
  %b = f32[64]{0} parameter(1)
  %c = bf16[4]{0} parameter(2)
  %d = f32[2,4]{1,0} parameter(3)
  %all-gather-start.1 = (f32[8]{0}, f32[64]{0}) all-gather-start(%a), channel_id=1, dimensions={0}, metadata={op_name="jit(step)/gather"}
  %all-gather-done.1 = f32[64]{0} all-gather-done(%all-gather-start.1)
  %all-reduce-start.1 = (f32[64]{0}, f32[8]{0}) all-reduce-start(%b, %a), channel_id=2, to_apply=%add
  %all-reduce-done.1 = (f32[64]{0}, f32[8]{0}) all-reduce-done(%all-reduce-start.1)
  %collective-permute-start.1 = (bf16[4]{0}, bf16[4]{0}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(%c), source_target_pairs={{0,1},{1,0}}
  %collective-permute-done.1 = bf16[4]{0} collective-permute-done(%collective-permute-start.1)
  %async-start.1 = ((f32[64]{0}), f32[8]{0}, u32[]) async-start(%b), calls=%scatter_computation
  %async-update.1 = ((f32[64]{0}), f32[8]{0}, u32[]) async-update(%async-start.1), calls=%scatter_computation
  %async-done.1 = f32[8]{0} async-done(%async-update.1), calls=%scatter_computation
  %fusion.1 = (f32[2,4]{1,0}, f32[16,4]{1,0}) fusion(%d), kind=kCustom, calls=%start_piece
  %fusion.2 = f32[16,4]{1,0} fusion(%d), kind=kCustom, calls=%done_piece
  ROOT %copy.1 = f32[64]{0} copy(%all-gather-done.1)
}
"""  # noqa: E501


def test_asynchronous_collectives_count_once():
    parsed = sorted((c.kind, c.bytes, c.count, c.source) for c in read_hlo(ASYNCHRONOUS).collectives)
    assert parsed == [
        ("all-gather", 256, 1, ""),  # in two fused pieces
        ("all-gather", 256, 1, "jit(step)/gather"),  # started and done
        ("all-reduce", 288, 1, ""),
        ("collective-permute", 8, 1, ""),
        ("reduce-scatter", 256, 1, ""),  # wrapped, updated and done
    ]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ("f32[2,64]{1,0:T(8,128)S(1)}", 512),
        ("(bf16[3]{0}, /*index=1*/s8[5])", 11),
        ("pred[7]", 7),
        ("f8e4m3fn[4]", 4),
        ("c64[2]", 16),
        ("u32[]{:S(2)}", 4),
        ("token[]", 0),
        ("s4[6]", 3),
    ],
)
def test_shapes_have_their_bytes(shape, size):
    assert shape_bytes(shape) == size


def test_real_programs_of_every_collective():
    mesh = make_mesh(1, 8)

    def everything(x):
        x = jax.lax.ppermute(x, "data", [(i, (i + 1) % 8) for i in range(8)])
        x = jax.lax.all_to_all(x.reshape(8, -1), "data", 0, 0).reshape(-1)
        small = jax.lax.psum_scatter(x, "data", tiled=True)
        return jax.lax.all_gather(small, "data", tiled=True) + jax.lax.psum(x, "data")

    spec = PartitionSpec("data")
    sharded = jax.jit(jax.shard_map(everything, mesh=mesh, in_specs=spec, out_specs=spec))
    text = sharded.lower(jax.ShapeDtypeStruct((8 * 64,), jnp.float32)).compile().as_text()
    parsed = {c.kind: (c.count, c.bytes) for c in read_hlo(text).collectives}
    assert parsed == dict.fromkeys(
        ["collective-permute", "all-to-all", "reduce-scatter", "all-gather", "all-reduce"], (1, 256)
    )


def _steps(length):
    def step(w, x):
        def body(w, _):
            return w - 0.1 * jax.grad(lambda w: jnp.mean((x @ w) ** 2))(w), None

        return jax.lax.scan(body, w, None, length=length)[0]

    return step


def test_loops_are_multiplied_out():
    mesh = make_mesh(1, 8)
    layout = [NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("data",))]
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((64, 64), (256, 64))]
    flops, reduces = {}, {}
    for length in (1, 10):
        compiled = jax.jit(_steps(length), in_shardings=tuple(layout)).lower(*shapes).compile()
        summary = read_hlo(compiled.as_text())
        flops[length] = summary.flops
        (reduce,) = [c for c in summary.collectives if c.kind == "all-reduce"]
        reduces[length] = (reduce.count, reduce.bytes)
        assert summary.open_loops == 0
    assert reduces == {1: (1, 4 * 64 * 64), 10: (10, 4 * 64 * 64)}
    np.testing.assert_allclose(flops[10] / flops[1], 10, rtol=0.05)
    # Two products of (32 x 64) and (64 x 64) a step and device.
    np.testing.assert_allclose(flops[10], 10 * 2 * 2 * 32 * 64 * 64, rtol=0.15)


def _dense(weights, x):
    hidden = jnp.tanh(jnp.tanh(x @ weights[0]) @ weights[1])
    return jnp.mean(jax.nn.softplus(hidden @ weights[2]))


def _convolutional(weights, x):
    layout = ("NHWC", "HWIO", "NHWC")
    hidden = jax.nn.relu(jax.lax.conv_general_dilated(x, weights[0], (2, 2), "SAME", dimension_numbers=layout))
    output = jax.lax.conv_transpose(hidden, weights[1], (2, 2), "SAME", dimension_numbers=layout)
    return jnp.mean((output - x) ** 2)


def _summed_rows(_, x):
    return jax.ops.segment_sum(jnp.sort(x, axis=0), x[:, 0].astype(int), 100_000)


@pytest.mark.parametrize(
    ("function", "weights", "rows"),
    [
        (jax.grad(_dense), [(20, 100), (100, 100), (100, 1)], (512, 20)),
        (jax.grad(_convolutional), [(4, 4, 1, 32), (4, 4, 32, 1)], (64, 28, 28, 1)),
        (_summed_rows, [], (512, 16)),
    ],
    ids=["dense", "convolutional", "sorted and summed"],
)
def test_without_loops_flops_are_those_that_xla_counts(function, weights, rows):
    """But for the edges of convolutions, where products with padding count here."""
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in weights]
    lowered = jax.jit(function).lower(shapes, jax.ShapeDtypeStruct(rows, jnp.float32))
    # As users compile: the flags of the tests leave out fusions, and XLA's own count changes with them.
    compiled = lowered.compile(compiler_options={"xla_cpu_use_fusion_emitters": True})
    np.testing.assert_allclose(read_hlo(compiled.as_text()).flops, compiled.cost_analysis()["flops"], rtol=0.1)


def test_products_of_gpu_libraries_are_counted():
    """As XLA writes them for GPUs: a product of 64 x 32 and 32 x 16, and a layer of 3 x 3 windows, forward and back."""
    layer = "window={size=3x3 stride=2x2 pad=0_1x0_1}, dim_labels=b01f_01io->b01f"
    text = f"""HloModule gpu

ENTRY %main (a: f32[64,32], b: f32[32,16], x: f32[8,28,28,4], k: f32[3,3,4,6], y: f32[8,14,14,6]) -> f32[64,16] {{
  %a = f32[64,32]{{1,0}} parameter(0)
  %b = f32[32,16]{{1,0}} parameter(1)
  %x = f32[8,28,28,4]{{3,2,1,0}} parameter(2)
  %k = f32[3,3,4,6]{{3,2,1,0}} parameter(3)
  %y = f32[8,14,14,6]{{3,2,1,0}} parameter(4)
  %cublas-gemm.1 = (f32[64,16]{{1,0}}, s8[4194304]{{0}}) custom-call(%a, %b), custom_call_target="__cublas$gemm", backend_config={{"gemm_backend_config":{{"alpha_real":1,"dot_dimension_numbers":{{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"]}}}}}}
  %forward = (f32[8,14,14,6]{{3,2,1,0}}, u8[0]{{0}}) custom-call(%x, %k), {layer}, custom_call_target="__cudnn$convForward"
  %input = (f32[8,28,28,4]{{3,2,1,0}}, u8[0]{{0}}) custom-call(%y, %k), {layer}, custom_call_target="__cudnn$convBackwardInput"
  %filter = (f32[3,3,4,6]{{3,2,1,0}}, u8[0]{{0}}) custom-call(%x, %y), {layer}, custom_call_target="__cudnn$convBackwardFilter"
  %svd = f32[64,32]{{1,0}} custom-call(%a), custom_call_target="cusolver_gesvdj_ffi"
  ROOT %found = f32[64,16]{{1,0}} get-tuple-element(%cublas-gemm.1), index=0
}}
"""  # noqa: E501
    parsed = read_hlo(text)
    assert parsed.flops == 2 * 64 * 16 * 32 + 3 * 2 * (8 * 14 * 14 * 6) * (3 * 3 * 4)
    assert parsed.kernels == {"cusolver_gesvdj_ffi": 1}


def test_of_a_branch_the_cheaper_side_counts():
    """An evaluation every tenth step is no cost of every step."""

    def program(w, x, every):
        def body(w, step):
            w = w - 0.1 * (x.T @ (x @ w))
            loss = jax.lax.cond(step % every == 0, lambda: jnp.sum((w @ w @ w @ w) ** 2), lambda: jnp.float32(0))
            return w, loss

        return jax.lax.scan(body, w, jnp.arange(20))

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((64, 64), (32, 64))]
    compiled = jax.jit(program).lower(*shapes, jax.ShapeDtypeStruct((), jnp.int32)).compile()
    flops = read_hlo(compiled.as_text()).flops
    np.testing.assert_allclose(flops, 20 * 2 * 2 * 32 * 64 * 64, rtol=0.15)


def test_a_batch_drawn_from_many_rows_reads_the_batch():
    """And what is done once, such as making the rows, counts once."""

    def program(w, seed):
        rows = jnp.sin(seed + jnp.arange(200_000.0)).reshape(-1, 20)

        def body(w, step):
            batch = jnp.take(rows, (step * 37 + jnp.arange(8)) % len(rows), axis=0)
            return w - 0.1 * batch.T @ (batch @ w), None

        return jax.lax.scan(body, w, jnp.arange(500))[0]

    compiled = jax.jit(program).lower(jnp.ones(20), jnp.float32(1)).compile()
    moved = read_hlo(compiled.as_text()).bytes
    # The rows are 0.8 MB, a batch 640 bytes: 500 batches, read a few times each, not 400 MB.
    assert 0.8e6 < moved < 2e7


def test_an_array_that_is_changed_in_place_moves_what_is_changed():
    def program(start):
        def body(rows, step):
            return jax.lax.dynamic_update_slice(rows, jnp.sin(rows[step] + jnp.ones((1, 20))), (step, 0)), None

        return jax.lax.scan(body, start, jnp.arange(500))[0]

    compiled = jax.jit(program).lower(jnp.ones((10_000, 20))).compile()
    moved = read_hlo(compiled.as_text()).bytes
    assert moved < 1e7, "the array is 0.8 MB, a row 80 bytes: not 500 arrays"


def test_a_loop_that_data_end_is_open():
    def halve(x):
        return jax.lax.while_loop(lambda x: jnp.sum(x) > 1.0, lambda x: 0.5 * (x @ x), x)

    text = jax.jit(halve).lower(jax.ShapeDtypeStruct((8, 8), jnp.float32)).compile().as_text()
    assert read_hlo(text).open_loops == 1


def test_text_without_an_entry_is_refused():
    with pytest.raises(ValueError, match="ENTRY"):
        read_hlo("HloModule nothing\n")
