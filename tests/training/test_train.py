"""Long fits: the same numbers in any chunks, on any mesh, from arrays or a loader; observed while they run."""

import io

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tensorboardX.proto.event_pb2 import Event

from causalrep.errors import DivergenceError, InputError
from causalrep.training import Console, Objective, TensorBoard, fit, make_mesh, train
from tests.training.problems import ADAM, OBJECTIVE, grain_rows, rows

KEY = jax.random.key(0)
KNOWN = {"steps": 60, "batch_size": 32, "eval_every": 6}


@pytest.fixture(scope="module")
def data():
    return rows(256)


@pytest.fixture(scope="module")
def held_out():
    return rows(64, seed=1)


@pytest.fixture(scope="module")
def whole(data, held_out):
    """The fit as one scan."""
    return fit(OBJECTIVE, ADAM, data, KEY, validation=held_out, **KNOWN)


@pytest.fixture(scope="module")
def one_device():
    return make_mesh(devices=jax.devices()[:1])


def equal(result, expected, **tolerance):
    for name, a, b in zip(expected._fields, result, expected):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, err_msg=name, **tolerance), a, b)  # noqa: B023


@pytest.mark.parametrize("chunk", [60, 7])
def test_chunks_do_not_change_a_digit(data, held_out, whole, one_device, chunk):
    result = train(OBJECTIVE, ADAM, data, KEY, validation=held_out, mesh=one_device, chunk=chunk, **KNOWN)
    equal(result, whole, rtol=0, atol=0)


def test_the_batch_is_spread_over_eight_devices(data, held_out, whole):
    equal(train(OBJECTIVE, ADAM, data, KEY, validation=held_out, **KNOWN), whole, rtol=1e-5, atol=1e-5)


def test_large_parameters_are_split_over_devices(data, held_out, whole):
    result = train(OBJECTIVE, ADAM, data, KEY, validation=held_out, shard_above=100, **KNOWN)
    shapes = {name: value.sharding.shard_shape(value.shape) for name, value in result.params.items()}
    # 8 x 16 floats are 512 bytes and split along the longer axis; 16 x 1 are 64 bytes and stay whole.
    assert shapes == {"in": (8, 2), "out": (16, 1)}
    equal(result, whole, rtol=1e-5, atol=1e-5)


def test_fits_of_many_keys_share_the_mesh(data, held_out):
    keys = jax.random.split(KEY, 8)
    result = train(OBJECTIVE, ADAM, data, keys, validation=held_out, mesh=make_mesh(4, 2), **KNOWN)
    assert result.params["in"].sharding.shard_shape((8, 8, 16)) == (2, 8, 16)
    alone = [fit(OBJECTIVE, ADAM, data, key, validation=held_out, **KNOWN) for key in keys]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone)
    equal(result, expected, rtol=1e-4, atol=1e-5)


def test_a_loader_gives_every_device_its_rows(data, held_out, one_device):
    known = {"steps": 60, "eval_every": 6, "validation": held_out}
    result = train(OBJECTIVE, ADAM, grain_rows(data, 32), KEY, chunk=7, **known)
    equal(result, train(OBJECTIVE, ADAM, grain_rows(data, 32), KEY, mesh=one_device, **known), rtol=1e-5, atol=1e-5)
    # Another order of the same rows is another path.
    assert abs(result.history["loss"][-1] - train_loss_on_arrays(data, held_out, one_device)) > 1e-4


def train_loss_on_arrays(data, held_out, mesh):
    return train(OBJECTIVE, ADAM, data, KEY, validation=held_out, mesh=mesh, **KNOWN).history["loss"][-1]


def test_accumulated_gradients_are_those_of_the_batch(data):
    def loss(params, key, batch):
        del key
        return OBJECTIVE.loss(params, KEY, batch)[0] * 0 + jnp.mean((batch["x"] @ params["in"]) ** 2), {}

    quiet = Objective(OBJECTIVE.init, loss)
    known = {"steps": 20, "batch_size": 64}
    once = fit(quiet, ADAM, data, KEY, **known)
    equal(fit(quiet, ADAM, data, KEY, accumulate=4, **known), once, rtol=1e-5, atol=1e-6)
    equal(train(quiet, ADAM, data, KEY, accumulate=4, **known), once, rtol=1e-5, atol=1e-6)


def test_patience_ends_the_program_early(data, held_out, one_device):
    still = optax.sgd(0.0)
    known = {**KNOWN, "patience": 2, "validation": held_out}
    chunks = []
    result = train(OBJECTIVE, still, data, KEY, chunk=6, mesh=one_device, observers=[chunks.append], **known)
    equal(result, fit(OBJECTIVE, still, data, KEY, **known), rtol=0, atol=0)
    assert bool(result.stopped)
    assert len(chunks) < 10


def test_divergence_names_the_step(data, tmp_path):
    def loss(params, key, batch):
        value, metrics = OBJECTIVE.loss(params, key, batch)
        return jnp.where(jnp.abs(params["out"]).max() > 2.0, jnp.nan, value), metrics

    with pytest.raises(DivergenceError, match=r"not finite at step \d+ of 60; none was saved"):
        train(Objective(OBJECTIVE.init, loss), optax.sgd(3.0), data, KEY, steps=60, batch_size=32)


def test_observers_see_means_rates_and_operations(data, held_out, one_device, tmp_path):
    seen, out = [], io.StringIO()
    observers = [seen.append, Console(0.0, out), TensorBoard(tmp_path / "logs")]
    result = train(
        OBJECTIVE,
        ADAM,
        data,
        KEY,
        validation=held_out,
        mesh=one_device,
        chunk=20,
        observers=observers,
        profile=tmp_path / "trace",
        **KNOWN,
    )
    assert [progress.step for progress in seen] == [20, 40, 60]
    np.testing.assert_allclose(seen[1].metrics["loss"], result.history["loss"][20:40].mean(), rtol=1e-6)
    np.testing.assert_allclose(seen[1].validation, result.validation[5])
    # Two products of 32 x 8 x 16 and two of 32 x 16 forward, as much twice backward, less the inputs' own gradient.
    counted = seen[1].flops_per_second / seen[1].steps_per_second
    products = 2 * 32 * (8 * 16 * 2 + 16 * 3)
    assert products < counted < 3 * products
    assert seen[1].examples_per_second == pytest.approx(32 * seen[1].steps_per_second)
    assert "step 60/60" in out.getvalue()
    written = next((tmp_path / "logs").iterdir()).read_bytes()
    losses = [v.simple_value for event in _events(written) for v in event.summary.value if v.tag == "train/loss"]
    np.testing.assert_allclose(losses, [progress.metrics["loss"] for progress in seen], rtol=1e-6)
    assert list((tmp_path / "trace").rglob("*.xplane.pb"))


def _events(raw):
    while raw:
        length = int.from_bytes(raw[:8], "little")
        event = Event()
        event.ParseFromString(raw[12 : 12 + length])
        yield event
        raw = raw[16 + length :]


def test_a_chunk_is_compiled_once(data, one_device):
    # chex refuses a second trace of the loss.
    chex.clear_trace_counter()
    once = Objective(OBJECTIVE.init, chex.assert_max_traces(OBJECTIVE.loss, n=1))
    for steps in (40, 80):
        train(once, ADAM, data, KEY, steps=steps, batch_size=32, chunk=10, mesh=one_device)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"batch_size": 36}, "batch_size: found 36; expected a multiple of the mesh's data axis, 8"),
        ({"batch_size": 32, "accumulate": 8}, "batch_size / accumulate: found 4"),
        ({"batch_size": 32, "accumulate": 5}, "accumulate: found 5; expected a divisor"),
        ({"batch_size": 32, "mesh": make_mesh(2, 4)}, "mesh: found a replica axis of 2 for one key"),
        ({"batch_size": 32, "key": jax.random.split(KEY, 6)}, "key: found 6 keys"),
        ({"batch_size": 32, "chunk": 0}, "chunk: found 0"),
        ({"batch_size": 32, "mesh": jax.make_mesh((8,), ("batch",))}, "mesh: found axes"),
    ],
)
def test_bad_arguments_are_named(data, arguments, named):
    with pytest.raises(InputError, match=named):
        train(OBJECTIVE, ADAM, data, **{"steps": 10, "key": KEY, **arguments})
