"""Open LLM Leaderboard v2: six benchmark scores of thousands of language models, with the base model of each.

There are two snapshots, from before and after the leaderboard regraded MATH; the later one is the default. The scores
are the leaderboard's, in the tables of the repository hlzhang109/causal-eval. Base models were identified from names,
sizes and architectures by that repository's rules, so the prepared files are needed and cannot be downloaded.
"""

from dataclasses import dataclass

import pandas as pd

from causalrep.base.validation import check_choice
from causalrep.data.sources.folder import data_folder
from causalrep.data.sources.packages import check_table
from causalrep.errors import DataError

BENCHMARKS = ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO")
ROWS = {"2025-02-20": 3913, "2025-02-08": 3827}
FOLDER = "open-llm-leaderboard"


@dataclass(frozen=True)
class Leaderboard:
    """One snapshot of the leaderboard.

    Attributes:
        frame: One row per model, with six score columns and the column ``base_model``, missing if it is unknown.
        snapshot: Date of the snapshot, as YYYY-MM-DD.
    """

    frame: pd.DataFrame
    snapshot: str

    @property
    def scores(self) -> pd.DataFrame:
        """The six normalized scores in percent, where 0 is chance (n, 6)."""
        return self.frame[list(BENCHMARKS)]

    def of_base_models(self, *names: str) -> "Leaderboard":
        """The models that were fine-tuned from the named base models."""
        return Leaderboard(self.frame[self.frame["base_model"].isin(names)].reset_index(drop=True), self.snapshot)


def open_llm_leaderboard(snapshot: str = "2025-02-20") -> Leaderboard:
    """Open LLM Leaderboard v2 (n = 3,913): six benchmark scores and the base model of language models.

    Args:
        snapshot: ``"2025-02-20"``, or ``"2025-02-08"`` from before MATH was regraded.

    Raises:
        DataError: If the file is not in the data folder, or does not hold the expected rows.
        InputError: If the snapshot is unknown.
    """
    check_choice("snapshot", snapshot, tuple(ROWS))
    path = data_folder() / FOLDER / f"hca_domains_{snapshot}.csv"
    if not path.is_file():
        raise DataError(
            f"open_llm_leaderboard: the file {path.name} is not in {path.parent}. It is made from the table "
            "Tables/open_llm_leaderboard.csv of the repository hlzhang109/causal-eval by adding each model's base "
            "model (column base_model), and cannot be downloaded."
        )
    frame = pd.read_csv(path)
    check_table("open_llm_leaderboard", frame, list(BENCHMARKS), rows=ROWS[snapshot], origin=path)
    return Leaderboard(frame, snapshot)
