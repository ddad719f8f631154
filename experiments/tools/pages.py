"""Tables in documentation pages that a command writes row by row, between two marks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from causalrep.errors import CausalrepError
from causalrep.storage import write_text
from causalrep.study.report.tables import markdown_table

END = "<!-- end of table -->"

Row = Sequence[str]


def mark(command: str) -> str:
    """The mark before the table that a command writes."""
    return f"<!-- table: {command} -->"


def update_table(
    page: Path,
    command: str,
    header: Row,
    rows: Mapping[tuple[str, ...], Sequence[Row]],
    order: Callable[[Row], object],
) -> None:
    """Replace groups of rows in a page's table and leave the others as they are.

    Args:
        page: The page; it holds the marks.
        command: Which table: the command of its first mark.
        header: The columns.
        rows: New rows by the first cells they share, for example ``{(config, target): [...]}``; all old rows that
            begin with those cells go.
        order: Sort key of a row.

    Raises:
        CausalrepError: If the page has no such marks.
    """
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(mark(command))
    old, ended, after = rest.partition(END)
    if not found or not ended:
        raise CausalrepError(f"{page}: expected the marks {mark(command)!r} and {END!r}")
    lines = [line for line in old.splitlines() if line.startswith("|")][2:]
    kept = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    kept = [row for row in kept if not any(tuple(row[: len(key)]) == key for key in rows)]
    new = [list(row) for group in rows.values() for row in group]
    table = markdown_table(header, sorted(kept + new, key=order))
    write_text(page, f"{before}{mark(command)}\n\n{table}\n\n{END}{after}")
