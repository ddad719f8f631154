"""Runs the benchmarks: ``make benchmarks``, or ``python -m benchmarks.run [--publish] [name ...]``."""

import argparse
import sys
from functools import partial

from benchmarks import (
    confounders,
    dr_learner,
    harness,
    ild,
    ivl_sweep,
    kernel_iv,
    neural_effects,
    neural_iv,
    two_stage,
)

BENCHMARKS = {
    "two_stage": two_stage.run,
    "ivl_sweep": ivl_sweep.run,
    "kiv_1000": partial(kernel_iv.run, 1000, repeats=5, claim=2),
    "kiv_5000": partial(kernel_iv.run, 5000, repeats=1, claim=2),
    "dr_learner": dr_learner.run,
    "dfiv": neural_iv.run_dfiv,
    "deep_gmm": neural_iv.run_deep_gmm,
    "ild": ild.run,
    "cevae": confounders.run_cevae,
    "vluci": confounders.run_vluci,
    "tarnet": neural_effects.run,
    "tarnet_steps": neural_effects.run_steps,
}


def main(argv: list[str] | None = None) -> int:
    """Prints the page; with ``--publish`` also writes it to ``docs/measurements/benchmarks.md``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(BENCHMARKS)}; default all")
    parser.add_argument("--publish", action="store_true", help="write docs/measurements/benchmarks.md (all benchmarks)")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if options.publish and options.names:
        parser.error("--publish writes the whole page: give no names")
    harness.pin()
    rows = [BENCHMARKS[name]() for name in options.names or BENCHMARKS]
    text = harness.page([row for row in rows if row is not None])  # None: the peer is not installed
    print(text)
    if options.publish:
        harness.PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
