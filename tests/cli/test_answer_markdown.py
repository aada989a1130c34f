"""Markdown on a terminal, of which nothing is lost."""

import io
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from mcp_coder.cli.answer_markdown import AnswerMarkdown


def shown(text: str, *, columns: int = 80) -> str:
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)
    console.print(AnswerMarkdown(text))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


ROWS = {
    "line ends": ("one\ntwo", "one\ntwo"),
    "styles": ("**bold** and `code`", "bold and code"),
    "tags": ("Use <div> here\n\n<p>block</p>", "Use <div> here\n\n<p>block</p>"),
    "link": ("[docs](http://a.b/c_d)", "docs (http://a.b/c_d)"),
    "list": ("1. one\n2. two", " 1 one\n 2 two"),
    "a list goes on": ("7. seven", " 7 seven"),
    "code": ("```py\nx = 1\n\ny = 2\n```", " x = 1\n\n y = 2"),
    "code without end": ("```\nx = 1", " x = 1"),
    "table": ("| a | b |\n|---|---|\n| x | y |", " a  b\n ────\n x  y"),
    "image": ("![picture](http://a.b/c.png)", "![picture](http://a.b/c.png)"),
    "reference": ("[a]: http://b.c", "[a]: http://b.c"),
    "nested too deeply": ("> " * 30 + "end", "> " * 30 + "end"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("text", "laid_out"), ROWS.values(), ids=ROWS)
def test_what_is_shown(text: str, laid_out: str) -> None:
    assert shown(text) == laid_out


@pytest.mark.parametrize("columns", [4, 10, 40])
def test_no_word_of_a_table_is_cut_however_narrow_the_terminal(columns: int) -> None:
    table = "| file | state |\n|---|---|\n| src/very/long/path/of/a/file.py | changed |"
    letters = re.sub("[^a-z]", "", shown(table, columns=columns))
    assert sorted(letters) == sorted(re.sub("[^a-z]", "", table))


_PIECES = [
    "# ",
    "\n",
    "\n\n",
    "- ",
    "1. ",
    "> ",
    "```",
    "```py\n",
    "| a |",
    "|-|\n",
    "word ",
    "[x](http://y)",
]
_PIECES += [
    "![i](z)",
    "<b>",
    "`",
    "*",
    "**",
    "~~",
    "    ",
    "\t",
    "[",
    "](",
    "&lt;",
    "&#27;",
    "\\",
    "===",
    "é",
]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(_PIECES)), st.integers(2, 80))
def test_every_letter_of_any_text_is_shown_and_nothing_acts_on_the_terminal(
    pieces: list[str], columns: int
) -> None:
    text = "".join(pieces)
    laid_out = shown(text, columns=columns)
    missing = Counter(filter(str.isalpha, text)) - Counter(filter(str.isalpha, laid_out))
    assert set(missing) <= set(
        "".join(re.findall("(?:`{3,}|~{3,}) *([^ \\n]*)", text))
    )  # languages of code blocks
    assert not set(map(ord, laid_out)) & {*range(10), *range(11, 32), *range(127, 160)}
