"""The convolutional VAE experiment gives the same records on any number of devices and processes."""

import dataclasses
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from causalrep.data import data_folder
from causalrep.parallel.distributed import PREEMPTED
from causalrep.study import read_records, run
from experiments import configs
from experiments.launch import local

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ["scaling/conv_vae", "--scale", "smoke"]

pytestmark = pytest.mark.skipif(
    not (data_folder() / "fashion_mnist").is_dir(),
    reason="needs Fashion-MNIST in the data folder: set CAUSALREP_DATA",
)


def launch(folder, processes, devices, monkeypatch, *flags):
    """The records of a run on ``processes`` processes with ``devices`` virtual devices each."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    err = io.StringIO()
    command = [sys.executable, "-m", "experiments.run", *CONFIG, "--results", str(folder), *flags]
    if processes == 1:
        # A single process needs no launcher.
        monkeypatch.setenv("XLA_FLAGS", f"--xla_force_host_platform_device_count={devices}")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        assert local.launch(command, processes, devices, out=io.StringIO(), err=err) == 0, err.getvalue()
    (path,) = folder.rglob("records.parquet")
    return read_records(path)


def same(records, expected, rtol=1e-5):
    assert records.drop(columns="value").equals(expected.drop(columns="value"))
    # The gap is a float32 difference of two losses of hundreds of nats, so it is compared on the scale of these losses.
    loss = expected.query("metric == 'negative_elbo' and method == 'ConvVAE'")["value"].iloc[0]
    scale = np.where(expected["metric"] == "generalisation_gap", loss, np.maximum(1.0, expected["value"].abs()))
    np.testing.assert_array_less(np.abs(records["value"] - expected["value"]) / scale, rtol)


@pytest.mark.slow
def test_two_processes_of_four_devices_give_the_records_of_this_process(tmp_path, monkeypatch):
    here = run(configs.study_of(configs.load("scaling/conv_vae")["smoke"]), tmp_path / "here", progress=False).frame
    same(launch(tmp_path / "2x4", 2, 4, monkeypatch), here)
    (environment,) = (tmp_path / "2x4").rglob("environment.json")
    assert len(json.loads(environment.read_text())["devices"]) == 8


@pytest.mark.slow
def test_after_200_steps_on_every_layout(tmp_path, monkeypatch):
    one = launch(tmp_path / "1", 1, 1, monkeypatch, "--steps", "200")
    for processes, devices in ((1, 2), (1, 8), (2, 1), (2, 4)):
        same(launch(tmp_path / f"{processes}x{devices}", processes, devices, monkeypatch, "--steps", "200"), one)


@pytest.mark.slow
def test_paper_scale_saves_itself_on_two_processes_and_is_preempted(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run_it = ["scaling/conv_vae", "--scale", "paper", "--save-steps", "2", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "experiments.launch", "local", "--processes", "2", "--devices", "1", "--", *run_it]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 300
        while not list(tmp_path.rglob("steps/[0-9]*")):
            assert time.monotonic() < until
            assert running.poll() is None, running.communicate()[1]
            time.sleep(0.2)
        running.terminate()
        err = running.communicate(timeout=120)[1]
    assert running.returncode == PREEMPTED, err


@pytest.mark.slow
def test_bfloat16_accumulation_and_rematerialization_by_config():
    smoke = configs.load("scaling/conv_vae")["smoke"]
    spare = dataclasses.replace(smoke, compute="bfloat16", accumulate=2, remat=True, shard_above=100_000, steps=10)
    values = run(spare.study(), progress=False).frame.set_index(["method", "metric"])["value"]
    # The loss starts near 543 nats; bfloat16 has about three digits.
    assert 500 < values["ConvVAE", "negative_elbo"] < 545
