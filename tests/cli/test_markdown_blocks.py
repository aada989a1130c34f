"""Where Markdown is parted; nothing is lost or doubled, however it comes."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.cli import markdown_blocks
from mcp_coder.cli.markdown_blocks import MarkdownBlocks

ROWS = {
    "paragraphs": ["one\nline\n\n", "two\n\n\n", "three"],
    "nothing": [],
    "blank lines only": ["\n\n\n"],
    "blank with spaces": ["one\n  \t\n", "two"],
    "no blank line": ["# Title\ntext\n- item"],
    "code fence": ["look:\n\n", "```py\na\n\nb\n```\n\n", "after"],
    "fence of tildes": ["~~~\na\n\n```\n\n~~~\n\n", "after"],
    "longer fence": ["````\n```\n\n```\n\n````\n\n", "after"],
    "no end of a fence": ["```\na\n\n``` x\n\nb"],
    "backticks within a line": ["```code``` in line\n\n", "after"],
    "list with more": ["1. one\n\n   more\n\n", "2. two"],
    "fence in a list": ["- ```\n  a\n\n  b\n  ```\n\n", "after"],
    "fence in an item": ["1. run\n\n   ```sh\n   a\n\n   b\n   ```\n\n", "2. two"],
    "quote": ["> ```\n> a\n\n", "after"],
    "windows": ["one\r\n\r\n", "two"],
    "other line ends": ["one\u2028\u2028two\x0b\x0b"],
}


def parted(pieces: list[str]) -> list[str]:
    blocks = MarkdownBlocks()
    finished = [block for piece in pieces for block in blocks.feed(piece)]
    assert blocks.rest == blocks.rest
    rest = blocks.end()
    assert blocks.rest == ""
    return [*finished, rest] if rest else finished


@pytest.mark.parametrize("blocks", ROWS.values(), ids=ROWS)
def test_where_a_block_ends(blocks: list[str]) -> None:
    whole = "".join(blocks)
    assert parted([whole]) == blocks
    assert parted(list(whole)) == blocks


@given(st.lists(st.text("a`~ \n->1.", max_size=6)))
def test_the_blocks_are_the_text_and_do_not_depend_on_its_pieces(pieces: list[str]) -> None:
    whole = "".join(pieces)
    blocks = parted(pieces)
    assert "".join(blocks) == whole
    assert blocks == parted([whole] if whole else [])


def test_whether_it_stands_in_a_code_block_is_known() -> None:
    blocks = MarkdownBlocks()
    blocks.feed("```\ncode")
    assert blocks.in_fence
    blocks.feed("\n```\n")
    assert not blocks.in_fence
    blocks.feed("```\n")
    blocks.end()
    assert not blocks.in_fence


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(markdown_blocks).failed == 0
