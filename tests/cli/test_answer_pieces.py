"""Pieces add up to what is printed of a whole answer."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.cli import answer_pieces
from mcp_coder.cli.answer_pieces import AnswerPieces

ROWS: dict[str, tuple[list[tuple[int, str]], str]] = {
    "nothing": ([], ""),
    "one": ([(1, "No"), (1, "ted")], "Noted\n"),
    "line feeds at the end": ([(1, "Noted\n"), (1, "\n")], "Noted\n"),
    "line feeds within": ([(1, "a\n"), (1, "\nb")], "a\n\nb\n"),
    "line feeds before": ([(1, "\n"), (1, "a")], "\na\n"),
    "two": ([(1, "Look.\n\n"), (2, "Noted")], "Look.\n\nNoted\n"),
    "no text": ([(1, "")], "\n"),
}


@pytest.mark.parametrize(("pieces", "written"), ROWS.values(), ids=ROWS)
def test_what_is_written(pieces: list[tuple[int, str]], written: str) -> None:
    layout = AnswerPieces()
    assert "".join(layout.add(text, part=part) for part, text in pieces) + layout.end_line() == written
    assert layout.end_line() == ""


@given(st.lists(st.text("ab \r\n", max_size=4), min_size=1))
def test_one_text_is_written_as_a_whole_answer_is(pieces: list[str]) -> None:
    layout = AnswerPieces()
    written = "".join(layout.add(piece, part=1) for piece in pieces) + layout.end_line()
    assert written == "".join(pieces).rstrip("\r\n") + "\n"


def test_something_else_may_be_written_between_two_texts() -> None:
    layout = AnswerPieces()
    assert layout.add("Look.", part=1) + layout.end_line() == "Look.\n"
    assert layout.add("Noted", part=2) + layout.end_line() == "\nNoted\n"


def test_a_text_goes_on_below_what_was_written_amid_it() -> None:
    layout = AnswerPieces()
    layout.add("be", part=1)
    layout.end_line()
    assert layout.add("gun", part=1) + layout.end_line() == "gun\n"


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(answer_pieces).failed == 0
