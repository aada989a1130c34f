"""Tables for people: what stands in them, as plain aligned columns, or as a table of ``rich``.

Cells come in as text, a table goes out as text or as a drawing; nothing here writes it. A cell loses its control
characters, so that no title moves the cursor; what stands between ``MARK`` and ``UNMARK`` was found by a search, and is
shown so. Pure. ``rich`` is imported only where a drawing is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mcp_coder.cli.render import one_line

if TYPE_CHECKING:
    from rich.table import Table as Drawing
    from rich.text import Text

__all__ = [
    "MARK",
    "UNMARK",
    "Column",
    "Table",
    "cell_width",
    "drawing_of",
    "fitted",
    "plain_text",
    "table_width",
]

MARK, UNMARK = "\x02", "\x03"
"""What stands around words that were found, as a store gives them."""

_GAP = "  "


class Column(NamedTuple):  # a dataclass takes five times as long to make, and a list of sessions waits for it
    """A column of a table.

    Attributes:
        heading: what stands above it.
        right: whether its cells are moved to the right, as numbers are.
        least: to how many columns of a narrow terminal its cells may be shortened; 0: never.
        needless: which goes first where a terminal is too narrow still, the highest first; 0: it stays.
        only_if_used: whether it is left out where all its cells are empty.
        style: how ``rich`` shows it.
    """

    heading: str
    right: bool = False
    least: int = 0
    needless: int = 0
    only_if_used: bool = False
    style: str = ""


class Table(NamedTuple):
    """Columns, rows of as many cells, and perhaps a last row that sums them up."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] | None = None

    @property
    def all_rows(self) -> list[Sequence[str]]:
        """The rows, the total among them."""
        return [*self.rows, self.total] if self.total is not None else list(self.rows)


def cell_width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide character, none for one that joins another.

    >>> cell_width("Zürich"), cell_width("東京"), cell_width("e\\u0301")
    (6, 4, 1)
    """
    return len(text) if text.isascii() else len(text) + sum(map(_beyond_one, text))


@functools.lru_cache(maxsize=10_000)
def _beyond_one(character: str) -> int:
    """Return how many columns more than one a character takes."""
    if character.isascii():
        return 0
    from unicodedata import category, east_asian_width

    if category(character) in ("Mn", "Me", "Cf"):
        return -1
    return int(east_asian_width(character) in "WF")


def plain_text(table: Table) -> str:
    """Return a table as lines of aligned columns, nothing shortened; each line ends with a line feed.

    >>> columns = [Column(heading="day"), Column(heading="turns", right=True)]
    >>> print(plain_text(Table(columns=columns, rows=[("today", "12")])), end="")
    day    turns
    today     12
    """
    columns, lines = _lines(table)
    widths = _widths(lines)
    return "".join(_line(cells, columns, widths) for cells in lines)


def _lines(table: Table) -> tuple[list[Column], list[list[str]]]:
    """Return the columns to be shown, and all lines of their cells, the headings first."""
    used = _used(table)
    columns = [table.columns[index] for index in used]
    cells = [[_plain(row[index]) for index in used] for row in table.all_rows]
    return columns, [[column.heading for column in columns], *cells]


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_width, cells)) for cells in zip(*lines, strict=True)]


def _line(cells: Iterable[str], columns: Iterable[Column], widths: Iterable[int]) -> str:
    parts = (
        _padded(cell, width, right=column.right)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    )
    return _GAP.join(parts).rstrip() + "\n"


def _padded(cell: str, width: int, *, right: bool) -> str:
    room = " " * (width - cell_width(cell))
    return room + cell if right else cell + room


def _used(table: Table) -> list[int]:
    """Return the places of the columns to be shown."""
    rows = table.all_rows
    return [
        index
        for index, column in enumerate(table.columns)
        if not column.only_if_used or any(row[index] for row in rows)
    ]


def _plain(cell: str) -> str:
    return one_line(cell.replace(MARK, "").replace(UNMARK, ""))


def table_width(table: Table) -> int:
    """Return how many columns of a terminal a table takes where nothing is shortened."""
    return max(map(cell_width, plain_text(table).splitlines()))


def fitted(table: Table, width: int) -> Table:
    """Return the table without the columns that a terminal of this width has no room for."""
    columns, lines = _lines(table)
    widths = [min(wide, column.least or wide) for column, wide in zip(columns, _widths(lines), strict=True)]
    needless = [column for column in columns if column.needless]
    if not needless or sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
        return table
    return fitted(_without(table, max(needless, key=lambda column: column.needless)), width)


def _without(table: Table, column: Column) -> Table:
    place = table.columns.index(column)

    def cut(cells: Sequence[str]) -> Sequence[str]:
        return [*cells[:place], *cells[place + 1 :]]

    columns = [each for each in table.columns if each is not column]
    total = None if table.total is None else cut(table.total)
    return Table(columns=columns, rows=[cut(row) for row in table.rows], total=total)


def drawing_of(table: Table) -> Drawing:
    """Return a table of ``rich``; on a narrow terminal it is shortened where it may be."""
    from rich import box
    from rich.table import Table as Drawing

    used = _used(table)
    drawing = Drawing(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for index in used:
        _add_column(drawing, table.columns[index])
    for row in table.rows:
        drawing.add_row(*(_marked(row[index]) for index in used))
    if table.total is not None:
        drawing.add_section()
        drawing.add_row(*(_marked(table.total[index]) for index in used), style="bold")
    return drawing


def _add_column(drawing: Drawing, column: Column) -> None:
    drawing.add_column(
        column.heading,
        justify="right" if column.right else "left",
        style=column.style,
        no_wrap=not column.least,  # where room is short, rich takes it from those that may be wrapped
    )


def _marked(cell: str) -> Text:
    """Return a cell for ``rich``: nothing in it is taken for markup, and what was found stands out."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    first, *found = cell.split(MARK)
    text.append(_in_line(first))
    for piece in found:
        word, _, rest = piece.partition(UNMARK)
        text.append(_in_line(word), style="bold yellow")
        text.append(_in_line(rest))
    return text


def _in_line(piece: str) -> str:
    """Return a piece of a line; unlike that of a whole line, a blank at either end stays."""
    return one_line(f"|{piece}|")[1:-1]
