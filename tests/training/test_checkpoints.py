"""Checkpoints: what is kept, what a damaged or foreign one does, and that a resumed fit is the fit."""

import os
import resource
import signal
import warnings
from pathlib import Path

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from causalrep.errors import CausalrepWarning, CheckpointError, DivergenceError, InputError
from causalrep.parallel.distributed import PREEMPTED, Preempted
from causalrep.training import Checkpoints, GrainLoader, Objective, make_mesh, train
from tests.training.problems import ADAM, OBJECTIVE, grain_rows, rows

KEY = jax.random.key(0)
DATA, HELD_OUT = rows(256), rows(64, seed=1)
KNOWN = {"steps": 60, "batch_size": 32, "validation": HELD_OUT, "eval_every": 5, "chunk": 5}
ONE = make_mesh(devices=jax.devices()[:1])


class Stop(Exception):
    """The plug is pulled."""


def stop_at(step):
    def observer(progress):
        if progress.step >= step:
            raise Stop

    return observer


def policy(folder, **options):
    return Checkpoints(folder, **{"every_steps": 10, "every_minutes": None, **options})


def run(folder, *, mesh=ONE, observers=(), **options):
    return train(
        OBJECTIVE, ADAM, DATA, KEY, mesh=mesh, observers=observers, checkpoints=policy(folder), **{**KNOWN, **options}
    )


def steps(folder):
    return sorted(int(path.name) for path in (folder / "steps").iterdir() if path.name.isdigit())


@pytest.fixture(scope="module")
def whole():
    return train(OBJECTIVE, ADAM, DATA, KEY, mesh=ONE, **KNOWN)


@pytest.fixture
def stopped(tmp_path):
    """A folder of a fit that ended after step 40."""
    with pytest.raises(Stop):
        run(tmp_path, observers=[stop_at(40)])
    assert steps(tmp_path) == [20, 30]
    return tmp_path


def equal(result, expected, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), tuple(result), tuple(expected))


def test_a_resumed_fit_is_the_fit_to_the_last_bit(stopped, whole):
    seen = []
    equal(run(stopped, observers=[seen.append]), whole, rtol=0, atol=0)
    # Nothing is computed twice but what came after the last checkpoint.
    assert seen[0].step == 35


def test_a_finished_fit_is_not_computed_again(tmp_path, whole):
    run(tmp_path)
    seen = []
    equal(run(tmp_path, observers=[seen.append]), whole, rtol=0, atol=0)
    assert not seen


def test_more_steps_go_on_from_the_end(tmp_path):
    run(tmp_path)
    longer = run(tmp_path, steps=80)
    equal(longer, train(OBJECTIVE, ADAM, DATA, KEY, mesh=ONE, **{**KNOWN, "steps": 80}), rtol=0, atol=0)


def test_fewer_steps_than_were_taken_are_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(InputError, match="steps: found 30; expected at least 60, as far as"):
        run(tmp_path, steps=30)


@pytest.mark.parametrize("mesh", [make_mesh(devices=jax.devices()[:2], replica=1), make_mesh(replica=1)])
def test_a_checkpoint_is_restored_onto_another_mesh(stopped, whole, mesh):
    result = run(stopped, mesh=mesh, shard_above=100)
    assert len(result.params["in"].sharding.device_set) == mesh.size
    equal(result, whole, rtol=1e-5, atol=1e-5)


def test_sharded_parameters_are_restored_onto_one_device(tmp_path, whole):
    with pytest.raises(Stop):
        run(tmp_path, mesh=make_mesh(replica=1), shard_above=100, observers=[stop_at(40)])
    equal(run(tmp_path), whole, rtol=1e-5, atol=1e-5)


def test_a_loader_goes_on_at_its_position(tmp_path):
    known = {name: value for name, value in KNOWN.items() if name != "batch_size"}

    def loaded(**options):
        return train(OBJECTIVE, ADAM, grain_rows(DATA, 32), KEY, mesh=ONE, **known, **options)

    with pytest.raises(Stop):
        loaded(checkpoints=policy(tmp_path), observers=[stop_at(40)])
    equal(loaded(checkpoints=policy(tmp_path)), loaded(), rtol=0, atol=0)


def test_many_fits_and_an_optimizer_with_a_key_of_its_own_are_resumed(tmp_path):
    noisy = optax.chain(optax.add_noise(0.01, 0.5, 3), optax.adam(1e-2))
    keys = jax.random.split(KEY, 4)
    mesh = make_mesh(data=1, devices=jax.devices()[:4])

    def many(**options):
        return train(OBJECTIVE, noisy, DATA, keys, mesh=mesh, **KNOWN, **options)

    with pytest.raises(Stop):
        many(checkpoints=policy(tmp_path), observers=[stop_at(40)])
    equal(many(checkpoints=policy(tmp_path)), many(), rtol=0, atol=0)


def test_the_latest_and_the_best_are_kept(tmp_path):
    def loss(params, key, batch):
        # A distance that falls to zero at step 25 and then grows.
        return abs(params["in"][0, 0]) + 0.0 * OBJECTIVE.loss(params, key, batch)[0], {}

    climb = Objective(lambda key, batch: jax.tree.map(lambda p: p * 0 + 2.5, OBJECTIVE.init(key, batch)), loss)
    fall = optax.stateless(lambda grads, params: jax.tree.map(lambda p: 0 * p - 0.1, params))
    kept = policy(tmp_path, keep=2, keep_best=1)
    train(climb, fall, DATA, KEY, mesh=ONE, checkpoints=kept, **KNOWN)
    assert steps(tmp_path) == [30, 50, 60]


def damage(folder, kind):
    files = list((folder / "steps" / "30" / "state" / "d").iterdir())
    largest = max(files, key=lambda path: path.stat().st_size)
    if kind == "truncated":
        os.truncate(largest, largest.stat().st_size // 2)
    elif kind == "changed":
        raw = bytearray(largest.read_bytes())
        raw[len(raw) // 2] ^= 1
        largest.write_bytes(raw)
    elif kind == "removed":
        largest.unlink()
    elif kind == "no metadata":
        (folder / "steps" / "30" / "meta" / "metadata").write_text("{")


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("kind", ["truncated", "changed", "removed", "no metadata"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(stopped, whole, kind, noted):
    damage(stopped, kind)
    if not noted:
        # The process may be killed before the digests are written: Orbax's own checks are then the only ones.
        (stopped / "digests" / "30.json").unlink()
    with pytest.warns(CausalrepWarning, match="checkpoint at step 30 is damaged") as warned:
        result = run(stopped)
    # Of ours: Orbax leaves coroutines behind, which Python warns of when it likes.
    assert sum(issubclass(warning.category, CausalrepWarning) for warning in warned) == 1
    equal(result, whole, rtol=0, atol=0)
    assert (stopped / "damaged" / "30").is_dir()


def test_with_all_damaged_the_fit_starts_over(stopped, whole):
    for step in (20, 30):
        (stopped / "steps" / str(step) / "meta" / "metadata").unlink()
    with pytest.warns(CausalrepWarning, match="is damaged"):
        result = run(stopped)
    equal(result, whole, rtol=0, atol=0)


def test_a_half_written_checkpoint_is_no_checkpoint(stopped, whole):
    (stopped / "steps" / "40.orbax-checkpoint-tmp").mkdir()
    (stopped / "steps" / "40.orbax-checkpoint-tmp" / "state").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error", CausalrepWarning)
        equal(run(stopped), whole, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"config": {"width": 2}}, "config.width: 'absent' there, 2 here"),
        ({"batch_size": 64}, "batch_size: 32 there, 64 here"),
        ({"optimizer": optax.sgd(0.1)}, r"state.optimizer"),
        ({"key": jax.random.key(1)}, r"key: \[0, 0\] there, \[0, 1\] here"),
        (
            {"optimizer": optax.adam(1e-3)},
            r"optimizer.update.update_fns.1.*step_size: -0.01 there, -0.001 here",
        ),
        ({"optimizer": optax.adam(1e-2, b1=0.5)}, r"optimizer\..*b1: 0.9 there, 0.5 here"),
        ({"optimizer": optax.adam(lambda step: 1e-2)}, r"optimizer\."),
        ({"data": rows(256, seed=2)}, r"data.x: 'float32\[256, 8\] \w+' there, 'float32\[256, 8\] \w+' here"),
        ({"data": {**DATA, "y": DATA["y"] + (np.arange(256) == 255)[:, None]}}, r"data.y"),
        ({"validation": rows(64, seed=2)}, r"validation.x"),
        ({"objective": Objective(OBJECTIVE.init, lambda *of, weight=2.0: OBJECTIVE.loss(*of))}, "objective.loss"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(stopped, other, named):
    arguments = {"objective": OBJECTIVE, "optimizer": ADAM, "data": DATA, "key": KEY, **KNOWN, **other}
    with pytest.raises(CheckpointError, match=f"another fit .*{named}"):
        train(mesh=ONE, checkpoints=policy(stopped), **arguments)
    assert steps(stopped) == [20, 30]


def test_another_shuffle_is_refused(tmp_path):
    def loaded(seed, steps):
        order = grain.MapDataset.source(np.arange(256.0)).seed(seed).shuffle().repeat()
        mean = Objective(lambda key, batch: jnp.zeros(()), lambda mean, key, batch: (((batch - mean) ** 2).mean(), {}))
        return train(mean, ADAM, GrainLoader(order, 32), KEY, mesh=ONE, steps=steps, checkpoints=policy(tmp_path))

    loaded(3, 10)
    with pytest.raises(CheckpointError, match=r"another fit \(data.first_batch: 'float64\[32\] \w+' there"):
        loaded(4, 20)
    assert loaded(3, 20).steps_run == 20


def test_a_config_that_is_not_a_number_can_be_resumed(tmp_path):
    config = {"h": float("nan"), "low": -np.inf, "rate": np.float32(0.5), "widths": (8, 8), "folder": Path("data")}
    run(tmp_path, config=config)
    assert run(tmp_path, config=config).steps_run == KNOWN["steps"]
    with pytest.raises(CheckpointError, match=r"config.h: nan there, 0.5 here"):
        run(tmp_path, config={**config, "h": 0.5})


def test_what_others_put_into_the_folder_stays_and_does_no_harm(stopped, whole):
    strange = ["steps/200_best/weights", "steps/notes.txt", "digests/readme.json", "digests/old/x", "mine.md"]
    for name in strange:
        (stopped / name).parent.mkdir(exist_ok=True)
        (stopped / name).write_text(name)
    (stopped / "steps/40.orbax-checkpoint-tmp").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error", CausalrepWarning)
        equal(run(stopped), whole, rtol=0, atol=0)
    assert [(stopped / name).read_text() for name in strange] == strange
    assert not (stopped / "steps/40.orbax-checkpoint-tmp").exists()
    assert steps(stopped) == [50, 60]


def test_a_second_fit_on_the_folder_is_refused_and_the_first_goes_on(tmp_path, whole):
    seen = []

    def again(progress):
        if not seen:
            seen.append(progress.step)
            with pytest.raises(CheckpointError, match=rf"in use by another run: process {os.getpid()} on host \S+, st"):
                run(tmp_path)

    equal(run(tmp_path, observers=[again]), whole, rtol=0, atol=0)
    assert seen
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digests", "steps"]


def test_the_folder_is_the_one_that_was_meant_when_it_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = policy("fit")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    train(OBJECTIVE, ADAM, DATA, KEY, mesh=ONE, checkpoints=named, **KNOWN)
    assert steps(tmp_path / "fit") == [50, 60]


def test_sigterm_saves_and_exits_with_the_launchers_code(tmp_path, whole):
    def terminate(progress):
        if progress.step == 15:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted) as stop:
        run(tmp_path, observers=[terminate])
    assert stop.value.code == PREEMPTED == 75
    assert signal.getsignal(signal.SIGTERM) is before
    assert steps(tmp_path)[-1] in (20, 25)
    equal(run(tmp_path), whole, rtol=0, atol=0)


@pytest.mark.parametrize("background", [True, False])
def test_a_full_disk_is_named_and_the_checkpoint_before_is_whole(tmp_path, whole, background):
    def fill(progress):
        # No file may grow beyond a byte: what a full disk does to a writer.
        if progress.step == 30:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    kept = policy(tmp_path, background=background)
    # In the background, the checkpoint at 20 may still be on its way when the disk fills up.
    expected = "could not be written" if background else "step 30 could not be written .*the one at step 20 is whole"
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(CheckpointError, match=expected):
            train(OBJECTIVE, ADAM, DATA, KEY, mesh=ONE, checkpoints=kept, observers=[fill], **KNOWN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, handler)
    equal(run(tmp_path), whole, rtol=0, atol=0)


def test_divergence_names_the_last_good_checkpoint(tmp_path):
    def loss(params, key, batch):
        value, metrics = OBJECTIVE.loss(params, key, batch)
        return jax.numpy.where(params["out"][0, 0] > 0.5, jax.numpy.nan, value), metrics

    away = optax.stateless(lambda grads, params: jax.tree.map(lambda p: 0 * p + 0.02, params))
    expected = r"at step \d+ of 60; the checkpoint at step \d+ in .* is good.* Config: rate=0.02\.$"
    with pytest.raises(DivergenceError, match=expected):
        train(
            Objective(OBJECTIVE.init, loss),
            away,
            DATA,
            KEY,
            mesh=ONE,
            checkpoints=policy(tmp_path),
            config={"rate": 0.02},
            **KNOWN,
        )


def test_minutes_alone_decide_too(tmp_path):
    known = policy(tmp_path, every_steps=None, every_minutes=1e-9, keep=100)
    train(OBJECTIVE, ADAM, DATA, KEY, mesh=ONE, checkpoints=known, **KNOWN)
    assert steps(tmp_path) == list(range(5, 61, 5))


def test_bad_policies_are_named(tmp_path):
    with pytest.raises(InputError, match="keep: found 0"):
        Checkpoints(tmp_path, keep=0)
    with pytest.raises(InputError, match="every_minutes: found 0"):
        Checkpoints(tmp_path, every_minutes=0)
    with pytest.raises(InputError, match="found 'nowhere://x'"):
        Checkpoints("nowhere://x")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        run(Path(tmp_path / "file" / "below"))


def test_parameters_without_entries_are_left_out_and_made_again(tmp_path):
    """Files hold no empty arrays; a model may (a family whose domains share no row)."""
    empty = Objective(
        lambda key, batch: {"weight": jax.random.normal(key), "none": jax.numpy.zeros((0, 3))},
        lambda params, key, batch: ((params["weight"] - batch["x"].mean()) ** 2 + params["none"].sum(), {}),
    )
    options = {"steps": 20, "batch_size": 32, "chunk": 5, "mesh": ONE}
    whole = train(empty, ADAM, DATA, KEY, **options)
    with pytest.raises(Stop):
        train(empty, ADAM, DATA, KEY, checkpoints=policy(tmp_path), observers=[stop_at(15)], **options)
    assert steps(tmp_path)[-1] < 20
    resumed = train(empty, ADAM, DATA, KEY, checkpoints=policy(tmp_path), **options)
    assert resumed.params["none"].shape == (0, 3)
    assert float(resumed.params["weight"]) == float(whole.params["weight"])
