"""Open LLM Leaderboard v2: six benchmark scores of thousands of language models, with the base model behind each.

Two snapshots, before and after the leaderboard graded MATH anew; the later one is the default. The scores are the
leaderboard's, the tables those of the repository hlzhang109/causal-eval. The base models were identified from names,
sizes and architectures by that repository's rules, which is why the prepared files are needed and no download serves.
"""

from dataclasses import dataclass

import pandas as pd

from causalrep.base.validation import check_choice
from causalrep.data.sources.folder import data_folder
from causalrep.errors import DataError

BENCHMARKS = ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO")
ROWS = {"2025-02-20": 3913, "2025-02-08": 3827}
FOLDER = "open-llm-leaderboard"


@dataclass(frozen=True)
class Leaderboard:
    """One snapshot.

    Attributes:
        frame: A row a model; see :attr:`scores` and the column ``base_model``, missing where it is unknown.
        snapshot: Its date.
    """

    frame: pd.DataFrame
    snapshot: str

    @property
    def scores(self) -> pd.DataFrame:
        """The six normalised scores in percent, 0 at chance, shape (n, 6)."""
        return self.frame[list(BENCHMARKS)]

    def of_base_models(self, *names: str) -> "Leaderboard":
        """The models fine-tuned from some base models."""
        return Leaderboard(self.frame[self.frame["base_model"].isin(names)].reset_index(drop=True), self.snapshot)


def open_llm_leaderboard(snapshot: str = "2025-02-20") -> Leaderboard:
    """Open LLM Leaderboard v2 (n = 3,913): six benchmark scores and the base model of language models.

    Args:
        snapshot: ``"2025-02-20"``, or ``"2025-02-08"``, before MATH was graded anew.

    Raises:
        DataError: If the file is not in the data folder, or holds other rows than it should.
    """
    check_choice("snapshot", snapshot, tuple(ROWS))
    path = data_folder() / FOLDER / f"hca_domains_{snapshot}.csv"
    if not path.is_file():
        raise DataError(
            f"open_llm_leaderboard: the file {path.name} is not in {path.parent}. It is made from the table "
            "Tables/open_llm_leaderboard.csv of the repository hlzhang109/causal-eval by adding each model's base "
            "model (column base_model), and has no origin of its own to be downloaded from."
        )
    frame = pd.read_csv(path)
    if len(frame) != ROWS[snapshot] or frame[list(BENCHMARKS)].isna().any().any():
        raise DataError(
            f"open_llm_leaderboard: {path} holds {len(frame)} rows, expected {ROWS[snapshot]} complete ones."
        )
    return Leaderboard(frame, snapshot)
