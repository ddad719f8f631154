"""The main job: run the experiments that reproduce the papers' tables and print them beside the published numbers.

``make reproduce`` calls it after installing and runs the tables of linear IV and IVL regression, within ten minutes;
``make reproduce-all`` runs every config, an hour. No network is needed, except for data that are not there yet; a run
that was stopped goes on where it was.
"""

import argparse
import sys

from causalrep.data import load
from causalrep.errors import DataError
from causalrep.parallel import distributed
from causalrep.storage import as_path
from experiments import configs, report, run

# A config and the scale it runs at unless told otherwise: the largest that fits in minutes on two cores.
JOBS = {
    "ivl/linear_simulation": "paper",
    "ivl/cyclic": "small",
    "ivl/partial_null_space": "small",
    "ivl/optical_device": "smoke",
    "ivl/optical_released_draw": "smoke",
    "ivl/comparison": "smoke",
    "ivl/nonlinear": "smoke",
    "ivl/colored_mnist": "smoke",
    "ivl/colored_mnist_text": "smoke",
    "iv/card": "paper",
    "iv/mroz": "paper",
    "iv/weak_instruments": "small",
    "iv/kiv_np": "small",
    "iv/demand": "smoke",
    "iv/zoo": "smoke",
    "cate/ihdp100": "small",
    "cate/ihdp1000": "small",
    "cate/ihdp_neural": "smoke",
    "cate/ihdp_cevae": "smoke",
    "cate/jobs": "small",
    "cate/acic2016": "small",
    "cate/twins": "small",
    "cate/coverage": "small",
    "cate/intervals": "smoke",
    "ild/theory": "small",
    "ild/main": "smoke",
    "ild/by_domains": "smoke",
    "ild/by_intervention": "smoke",
    "ild/by_sparsity": "smoke",
    "ild/by_k": "smoke",
    "ild/by_latents": "smoke",
    "ild/flow": "smoke",
    "ild/rotated_digits": "smoke",
    "ild/rotated_mnist": "smoke",
    "ild/rotated_fashion_mnist": "smoke",
    "ild/colored_rotated_mnist": "smoke",
    "hca/main": "small",
    "hca/stability": "small",
    "hca/synthetic": "smoke",
    "hca/imputation": "small",
    "vluci/identified": "smoke",
    "vluci/selection": "smoke",
    "vluci/misspecified": "smoke",
    "vluci/ihdp_hidden": "smoke",
    "vluci/ihdp": "smoke",
    "vluci/ihdp_tarnet": "smoke",
    "vluci/comparison": "smoke",
    "personax/independence": "small",
    "personax/standin": "smoke",
    "personax/dense_control": "smoke",
    "demovae/standin": "smoke",
    "demovae/fmri": "small",
    "causal_info_min/toy": "small",
    "causal_info_min/vqa_features": "smoke",
    "crl/cauca": "smoke",
    "crl/linear_disentanglement": "small",
    "crl/lscale": "small",
    "crl/contrastive": "smoke",
    "crl/polynomial": "smoke",
    "crl/nonlinear_ica": "smoke",
    "crl/temporal_flow": "smoke",
    "scaling/mlp_fits": "small",
    "scaling/conv_vae": "smoke",
}

# What runs unless more is asked for.
MAIN = (
    "ivl/linear_simulation",
    "ivl/cyclic",
    "ivl/partial_null_space",
    "ivl/optical_device",
    "iv/card",
    "iv/mroz",
    "iv/weak_instruments",
    "iv/kiv_np",
    "cate/ihdp1000",
    "cate/jobs",
)

# Experiments on data that may be neither installed nor downloadable, and what they load.
DATA = {
    "ivl/optical_device": ("optical_device",),
    "ivl/optical_released_draw": ("optical_device",),
    "ivl/colored_mnist": ("mnist",),
    "ivl/colored_mnist_text": ("mnist",),
    "hca/main": ("open_llm_leaderboard",),
    "hca/stability": ("open_llm_leaderboard",),
    "hca/imputation": ("open_llm_leaderboard",),
    "scaling/conv_vae": ("fashion_mnist",),
    "ild/rotated_digits": ("small_digits",),
    "ild/rotated_mnist": ("mnist",),
    "ild/rotated_fashion_mnist": ("fashion_mnist",),
    "ild/colored_rotated_mnist": ("mnist",),
    "cate/ihdp100": ("ihdp",),
    "cate/ihdp1000": ("ihdp",),
    "cate/ihdp_neural": ("ihdp",),
    "cate/ihdp_cevae": ("ihdp",),
    "cate/jobs": ("jobs",),
    "cate/acic2016": ("acic2016",),
    "cate/twins": ("twins",),
    "cate/intervals": ("ihdp", "acic2016"),
    "vluci/ihdp_hidden": ("ihdp",),
    "vluci/ihdp": ("ihdp",),
    "vluci/ihdp_tarnet": ("ihdp",),
    "demovae/fmri": ("connectivity_cohort",),
}


def main(argv: list[str] | None = None) -> int:
    """Run the jobs, then print each paper's report; returns the first exit code that is not 0."""
    parser = argparse.ArgumentParser(prog="python -m experiments.reproduce", description=__doc__.split("\n\n")[0])
    parser.add_argument("papers", nargs="*", metavar="paper", help="run all configs of these, for example vluci")
    parser.add_argument("--all", action="store_true", help="run every config of every paper")
    parser.add_argument("--results", default="results", help="folder or bucket of all results (%(default)s)")
    parser.add_argument("--scale", choices=configs.SCALE_NAMES, help="one scale for all (default: a scale each)")
    options = parser.parse_args(argv)
    known = dict.fromkeys(paper_of(name) for name in JOBS)
    if unknown := [paper for paper in options.papers if paper not in known]:
        parser.error(f"unknown {', '.join(unknown)}; there are {', '.join(known)}")
    wanted = options.papers or (known if options.all else ())
    jobs = {name: scale for name, scale in JOBS.items() if (paper_of(name) in wanted if wanted else name in MAIN)}
    failures, skipped = [], []
    for number, (name, scale) in enumerate(jobs.items(), start=1):
        print(f"\n=== {number}/{len(jobs)} {name} ===", flush=True)
        try:
            for dataset in DATA.get(name, ()):
                load(dataset)
        except DataError as error:
            print(f"skipped: {error}", file=sys.stderr)
            skipped.append(name)
            continue
        code = run.main([name, "--scale", options.scale or scale, "--results", options.results], tables=False)
        if code in (distributed.INTERRUPTED, distributed.PREEMPTED):
            return code
        failures += [code] if code else []
    for paper in dict.fromkeys(map(paper_of, jobs)):
        print()
        scale = ["--scale", options.scale] if options.scale else []
        failures += [code for code in [report.main([paper, "--results", options.results, *scale])] if code]
    if skipped:
        print(f"Skipped for want of data: {', '.join(skipped)}. The message above says which files are missing.")
    print(f"Tables, figures (PNG), records and claims: {as_path(options.results).resolve()}")
    return failures[0] if failures else 0


def paper_of(name: str) -> str:
    """The paper of a config's name."""
    return name.split("/")[0]


if __name__ == "__main__":
    sys.exit(main())
