"""Runs the experiments that reproduce the papers' tables, and prints the tables beside the published numbers.

The main job, ``make reproduce``, installs the package and then runs the tables of linear IV and IVL regression and two
tables of treatment effects, within ten minutes. ``make reproduce-all`` runs every config, for an hour or two. Each
config says itself at which scale it runs here, whether it belongs to the main job and which data it needs (see
:mod:`experiments.configs`). The network is needed only for data sets that are not on this machine yet. A run that was
stopped continues with the same command.
"""

import argparse
import sys

from causalrep.data import load
from causalrep.errors import DataError
from causalrep.parallel import distributed
from causalrep.storage import as_path
from experiments import configs, report, run
from experiments.terminal import begin


def main(argv: list[str] | None = None) -> int:
    """Run the jobs and print each paper's report; returns the first exit code that is not 0."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.reproduce", description=begin(__doc__).split("\n\n")[0]
    )
    parser.add_argument("papers", nargs="*", metavar="paper", help="run all configs of these papers, for example vluci")
    parser.add_argument("--all", action="store_true", help="run every config of every paper")
    parser.add_argument("--results", default="results", help="folder or bucket of all results (%(default)s)")
    parser.add_argument("--scale", choices=configs.SCALE_NAMES, help="one scale for all (default: each config's own)")
    options = parser.parse_args(argv)
    try:
        entries = configs.entries()
    except configs.ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    known = dict.fromkeys(entry.paper for entry in entries)
    if unknown := [paper for paper in options.papers if paper not in known]:
        parser.error(f"unknown {', '.join(unknown)}; there are {', '.join(known)}")
    wanted = options.papers or (known if options.all else ())
    jobs = [entry for entry in entries if (entry.paper in wanted if wanted else entry.main)]
    failures, skipped = [], []
    for number, entry in enumerate(jobs, start=1):
        print(f"\n=== {number}/{len(jobs)} {entry.name} ===", flush=True)
        try:
            for dataset in entry.data:
                load(dataset)
        except DataError as error:
            print(f"skipped: {error}", file=sys.stderr)
            skipped.append(entry.name)
            continue
        scale = options.scale or entry.reproduce
        code = run.main([entry.name, "--scale", scale, "--results", options.results], tables=False)
        if code in (distributed.INTERRUPTED, distributed.PREEMPTED):
            return code
        failures += [code] if code else []
    for paper in dict.fromkeys(entry.paper for entry in jobs):
        print()
        scale = ["--scale", options.scale] if options.scale else []
        failures += [code for code in [report.main([paper, "--results", options.results, *scale])] if code]
    if skipped:
        print(f"Skipped because data are missing: {', '.join(skipped)}. The messages above name the missing files.")
    print(f"Tables, figures (PNG), records and claims: {as_path(options.results).resolve()}")
    return failures[0] if failures else 0


if __name__ == "__main__":
    sys.exit(main())
