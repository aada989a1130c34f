"""A small terminal: what was written to it comes in, what is left on its screen and in its scrollback goes out."""

from __future__ import annotations

import re

__all__ = ["Screen"]

_PART = re.compile(r"\x1b\[([0-9;?]*)([a-zA-Z])|([\r\n])|([^\x1b\r\n])|(\x1b)", re.DOTALL)


class Screen:
    """Understands what ``rich`` writes: text, line ends, the cursor up, and lines erased."""

    def __init__(self, *, columns: int = 80, rows: int = 24) -> None:
        self._columns, self._rows = columns, rows
        self._lines: list[str] = [""]
        self._row = self._column = 0

    def show(self, written: str) -> Screen:
        """Take what was written to it."""
        for numbers, command, line_end, character, escape in _PART.findall(written):
            assert not escape, f"the terminal does not know what follows {written[:80]!r}"
            if command:
                self._obey(command, numbers)
            elif line_end:
                self._end_line(line_end)
            else:
                self._put(character)
        return self

    @property
    def text(self) -> str:
        """All lines, without the blanks at their ends."""
        return "\n".join(line.rstrip() for line in self._lines).rstrip("\n")

    def _obey(self, command: str, numbers: str) -> None:
        if command == "A":
            highest = max(0, len(self._lines) - self._rows)
            assert self._row - int(numbers or 1) >= highest, "the cursor would have to go into the scrollback"
            self._row -= int(numbers or 1)
        elif command == "K":
            assert numbers == "2"
            self._lines[self._row] = ""
        else:
            assert command in "mhl", f"unknown command {command!r}"

    def _end_line(self, line_end: str) -> None:
        self._column = 0  # the line feed of a program comes with a carriage return
        if line_end == "\n":
            self._down()

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append("")

    def _put(self, character: str) -> None:
        if self._column == self._columns:
            self._column = 0
            self._down()
        line = self._lines[self._row].ljust(self._column)
        self._lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
        self._column += 1
