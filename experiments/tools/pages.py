"""Tables in documentation pages: a command writes groups of rows between two marks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from causalrep.errors import CausalrepError
from causalrep.storage import write_text
from causalrep.study.report.tables import markdown_table

END = "<!-- end of table -->"

Row = Sequence[str]


def mark(command: str) -> str:
    """The comment that stands before the table of a command."""
    return f"<!-- table: {command} -->"


def update_table(
    page: Path,
    command: str,
    header: Row,
    rows: Mapping[tuple[str, ...], Sequence[Row]],
    order: Callable[[Row], object],
) -> None:
    """Replaces groups of rows in the table of a page and keeps the other rows.

    Args:
        page: A page with the marks of the table.
        command: The command in the first mark, which identifies the table.
        header: Names of the columns.
        rows: New rows by the first cells that they share, for example ``{(config, target): [...]}``. They replace all
            old rows that begin with these cells.
        order: Sort key of a row.

    Raises:
        CausalrepError: If the page does not hold the marks.
    """
    text = page.read_text(encoding="utf-8")
    before, start, rest = text.partition(mark(command))
    old, end, after = rest.partition(END)
    if not start or not end:
        raise CausalrepError(f"{page}: expected the marks {mark(command)!r} and {END!r}")
    # The first two lines of a Markdown table are its header and a ruler.
    lines = [line for line in old.splitlines() if line.startswith("|")][2:]
    kept = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    kept = [row for row in kept if not any(tuple(row[: len(key)]) == key for key in rows)]
    new = [list(row) for group in rows.values() for row in group]
    table = markdown_table(header, sorted(kept + new, key=order))
    write_text(page, f"{before}{mark(command)}\n\n{table}\n\n{END}{after}")
