"""Measures throughput on the devices of this machine: ``python -m benchmarks.scaling [--publish] [--quick]``.

It answers five questions on the backend that JAX finds, which may be a laptop's CPU or an accelerator:

1. Many small network fits: how many replications per second do ``vmap`` and ``loop`` compute, for 1, 10, 100 and 1,000
   fits?
2. Weak scaling: how does the rate grow with the devices (virtual ones on a CPU), for a fixed number of fits per device?
3. The convolutional VAE: how many steps per second does it compute, and what share of the chip's peak is that?
4. How fast is the same VAE in PyTorch on the same device, if PyTorch is installed?
5. How long does a convolution with its gradients take, flax's and ours, in its own program and in a compiled loop?

Times are medians of wall-clock seconds; every measurement waits for the whole result. ``--publish`` writes
docs/measurements/scaling.md.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.harness import ROOT
from causalrep.nn import Conv
from causalrep.study.execution.executor import Executor
from causalrep.training import Progress, mixed_precision, train
from experiments.scaling.conv_vae_model import ConvVAE, vae_objective
from experiments.scaling.mlp_fits import MLPFits

PAGE = ROOT / "docs" / "measurements" / "scaling.md"
# Dense peak in operations per second by device kind and compute type, from NVIDIA's data sheets of H100 SXM, H200 and
# A100 (TF32 for float32, which is JAX's default matrix precision) and from Google Cloud's pages on TPUs.
PEAKS = {
    "NVIDIA H200": {"float32": 494e12, "bfloat16": 989e12},
    "NVIDIA H100 80GB HBM3": {"float32": 494e12, "bfloat16": 989e12},
    "NVIDIA A100-SXM4-80GB": {"float32": 156e12, "bfloat16": 312e12},
    "TPU v4": {"bfloat16": 275e12},
    "TPU v5 lite": {"bfloat16": 197e12},
    "TPU v5": {"bfloat16": 459e12},
    "TPU v6 lite": {"bfloat16": 918e12},
}
FITS = (1, 10, 100, 1000)
BATCH = 128


def replication_throughput(counts: tuple[int, ...], repeats: int) -> list[list[str]]:
    """Fits per second of both modes, for several numbers of fits."""
    lines = []
    for count in counts:
        study = MLPFits(fits=count, samples=(512,)).study()
        rates = {}
        for mode in ("loop", "vmap"):
            executor = Executor(study, mode)
            rates[mode] = count / _median(lambda e=executor: _all(e), repeats)
        ratio = rates["vmap"] / rates["loop"]
        lines.append([f"{count:,}", f"{rates['loop']:.4g}", f"{rates['vmap']:.4g}", f"{ratio:.2f}"])
    return lines


def weak_scaling(device_counts: tuple[int, ...], each: int) -> list[list[str]]:
    """Fits per second with ``each`` fits per device; each line has its own process, which sets its devices."""
    lines, base = [], None
    for count in device_counts:
        environment = dict(os.environ)
        if jax.default_backend() == "cpu":
            environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count}"
        command = [sys.executable, "-m", "benchmarks.scaling", "--child", str(count), str(each)]
        out = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        rate = json.loads(out.splitlines()[-1])
        base = base or rate
        lines.append([str(count), f"{rate:.4g}", f"{rate / base:.2f}", f"{rate / base / count:.0%}"])
    return lines


def _child(count: int, each: int) -> None:
    import causalrep.study.execution.executor as execute

    execute._devices = lambda precision: jax.devices()[:count]
    executor = Executor(MLPFits(fits=count * each, samples=(512,)).study(), "sharded")
    print(json.dumps(count * each / _median(lambda: _all(executor), 5)))


def vae_throughput(steps: int, types: tuple[str, ...]) -> list[list[str]]:
    """Steps per second of the VAE with images on the device, and the share of the chip's peak."""
    images = np.random.default_rng(0).integers(0, 256, (4096, 28, 28), dtype=np.uint8)
    kind = jax.devices()[0].device_kind
    lines = []
    for compute in types:
        objective = vae_objective(ConvVAE())
        objective = mixed_precision(objective) if compute == "bfloat16" else objective
        seen: list[Progress] = []
        train(
            objective,
            optax.adam(1e-3),
            {"image": images},
            jax.random.key(0),
            steps=steps,
            batch_size=BATCH,
            chunk=max(steps // 5, 1),
            observers=[seen.append],
        )
        rate = statistics.median(progress.steps_per_second for progress in seen[1:])
        flops = rate * seen[-1].flops_per_second / seen[-1].steps_per_second
        peak = PEAKS.get(kind, {}).get(compute)
        share = f"{flops / peak / jax.device_count():.1%}" if peak else "no published peak"
        lines.append([f"causalrep, {compute}", f"{rate:.4g}", f"{rate * BATCH:,.0f}", f"{flops / 1e9:,.3g}", share])
    return lines


def torch_throughput(steps: int, types: tuple[str, ...]) -> list[list[str]]:
    """The same network, batch size and optimizer in PyTorch, if it is installed and runs on the same kind of device."""
    try:
        from benchmarks import torch_vae
    except ImportError:
        return []
    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    if jax.default_backend() not in ("cpu", "gpu"):
        return []
    lines = []
    for compute in types:
        rate = torch_vae.steps_per_second(device, compute, BATCH, steps)
        lines.append([f"PyTorch {torch_vae.VERSION}, {compute}", f"{rate:.4g}", f"{rate * BATCH:,.0f}", "", ""])
    return lines


def convolution_times(steps: int, repeats: int) -> list[list[str]]:
    """Milliseconds per gradient step of one layer, flax's and ours, with a program per step and in one loop."""
    lines = []
    for name, layer in (("flax.linen.Conv", nn.Conv), ("causalrep.nn.Conv", Conv)):
        own, loop = _layer_seconds(layer(64, (3, 3), strides=(2, 2)), steps, repeats)
        lines.append([name, f"{1e3 * own:.3g}", f"{1e3 * loop:.3g}"])
    return lines


def _layer_seconds(module: nn.Module, steps: int, repeats: int) -> tuple[float, float]:
    def step(state, _):
        gradients = jax.grad(lambda of: jnp.sum(jnp.square(module.apply(*of))))(state)
        return jax.tree.map(lambda value, slope: value - 1e-9 * slope, state, gradients), None

    once = jax.jit(lambda state: step(state, None)[0])
    loop = jax.jit(lambda state: jax.lax.scan(step, state, None, length=steps)[0])
    images_key, init_key = jax.random.split(jax.random.key(0))
    images = jax.random.normal(images_key, (BATCH, 14, 14, 32))
    state = (module.init(init_key, images), images)
    own = _median(lambda: jax.block_until_ready(once(state)), repeats)
    return own, _median(lambda: jax.block_until_ready(loop(state)), repeats) / steps


def page(quick: bool) -> str:
    """Measures everything and returns the page."""
    on_cpu = jax.default_backend() == "cpu"
    counts, repeats = (FITS[:3], 3) if quick else (FITS, 5)
    steps = 50 if on_cpu else 2000
    types = ("float32",) if on_cpu else ("float32", "bfloat16")
    devices = (1, 2, 4, 8) if on_cpu else tuple(n for n in (1, 2, 4, 8) if n <= jax.device_count())
    where = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    note = f" ({os.cpu_count()} processors; devices beyond that number are virtual)" if on_cpu else ""
    parts = [
        "<!-- Written by `python -m benchmarks.scaling --publish`; do not edit. -->",
        "",
        "# Throughput and scaling",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} on {where}{note}, {platform.machine()}, jax {jax.__version__}.",
        "" if not on_cpu else "**No accelerator was available, so nothing here says how fast one would be.**",
        "",
        "## Many small fits: vmap against loop",
        "",
        "Fits per second of `scaling/mlp_fits` (512 rows, 200 steps, two layers of 32), without compilation.",
        "",
        *_table(["fits", "loop", "vmap", "vmap / loop"], replication_throughput(counts, repeats)),
        "",
        "## Weak scaling: 32 fits per device",
        "",
        *_table(["devices", "fits per second", "speed-up", "efficiency"], weak_scaling(devices, 32)),
        "",
        f"## The convolutional VAE, batch {BATCH}",
        "",
        "The number of operations is the compiler's count for the program before optimization. Data are on the device. "
        "Each program may use all processors.",
        "",
        *_table(
            ["program", "steps/s", "images/s", "GFLOP/s", "share of peak"],
            vae_throughput(steps, types) + torch_throughput(steps, types),
        ),
        "",
        "## A convolution with its gradients",
        "",
        f"Milliseconds per step: {BATCH} images of 14 x 14, 32 to 64 channels, kernel 3 x 3, strides 2.",
        "",
        *_table(["layer", "in its own program", "in a compiled loop"], convolution_times(10, 5)),
        "",
    ]
    return "\n".join(parts)


def _all(executor: Executor) -> None:
    study, size = executor.study, executor.chunk(0).size
    for first in range(0, study.replications, size):
        executor.compute(0, first, min(first + size, study.replications))


def _median(work: Callable[[], object], repeats: int) -> float:
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _table(header: list[str], lines: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines)]


def main(argv: list[str] | None = None) -> int:
    """Prints the page; with ``--publish`` also writes it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--publish", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--quick", action="store_true", help="fewer fits")
    parser.add_argument("--child", nargs=2, type=int, metavar=("DEVICES", "EACH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.child:
        _child(*arguments.child)
        return 0
    text = page(arguments.quick)
    print(text)
    if arguments.publish:
        PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
