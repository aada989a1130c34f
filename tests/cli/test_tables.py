"""Tables, plain and drawn; a drawing is looked at through a console of ``rich`` that writes nowhere."""

from __future__ import annotations

import io

import pytest
from tests.cli.stored import CLEARS_SCREEN

from mcp_coder.cli.tables import (
    MARK,
    UNMARK,
    Column,
    Table,
    cell_width,
    drawing_of,
    fitted,
    plain_text,
    table_width,
)

COLUMNS = (
    Column(heading="name"),
    Column(heading="turns", right=True, needless=2),
    Column(heading="odd", only_if_used=True, needless=1),
    Column(heading="title", least=8),
)


def table(*rows: tuple[str, ...], total: tuple[str, ...] | None = None) -> Table:
    return Table(columns=COLUMNS, rows=rows, total=total)


def drawn(shown: Table, width: int, *, styled: bool = False) -> str:
    from rich.console import Console

    file = io.StringIO()
    Console(file=file, width=width, force_terminal=styled, color_system="standard" if styled else None).print(
        drawing_of(shown)
    )
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("plain", 5), ("Grüße", 5), ("東京", 4), ("e\u0301", 1), ("a\u200db", 2), ("ﾊﾟ", 2), ("😀", 2)],
    ids=ascii,
)
def test_wide_characters_take_two_columns(text: str, width: int) -> None:
    assert cell_width(text) == width


def test_plain_columns_are_aligned_whatever_stands_in_them() -> None:
    text = plain_text(
        table(("東京", "1", "", "first"), ("Oslo", "1,200", "", "second"), ("e\u0301", "12", "", ""))
    )
    assert text.splitlines() == [
        "name  turns  title",
        "東京      1  first",
        "Oslo  1,200  second",
        "e\u0301        12",
    ]


def test_a_column_that_nothing_stands_in_is_left_out_unless_the_total_has_something() -> None:
    row = ("a", "1", "", "x")
    assert "odd" not in plain_text(table(row))
    assert "odd" in plain_text(table(("a", "1", "!", "x")))
    shown = plain_text(table(row, total=("total", "1", "!", ""))).splitlines()
    assert shown == ["name   turns  odd  title", "a          1       x", "total      1  !"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert plain_text(table()) == "name  turns  title\n"
    assert table_width(table()) == len("name  turns  title")


@pytest.mark.parametrize("styled", [False, True], ids=["plain", "styled"])
def test_no_cell_moves_the_cursor(styled: bool) -> None:
    shown = table((f"a{CLEARS_SCREEN}", "1", "", "two\r\nlines\ttab"))
    for text in (plain_text(shown), drawn(shown, 80)):
        assert not set(text) & {"\x1b", "\x07", "\r", "\t", "\u202e"}
        assert "two lines tab" in text
        assert len([line for line in text.splitlines() if "lines" in line]) == 1
    assert "\x1b[2J" not in drawn(shown, 80, styled=True)


def test_what_was_found_stands_out_and_keeps_its_blanks() -> None:
    cell = f"the {MARK}color{UNMARK} is {MARK}blue{UNMARK}"
    shown = table(("a", "1", "", cell))
    assert plain_text(shown).splitlines()[1].endswith("the color is blue")
    assert "the color is blue" in drawn(shown, 80)
    assert "\x1b[1;33mcolor\x1b[0m is \x1b[1;33mblue\x1b[0m" in drawn(shown, 80, styled=True)


def test_a_narrow_terminal_shortens_the_wide_column_only() -> None:
    lines = drawn(
        table(("name-1234", "1,200", "", "word " * 40), total=("total", "1", "", "")), 40
    ).splitlines()
    assert all(len(line) <= 40 for line in lines)
    (row,) = (line for line in lines if "name-1234" in line)
    assert "1,200" in row
    assert row.rstrip().endswith("…")
    assert any(line.startswith("total") for line in lines)


def test_nothing_is_taken_for_markup() -> None:
    assert "[bold]x[/bold]" in drawn(table(("[bold]x[/bold]", "1", "", "")), 80)


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (80, ["name", "turns", "odd", "title"]),
        (35, ["name", "turns", "odd", "title"]),
        (28, ["name", "turns", "odd", "title"]),
        (27, ["name", "odd", "title"]),
        (20, ["name", "title"]),
        (3, ["name", "title"]),
    ],
)
def test_what_a_terminal_has_no_room_for_goes_the_most_needless_first(
    width: int, headings: list[str]
) -> None:
    shown = fitted(table(("name-1", "1", "odd", "t" * 30), total=("total", "1", "", "")), width)
    assert [column.heading for column in shown.columns] == headings
    assert all(len(cells) == len(headings) for cells in shown.all_rows)
    assert shown.rows[0][0] == "name-1"
    assert shown.rows[0][-1] == "t" * 30


def test_a_table_without_a_total_stays_so() -> None:
    assert fitted(table(("name-1", "1", "", "x")), 5).total is None
