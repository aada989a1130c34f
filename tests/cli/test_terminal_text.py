"""Nothing that an agent says acts on a terminal."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.cli import terminal_text
from mcp_coder.cli.terminal_text import VisibleText, visible

ROWS = {
    "plain": ("Grüße 😀\n\ttab\n", "Grüße 😀\n\ttab\n"),
    "color": ("\x1b[1;31mred\x1b[0m", "red"),
    "cursor": ("a\x1b[2J\x1b[Hb", "ab"),
    "title by bell": ("\x1b]0;title\x07a", "a"),
    "title by string end": ("\x1b]0;title\x1b\\a", "a"),
    "link": ("\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"),
    "title without end": ("\x1b]0;title\na", "]0;title\na"),
    "reset": ("\x1bca", "a"),
    "character set": ("\x1b(0a", "a"),
    "eight bits": ("\x9b31mred\x9d0;title\x9ca", "reda"),
    "bell and backspace": ("a\x07\x08b", "ab"),
    "windows": ("a\r\nb", "a\nb"),
    "overwriting": ("safe\rrm", "saferm"),
    "right to left": ("a\u202eb\u2066c", "abc"),
    "lone escape": ("a\x1b", "a"),
    "sequence without end": ("a\x1b[3", "a[3"),
}


@pytest.mark.parametrize(("text", "shown"), ROWS.values(), ids=ROWS)
def test_what_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    cleaner = VisibleText()
    assert "".join(map(cleaner.feed, text)) + cleaner.end() == shown


@given(st.lists(st.text("a\n\t 0;[]()\\m\r\x07\x1b\x9b\x9c\x9d", max_size=6)))
def test_the_pieces_do_not_matter_and_no_control_character_is_left(pieces: list[str]) -> None:
    cleaner = VisibleText()
    shown = "".join(map(cleaner.feed, pieces)) + cleaner.end()
    assert shown == visible("".join(pieces))
    assert not [character for character in shown if not character.isprintable() and character not in "\n\t"]


def test_a_new_text_begins_anew() -> None:
    cleaner = VisibleText()
    cleaner.feed("\x1b[")
    cleaner.end()
    assert cleaner.feed("Hello") == "Hello"


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(terminal_text).failed == 0
