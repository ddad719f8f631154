"""Commands replace groups of rows in the tables of pages."""

import pytest

from causalrep.errors import CausalrepError
from experiments.tools.pages import END, mark, update_table


def test_groups_of_rows_are_replaced_and_others_kept(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{mark('do it')}\n{END}\nafter\n")

    def write(rows):
        update_table(page, "do it", ["a", "b", "c"], rows, lambda row: row[0])

    write({("y", "1"): [["y", "1", "old"], ["y", "1", "older"]], ("z", "1"): [["z", "1", "kept"]]})
    write({("y", "1"): [["y", "1", "new"]], ("x", "1"): [["x", "1", "first"]]})
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert [line.split("|")[3].strip() for line in text.splitlines() if line.startswith("| ")] == [
        "c",
        "first",
        "new",
        "kept",
    ]


def test_a_page_without_marks_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(CausalrepError, match="marks"):
        update_table(page, "do it", ["a"], {}, lambda row: row[0])
