"""The methods of the IVL paper on one augmented sample, as one pure function.

One call fits every method in the figures of the paper: ERM, DA+ERM, DA+IV and DA+IVL with each of its selectors. All
share the decomposition of (GX, G).
"""

import jax
from jaxtyping import Array, Float, Key

from causalrep.data import Augmented
from causalrep.iv.ivl.path import erm, ivl, ivl_path, min_norm_iv
from causalrep.iv.ivl.selection import (
    confounder_corrected_norm,
    discretize,
    log_uniform_candidates,
    select_confounder_correction,
    select_cv,
    select_level_cv,
)
from causalrep.linalg import min_norm_solve

CANDIDATES = 10
SELECTED = ("DA+IVL-CV", "DA+IVL-LCV", "DA+IVL-CC")
FIGURE_METHODS = ("ERM", "DA+ERM", "DA+IVL-CV", "DA+IVL-LCV", "DA+IVL-CC", "DA+IV")


def fit_all(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    augmented: Augmented,
    *,
    lowest: float,
    highest: float = 1.0,
    candidates: Float[Array, " a"] | None = None,
) -> tuple[dict[str, Float[Array, " m"]], dict[str, Float[Array, ""]], object]:
    """Estimates of the effect by every method.

    Args:
        key: Random key of the selectors.
        y: Outcome (n,).
        x: Un-augmented treatment (n, m), on which ERM fits and CV and LCV score.
        augmented: GX (n, m) and G (n, k).
        lowest: Lower end of the candidates' log-uniform range (paper: 1e-4; its code: 1e-3 for the optical device).
        highest: Upper end of that range.
        candidates: Candidates to use instead of random ones.

    Returns:
        Estimates by method, the selected alpha by method, and the decomposition of (GX, G).
    """
    gx, g = augmented
    candidate_key, cv_key, level_key = jax.random.split(key, 3)
    if candidates is None:
        candidates = log_uniform_candidates(candidate_key, CANDIDATES, lowest, highest)
    levels = discretize(g)
    path, level_path = ivl_path(y, gx, g), ivl_path(y, gx, levels)
    target_norm = confounder_corrected_norm(y, gx, least_squares=erm(path))
    alphas = {
        "DA+IVL-CV": select_cv(cv_key, y, gx, g, candidates, x_score=x),
        "DA+IVL-LCV": select_level_cv(level_key, y, gx, levels, candidates, x_score=x),
        "DA+IVL-CC": select_confounder_correction(path, candidates, target_norm),
    }
    estimates = {
        "ERM": min_norm_solve(x, y),
        "DA+ERM": erm(path),
        "DA+IVL-CV": ivl(path, alphas["DA+IVL-CV"]),
        "DA+IVL-LCV": ivl(level_path, alphas["DA+IVL-LCV"]),
        "DA+IVL-CC": ivl(path, alphas["DA+IVL-CC"]),
        "DA+IV": min_norm_iv(path),
        # The released code bins G before this baseline; the paper does not say so.
        "DA+IV (2-bin G)": min_norm_iv(level_path),
    }
    return estimates, alphas, path
