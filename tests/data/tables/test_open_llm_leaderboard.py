"""The leaderboard's snapshots have the numbers of rows that their description gives."""

import pytest

from causalrep.data import load
from causalrep.errors import DataError, InputError


def load_or_skip(**options):
    try:
        return load("open_llm_leaderboard", **options)
    except DataError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("snapshot", "llama", "qwen"), [("2025-02-20", 716, 243), ("2025-02-08", 712, 230)])
def test_rows_by_base_model(snapshot, llama, qwen):
    board = load_or_skip(snapshot=snapshot)
    assert len(board.of_base_models("llama-3-8b").scores) == llama
    assert board.of_base_models("qwen2.5-14b").scores.shape == (qwen, 6)
    assert board.scores.notna().all().all()


def test_a_missing_file_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("CAUSALREP_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"hca_domains_2025-02-20\.csv is not in"):
        load("open_llm_leaderboard")
    with pytest.raises(InputError, match="snapshot"):
        load("open_llm_leaderboard", snapshot="2024")
