"""The launchers quote and print what they run; the local one runs small programs that need no JAX."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest

from experiments import configs
from experiments.launch import gke, local, slurm
from experiments.launch.__main__ import main
from experiments.launch.shell import restarting

# A shell must see this as one word and run nothing in it.
NASTY = 'gs://b/it\'s "$HOME" $(touch owned) `touch owned`; touch owned'
RUN = ["ivl/cyclic", "--scale", "paper", "--results", NASTY]


@pytest.fixture
def dry(capsys):
    def call(*flags, run=RUN):
        assert main([*flags, "--dry-run", "--", *run]) == 0
        return capsys.readouterr().out

    return call


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Stand-ins for gcloud, kubectl, xpk, sbatch and srun that record their arguments and input."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("gcloud", "kubectl", "xpk", "sbatch", "srun", "scontrol", "python"):
        script = folder / name
        script.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            f"note = dict(tool={name!r}, arguments=sys.argv[1:], input=sys.stdin.read())\n"
            f"open({str(tmp_path / 'calls')!r}, 'a').write(json.dumps(note) + '\\n')\n"
            f"sys.exit(int(os.environ.get('CODE_' + {name!r}.upper(), '0')))\n"
        )
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)

    def calls():
        path = tmp_path / "calls"
        recorded = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        assert not (tmp_path / "owned").exists(), "an argument was run as a command"
        return recorded

    return calls


def _bash(text):
    return subprocess.run(["bash", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_dry_runs_print_what_the_launchers_do(dry, tools):
    """A shell that runs the printed text makes the same calls as the launcher."""
    for flags in (
        ["tpu", "--name", "pod", "--zone", "z"],
        ["tpu", "--name", "pod", "--zone", "z", "--project", "p", "--install", "--restarts", "3"],
        ["gke", "--tpu", "v5e:4x4", "--image", "img"],
        ["gke", "--tpu", "v5p:4x4x4", "--image", "img", "--xpk", "--cluster", "c", "--restarts", "2"],
        ["slurm", "--nodes", "4", "--gpus", "8", "--restarts", "5"],
    ):
        done = _bash(dry(*flags))
        assert done.returncode == 0, done.stderr
        printed = tools()
        assert main([*flags, "--", *RUN]) == 0
        made = tools()
        for note in (*printed, *made):
            if note["tool"] == "kubectl":
                note["input"] = json.loads(note["input"])
        assert printed == made
        assert made


def test_tpu_runs_on_all_workers(dry, tools):
    _bash(dry("tpu", "--name", "pod", "--zone", "z", "--install"))
    copy, setup, run = (note["arguments"] for note in tools())
    assert copy[:4] == ["compute", "tpus", "tpu-vm", "scp"]
    assert "pod:causalrep" in copy
    for arguments in (setup, run):
        assert arguments[:5] == ["compute", "tpus", "tpu-vm", "ssh", "pod"]
        assert {"--zone=z", "--worker=all"} <= set(arguments)
    remote = run[-1].removeprefix("--command=")
    os.makedirs("causalrep/.venv/bin")
    os.symlink(subprocess.check_output(["which", "python"], text=True).strip(), "causalrep/.venv/bin/python")
    assert _bash(remote).returncode == 0
    (note,) = tools()
    assert note["arguments"] == ["-m", "experiments.run", *RUN]


def test_tpu_stops_at_the_first_command_that_fails(tools, monkeypatch):
    monkeypatch.setenv("CODE_GCLOUD", "3")
    assert main(["tpu", "--name", "pod", "--zone", "z", "--install", "--", *RUN]) == 3
    assert len(tools()) == 1


def test_a_preempted_command_is_run_again(tmp_path):
    count = f"echo x >> {tmp_path}/starts; exit"
    for code, restarts, starts in ((75, 2, 3), (1, 2, 1), (0, 2, 1), (75, 0, 1)):
        assert _bash(restarting(f"( {count} {code} )", restarts)).returncode == code
        assert (tmp_path / "starts").read_text().split() == ["x"] * starts
        (tmp_path / "starts").unlink()


def test_gke_jobset(dry):
    text = dry("gke", "--tpu", "v5e:4x4", "--image", "img:1", "--slices", "2", "--restarts", "4", "--queue", "q")
    jobset = json.loads(text.split("<<'MANIFEST'\n")[1].removesuffix("MANIFEST\n"))
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    assert jobset["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "q"}
    assert jobset["spec"]["failurePolicy"]["maxRestarts"] == 4
    (group,) = jobset["spec"]["replicatedJobs"]
    job = group["template"]["spec"]
    assert (group["replicas"], job["parallelism"], job["completions"], job["backoffLimit"]) == (2, 4, 4, 0)
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [2], "a user's error is not started again; a preemption (75) is"
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "4x4",
    }
    (container,) = pod["containers"]
    assert container["resources"] == {"limits": {"google.com/tpu": 4}}
    assert container["command"][:4] == ["python", "-m", "experiments.run", "ivl/cyclic"]
    assert container["command"][-1] == NASTY.replace("$(", "$$("), "Kubernetes reads $(...) as a variable"


@pytest.mark.parametrize(
    ("tpu", "kind", "hosts"),
    [
        ("v5e:16x16", "v5litepod-256", 64),
        ("v6e:4x4", "v6e-16", 4),
        ("v4:2x2x1", "v4-8", 1),
        ("v5p:4x4x4", "v5p-128", 16),
    ],
)
def test_slices_are_named_as_xpk_names_them(tpu, kind, hosts):
    work = gke.Workload(tpu=tpu, image="i", cluster="c", xpk=True, restarts=1)
    command = gke.xpk_command(work, RUN)
    assert command[:3] == ["xpk", "workload", "create"]
    assert f"--tpu-type={kind}" in command
    assert "--restart-on-exit-codes=75" in command
    assert shlex.split(command[-1].removeprefix("--command=")) == ["python", "-m", "experiments.run", *RUN]
    assert gke.manifest(work, RUN)["spec"]["replicatedJobs"][0]["template"]["spec"]["parallelism"] == hosts


def test_slurm_script(dry, tools, monkeypatch):
    text = dry("slurm", "--nodes", "2", "--gpus", "4", "--partition", "gpu", "--restarts", "1")
    script = text.split("<<'SCRIPT'\n")[1].removesuffix("SCRIPT\n")
    asked = {line.split()[1] for line in script.splitlines() if line.startswith("#SBATCH")}
    assert {"--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4", "--partition=gpu", "--requeue"} <= asked
    assert "--signal=TERM@60" in asked
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for code, count, requeued in (("75", "0", True), ("75", "1", False), ("1", "0", False), ("0", "0", False)):
        monkeypatch.setenv("CODE_SRUN", code)
        monkeypatch.setenv("SLURM_RESTART_COUNT", count)
        assert _bash(script).returncode == int(code)
        srun, *rest = tools()
        assert srun["arguments"] == ["--label", ".venv/bin/python", "-m", "experiments.run", *RUN]
        assert [note["arguments"] for note in rest] == ([["requeue", "7"]] if requeued else [])
    with pytest.raises(ValueError, match="name: found"):
        slurm.Job(name="a\n#SBATCH --nodes=99")


def test_the_documentation_s_commands_are_understood(capsys):
    text = (configs.ROOT / "docs" / "running" / "running-on-pods.md").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^python -m experiments\.launch (.*)$", text, re.MULTILINE)
    assert {command.split()[0] for command in commands} == {"local", "tpu", "gke", "slurm"}
    for command in commands:
        flags, run = command.split(" -- ")
        assert main([*shlex.split(flags), "--dry-run", "--", *shlex.split(run)]) == 0
        assert "experiments.run" in capsys.readouterr().out


def test_local_dry_run(dry):
    lines = dry("local", "--processes", "3", "--devices", "2").splitlines()
    assert lines[-1] == "wait"
    words = [shlex.split(line) for line in lines[:-1]]
    assert len(words) == 3
    for index, line in enumerate(words):
        assert {"JAX_PLATFORMS=cpu", "JAX_NUM_CPU_DEVICES=2"} <= set(line)
        assert line[line.index("--process-index") + 1] == str(index)
        assert line[line.index("--results") + 1] == NASTY
        assert line[line.index("--process-count") + 1] == "3"
    assert len({line[line.index("--coordinator") + 1] for line in words}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["local"], "run arguments: found none"),
        (["local", "--", "ivl/cyclc"], "did you mean ivl/cyclic"),
        (["local", "--", "ivl/cyclic", "--process-index=3"], "--process-index: found in the run arguments"),
        (["gke", "--tpu", "v9:4x4", "--image", "i", "--", *RUN], "tpu: found 'v9:4x4'"),
        (["gke", "--tpu", "v5e:4x4", "--image", "i", "--xpk", "--", *RUN], "cluster: found nothing"),
        (["tpu", "--name", "n", "--", *RUN], "--zone"),
        (["local", "--processes", "0", "--", *RUN], "expected at least 1"),
        (["local", "--restarts", "-1", "--", *RUN], "expected at least 0"),
    ],
)
def test_a_mistake_is_explained(capsys, arguments, message):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_a_missing_tool_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["slurm", "--", *RUN]) == 2
    assert "sbatch: not found" in capsys.readouterr().err


def _local(script, processes=2, **options):
    out, err = io.StringIO(), io.StringIO()
    command = [sys.executable, "-c", f"import os, sys, time, signal\nindex = int(sys.argv[-1])\n{script}"]
    code = local.launch(command, processes, 1, out=out, err=err, **options)
    return code, out.getvalue(), err.getvalue()


def test_local_joins_the_output_and_passes_the_flags():
    code, out, err = _local("print(sys.argv[1:], os.environ['JAX_NUM_CPU_DEVICES'])\nprint('e', file=sys.stderr)")
    assert code == 0
    lines = sorted(out.splitlines())
    assert [line[:4] for line in lines] == ["[0] ", "[1] "]
    assert "'--process-count', '2', '--process-index', '1'] 1" in lines[1]
    assert sorted(err.splitlines()) == ["[0] e", "[1] e"]


def test_local_stops_the_rest_when_one_fails(monkeypatch):
    monkeypatch.setattr(local, "LEAVE_SECONDS", 0.2)
    monkeypatch.setattr(local, "TERMINATE_SECONDS", 0.2)
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    for fail, code, how in (
        ("sys.exit(3)", 3, "exited with code 3"),
        ("os.kill(os.getpid(), 9)", 137, "was killed by SIGKILL"),
        ("sys.exit(75)", 75, "was preempted and saved its work"),
    ):
        monkeypatch.setattr(local, "SAVE_SECONDS", 0.2)
        began = time.monotonic()
        result, _, err = _local(f"{stubborn}if index == 1: {fail}\ntime.sleep(60)")
        assert result == code
        assert time.monotonic() - began < 30
        assert f"launch: process 1 on host {local.socket.gethostname()} {how}" in err


def test_local_starts_again_after_a_preemption(tmp_path):
    script = f"p = {str(tmp_path)!r} + f'/{{index}}'\nn = os.path.exists(p)\nopen(p, 'w')\nsys.exit(0 if n else 75)"
    code, _, err = _local(script, restarts=2)
    assert code == 0
    assert "starting again (1 more restarts)" in err
    assert _local("sys.exit(75)", restarts=1)[0] == 75
    assert "starting again" not in _local("sys.exit(1)", restarts=1)[2]


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_local_passes_signals_on(kind, tmp_path):
    script = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(130))\n"
        f"open({str(tmp_path)!r} + f'/{{index}}', 'w').close()\ntime.sleep(60)"
    )

    def send():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), kind)

    thread = threading.Thread(target=send)
    thread.start()
    code, _, err = _local(script, restarts=3)
    thread.join()
    assert code == {signal.SIGTERM: 75, signal.SIGINT: 130}[kind]
    assert "starting again" not in err, "whoever stops the launcher means it"
