"""What every command of this folder does first: get its own description, and make its output safe to print."""

import io
import sys


def begin(doc: str | None) -> str:
    """Prepare the output of a command and return its description.

    A character that the output cannot encode, such as ``±`` in an ASCII terminal, is printed as an escape. Otherwise it
    would end the command after all its work.

    Args:
        doc: The module's docstring; None under ``python -OO``, which drops docstrings.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return (doc or "").strip()
