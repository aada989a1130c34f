"""An agent's text as a terminal may be given it: it cannot move the cursor, ring, rename the window or hide anything.

Text comes in whole or in pieces; out comes the same without terminal sequences and control characters. Line feeds and
tabs stay. Pure.
"""

from __future__ import annotations

import re

__all__ = ["VisibleText", "visible"]

_TO_END = r"[^\x07\x1b\x9c\n]*"
"""What a sequence such as a window's title may hold; a line feed shows that it is none."""
_SEQUENCE = re.compile(
    rf"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_TO_END}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
_BEGUN = re.compile(
    rf"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_TO_END}\x1b?|\x1b[ -/]*)\Z"
)
"""A sequence that may still become one."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Return a whole text without what would act on a terminal.

    >>> visible("\x1b[31mred\x1b[0m\r\n\x1b]0;title\x07done")
    'red\ndone'
    """
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


class VisibleText:
    """Does the same to a text that comes in pieces: a sequence may be spread over some of them."""

    def __init__(self) -> None:
        self._begun = ""

    def feed(self, piece: str) -> str:
        """Return what can be shown by now."""
        text = self._begun + piece
        found = _BEGUN.search(text)
        start = len(text) if found is None else found.start()
        self._begun = text[start:]
        return visible(text[:start])

    def end(self) -> str:
        """Return what was held back; a new text may follow."""
        rest, self._begun = visible(self._begun), ""
        return rest
