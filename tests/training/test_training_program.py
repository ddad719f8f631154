"""The program of a long fit, compiled for a TPU slice: what it communicates, and what it needs."""

import jax
import jax.numpy as jnp
import pytest

from causalrep.aot.programs import compile_for
from causalrep.errors import InputError
from causalrep.training import training_program
from tests.aot.test_programs import TARGET
from tests.libtpu import needs_libtpu
from tests.training.problems import ADAM, OBJECTIVE

BATCH = {"x": jax.ShapeDtypeStruct((64, 8), jnp.float32), "y": jax.ShapeDtypeStruct((64, 1), jnp.float32)}


@needs_libtpu
def test_data_parallel_steps_reduce_gradients_and_gather_nothing():
    copied, split, drawn = compile_for(
        TARGET,
        [
            training_program("copied", OBJECTIVE, ADAM, BATCH),
            training_program("split", OBJECTIVE, ADAM, BATCH, shard_above=100),
            training_program("drawn from all rows", OBJECTIVE, ADAM, BATCH, batch_size=32, validation=BATCH),
        ],
    )
    assert copied.problems == split.problems == drawn.problems == ()
    for whole in (copied, drawn):
        assert {collective.kind for collective in whole.collectives} == {"all-reduce"}
    # The 8 x 16 layer and its two moments are a sixteenth on each chip, which then must send more than gradients.
    assert {collective.kind for collective in split.collectives} > {"all-reduce"}
    assert split.memory.arguments < copied.memory.arguments


@needs_libtpu
def test_a_batch_that_the_chips_do_not_divide_is_refused():
    odd = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((60, *leaf.shape[1:]), leaf.dtype), BATCH)
    with pytest.raises(InputError, match="batch_size: found 60; expected a multiple of the mesh's data axis, 16"):
        compile_for(TARGET, [training_program("odd", OBJECTIVE, ADAM, odd)])
