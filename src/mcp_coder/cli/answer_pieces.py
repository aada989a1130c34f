"""The pieces of a turn's texts -> what is written of them, so that it adds up to what is printed of a whole answer.

Pieces come in, text to write comes out: a text ends with exactly one line feed, and a blank line stands between two.
Whether more follows the line ends at the end of a piece is not known yet: they are held back. Pure.
"""

from __future__ import annotations

__all__ = ["AnswerPieces"]

_LINE_ENDS = "\r\n"


class AnswerPieces:
    r"""Lays out the texts of one turn.

    Example:
        >>> pieces = AnswerPieces()
        >>> pieces.add("Let me look.\n", part=1), pieces.add("It is ", part=2), pieces.add("blue", part=2)
        ('Let me look.', '\n\nIt is ', 'blue')
        >>> pieces.end_line()
        '\n'
    """

    def __init__(self) -> None:
        self._part: int | None = None
        self._held = ""
        self._open = False
        """Whether what was written last still needs the end of its line."""

    def add(self, text: str, *, part: int) -> str:
        """Return what is to be written for the next piece."""
        before = self._between(part)
        text = self._held + text
        written = text.rstrip(_LINE_ENDS)
        self._held = text[len(written) :]
        self._open = self._open or bool(written)
        return before + written

    def _between(self, part: int) -> str:
        if part == self._part:
            return ""
        before = "" if self._part is None else self.end_line() + "\n"
        self._part, self._held, self._open = part, "", True
        return before

    def end_line(self) -> str:
        """Return what ends the line that was begun, if one was; the same text is not gone on with in it."""
        ended = "\n" if self._open else ""
        self._open, self._held = False, ""
        return ended
