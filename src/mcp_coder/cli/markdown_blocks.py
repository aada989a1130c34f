"""Markdown as it comes, parted into blocks that can be shown once and for all.

Pieces of text come in; blocks go out as soon as they are finished. A block ends at a blank line outside of a code
fence, if the next line is not indented (which may belong to a list). All blocks and the rest, joined, equal what came
in. Pure.
"""

from __future__ import annotations

import re

__all__ = ["MarkdownBlocks"]

_LINE_PIECE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(?P<fence>`{3,}(?![^\n]*`)|~{3,})")
"""The beginning of a code fence, also as the first thing of a list's item."""


class MarkdownBlocks:
    r"""Parts one text.

    Example:
        >>> blocks = MarkdownBlocks()
        >>> blocks.feed("# Title\n\nFirst ")
        ('# Title\n\n',)
        >>> blocks.feed("words")
        ()
        >>> blocks.end()
        'First words'
    """

    def __init__(self) -> None:
        self._block: list[str] = []
        self._line: list[str] = []
        self._fence = ""
        """How the code fence began in which the text stands now."""
        self._after_blank = False

    def feed(self, text: str) -> tuple[str, ...]:
        """Take the next piece of the text; return the blocks that it finishes."""
        finished: list[str] = []
        for piece in _LINE_PIECE.findall(text):
            if self._after_blank and not self._line and not piece[0].isspace():
                finished.append(self.end())
            self._line.append(piece)
            if piece.endswith("\n"):
                self._end_line()
        return tuple(finished)

    def _end_line(self) -> None:
        line = "".join(self._line)
        self._line.clear()
        self._block.append(line)
        self._see_fence(line)
        self._after_blank = not self._fence and not line.strip()

    def _see_fence(self, line: str) -> None:
        if self._fence:
            mark = line.strip()
            if len(mark) >= len(self._fence) and not mark.strip(self._fence[0]):
                self._fence = ""
        elif found := _FENCE.match(line):
            self._fence = found["fence"]

    @property
    def in_fence(self) -> bool:
        """Whether the text stands inside a code fence."""
        return bool(self._fence)

    @property
    def rest(self) -> str:
        """What came in and is not finished."""
        return "".join((*self._block, *self._line))

    def end(self) -> str:
        """Return what is not finished, as a block; a new text may follow."""
        block = self.rest
        self._block.clear()
        self._line.clear()
        self._fence, self._after_blank = "", False
        return block
