"""Two processes that are killed or asked to stop at random moments write the bytes of an uninterrupted run."""

import io
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from causalrep.parallel.distributed import PREEMPTED
from experiments import configs
from experiments.launch import local
from experiments.run import main
from tests.experiments.test_kill import DRIVER, ROOT


class Runs:
    """Runs the launcher on one study and folder, and keeps the processes that it starts."""

    def __init__(self, folder, monkeypatch, arguments, roots=None):
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        start = subprocess.Popen

        def recording(*arguments, **options):
            self.processes.append(start(*arguments, **options))
            return self.processes[-1]

        monkeypatch.setattr(local.subprocess, "Popen", recording)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.chdir(ROOT)
        # The launcher learns at once of the process that ends; the other one hangs in a collective: do not wait for it.
        monkeypatch.setattr(local, "LEAVE_SECONDS", 0.5)
        monkeypatch.setattr(local, "TERMINATE_SECONDS", 0.5)
        program = ["-m", "experiments.run"]
        if roots:
            program = ["-c", DRIVER, str(roots["config_root"]), str(roots["papers_root"])]
        self._command = [sys.executable, *program, *arguments, "--results", str(folder)]

    def parts(self):
        """Number of finished parts in the folder."""
        return len(list(self.folder.rglob("cell-*.parquet")))

    def start(self, disturb=None, restarts=0):
        """Runs to the end while ``disturb`` runs in a thread; returns the exit code and the error output."""
        self.processes.clear()
        err = io.StringIO()
        beside = threading.Thread(target=disturb) if disturb else None
        if beside:
            beside.start()
        code = local.launch(self._command, 2, 1, restarts=restarts, out=io.StringIO(), err=err)
        if beside:
            beside.join()
        return code, err.getvalue()

    def signal_at(self, parts, delay, kind, victim):
        """A disturbance: sends a signal to one process, ``delay`` seconds after ``parts`` parts are finished."""

        def disturb():
            until = time.monotonic() + 300
            while self.parts() < parts and time.monotonic() < until:
                if len(self.processes) == 2 and any(process.poll() is not None for process in self.processes):
                    return
                time.sleep(0.002)
            time.sleep(delay)
            self.processes[victim].send_signal(kind)

        return disturb

    def records(self):
        """The bytes of the finished records."""
        (path,) = self.folder.rglob("records.parquet")
        return path.read_bytes()


def _matrix(roots, tmp_path, monkeypatch, moments, seed):
    arguments = ["demo/slow", "--seconds", "0.05", "--chunk", "2"]
    # The reference is this process, which nobody disturbs.
    assert main([*arguments, "--results", str(tmp_path / "whole")], **roots) == 0
    (whole,) = (tmp_path / "whole").rglob("records.parquet")
    runs = Runs(tmp_path / "disturbed", monkeypatch, arguments, roots)
    chance = random.Random(seed)
    total = 4 * 8
    for number, at in enumerate(sorted(chance.sample(range(total - 4), moments))):
        kind = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        victim = chance.randrange(2)
        before = runs.parts()
        # Wait for at least one new part, so that all processes have started.
        code, err = runs.start(runs.signal_at(max(at, before + 1), chance.uniform(0.0, 0.1), kind, victim))
        assert code == (PREEMPTED if kind == signal.SIGTERM else 128 + kind), err
        assert f"launch: process {victim} on host" in err or kind == signal.SIGTERM
        assert not list(runs.folder.rglob("records.parquet"))
        assert max(before + 1, at) <= runs.parts(), "a finished part is never lost"
    code, err = runs.start()
    assert code == 0, err
    assert runs.records() == whole.read_bytes()
    assert not list(runs.folder.rglob("parts"))
    assert not [path for path in runs.folder.rglob("*") if path.name.startswith(".")], "no temporary file is left"


def test_signals_at_random_moments_and_resumed(roots, tmp_path, monkeypatch):
    _matrix(roots, tmp_path, monkeypatch, moments=2, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_signals_at_ten_random_moments_and_resumed(roots, tmp_path, monkeypatch, seed):
    _matrix(roots, tmp_path, monkeypatch, moments=10, seed=seed)


@pytest.mark.slow
def test_a_preempted_run_goes_on_by_itself(roots, tmp_path, monkeypatch):
    arguments = ["demo/location", "--replications", "64", "--samples", "8", "9", "--chunk", "2"]
    whole = Runs(tmp_path / "whole", monkeypatch, arguments, roots)
    disturbed = Runs(tmp_path / "disturbed", monkeypatch, arguments, roots)
    for runs in (whole, disturbed):
        disturb = runs.signal_at(20, 0.01, signal.SIGTERM, 1) if runs is disturbed else None
        code, err = runs.start(disturb, restarts=1)
        assert code == 0, err
        assert ("starting again" in err) == (runs is disturbed)
    assert disturbed.records() == whole.records()


# A replication of these would take hours on two cores, so their loops are shorter; the programs are otherwise the same.
# Colored MNIST takes the digits of the data folder instead of all.
LESS = {
    "crl/cauca": ["--steps", "200"],
    "crl/nonlinear_ica": ["--steps", "200", "--autoencoder-steps", "200"],
    "crl/temporal_flow": ["--steps", "200"],
    "ivl/colored_mnist": ["--digits", "mnist-10k"],
    "ivl/colored_mnist_text": ["--digits", "mnist-10k"],
}
# Studies whose replications are long fits on all devices.
SPREAD = {name for name in configs.names() if configs.study_of(configs.load(name)["paper"]).spread}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(configs.names()) - SPREAD))
def test_paper_scale_starts_on_two_processes_and_is_preempted(name, tmp_path, monkeypatch):
    """The full setup of every experiment finishes its first chunk on several processes, and stops when asked.

    The chunk is one replication per process; how many replications share a call only matters for speed and memory. The
    first chunk of ``scaling/conv_vae`` and of the image experiments of ILD is a fit of hours, so test_conv_vae.py and
    test_rotated.py wait for their first checkpoint instead.
    """
    runs = Runs(tmp_path, monkeypatch, [name, "--scale", "paper", "--chunk", "2", *LESS.get(name, ())])
    code, err = runs.start(runs.signal_at(1, 0.0, signal.SIGTERM, 1))
    assert code in (0, PREEMPTED), err
    assert runs.parts() or list(tmp_path.rglob("records.parquet"))
