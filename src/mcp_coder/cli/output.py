"""Writes what a command found to standard output: tables and arrays.

A table is drawn by ``rich`` on a terminal, and is plain aligned columns elsewhere: ``rich`` is loaded for people only.
An array is written piece by piece, so that a long one is never held whole.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mcp_coder.cli import console

if TYPE_CHECKING:
    from mcp_coder.cli.tables import Table

__all__ = ["ids_shown", "people_read", "terminal_columns", "write_array", "write_table"]

_PIECE = 65_536


def people_read() -> bool:
    """Return whether standard output is a terminal that understands more than lines."""
    try:
        return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "", None)
    except (AttributeError, ValueError):
        return False


def terminal_columns() -> int:
    """Return how wide the terminal is."""
    import shutil

    return shutil.get_terminal_size().columns


def ids_shown(ids: Iterable[str]) -> Mapping[str, str]:
    """Return each id as it is shown: shortened for people, whole for programs."""
    from mcp_coder.cli.short_ids import shortened

    return shortened(ids) if people_read() else {each: each for each in ids}


def write_table(table: Table) -> None:
    """Write a table."""
    from mcp_coder.cli.tables import plain_text

    console.write_answer(_drawn(table) if people_read() else plain_text(table))


def _drawn(table: Table) -> str:
    from rich.console import Console

    from mcp_coder.cli.tables import drawing_of, fitted

    terminal = Console(width=terminal_columns())
    with terminal.capture() as captured:
        terminal.print(drawing_of(fitted(table, terminal.width)))
    return "".join(line.rstrip(" ") + "\n" for line in captured.get().splitlines() if line.strip())


def write_array(
    documents: Iterable[object], *, before: str = "", indent: str = "", behind: str = "\n"
) -> None:
    """Write documents as a JSON array, between two texts."""
    from mcp_coder.cli.session_json import array_pieces

    held = before
    for piece in array_pieces(documents, indent=indent):
        held += piece
        if len(held) >= _PIECE:
            console.write_json(held)
            held = ""
    console.write_json(held + behind)
