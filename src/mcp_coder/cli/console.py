"""Writes to standard output and standard error, and survives what can be wrong with them.

An answer goes to standard output whole, or the caller is told that it did not (``OutputLost``, ``ReaderGone``). Text
that an encoding cannot hold is escaped, never a crash. What goes to standard error is advice: failing to write it never
fails a command.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from mcp_coder.cli.render import ascii_json, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "AnswerOutput",
    "Forgiving",
    "OutputLost",
    "ReaderGone",
    "ask",
    "can_ask",
    "can_redraw",
    "close_output",
    "is_terminal",
    "note",
    "output_is_terminal",
    "prepare",
    "say",
    "write_answer",
    "write_json",
]


class OutputLost(Exception):  # noqa: N818 - it is what happened; the line for the user is made elsewhere
    """Standard output cannot be written: closed, or its disk is full.

    Attributes:
        session_id: the session that still has the answer, if there is one.
    """

    session_id: str | None = None


class ReaderGone(Exception):  # noqa: N818
    """Whoever read standard output has closed it, as ``head`` does; nothing is left to say."""


def prepare() -> None:
    """Make standard output and error escape what their encoding cannot hold, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_answer(text: str) -> None:
    """Write ``text`` to standard output.

    Raises:
        ReaderGone: the reader has closed it.
        OutputLost: it cannot be written.
    """
    stream: TextIO | None = sys.stdout
    if stream is None:  # the caller closed it: mcp-coder ... >&-
        raise OutputLost("standard output is closed")
    with _failures_told(stream):
        _write_all(stream, text)


def _write_all(stream: TextIO, text: str) -> None:
    """Write all of it: with ``PYTHONUNBUFFERED`` a text stream drops what a pipe did not take at once."""
    raw = getattr(stream, "buffer", None)
    if raw is None:
        stream.write(text)
    else:
        stream.flush()
        left = memoryview(text.encode(stream.encoding, stream.errors or "strict"))
        while left:
            left = left[raw.write(left) :]
        raw.flush()
    stream.flush()


def write_json(text: str) -> None:
    """Write JSON text to standard output; what its encoding cannot hold is escaped the way JSON does it."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = ascii_json(text)
    write_answer(text)


class AnswerOutput:
    """Standard output for an answer that comes bit by bit: a file that fails nobody in the middle of a turn.

    Where a piece cannot be written, those after it are not tried any more. The turn goes on, is recorded, and only then
    the command fails: as it does when an answer that was waited for cannot be written.
    """

    def __init__(self) -> None:
        self._lost: OutputLost | ReaderGone | None = None

    @property
    def encoding(self) -> str:
        """The encoding of standard output."""
        return getattr(sys.stdout, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Return whether standard output is a terminal."""
        return output_is_terminal()

    def write(self, text: str) -> int:
        """Write a piece at once."""
        self._try(write_answer, text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: each piece was written at once."""

    def write_json(self, text: str) -> None:
        """Write a piece of JSON text at once."""
        self._try(write_json, text)

    def _try(self, write: Callable[[str], None], text: str) -> None:
        if self._lost is None:
            try:
                write(text)
            except (OutputLost, ReaderGone) as lost:
                self._lost = lost

    def check(self) -> None:
        """Raise what became of the pieces.

        Raises:
            ReaderGone, OutputLost: as ``write_answer``.
        """
        if self._lost is not None:
            raise self._lost


@contextlib.contextmanager
def _failures_told(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as exc:
        _turn_to_nowhere(stream)
        raise ReaderGone from exc
    except OSError as exc:
        _turn_to_nowhere(stream)
        raise OutputLost(f"standard output cannot be written: {exc.strerror or exc}") from exc


def close_output() -> None:
    """Let whoever reads standard output see its end, while the command goes on."""
    if sys.stdout is not None:
        _turn_to_nowhere(sys.stdout)


def _turn_to_nowhere(stream: TextIO) -> None:
    """Let the interpreter's own flush at its exit go nowhere, instead of failing once more."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def say(line: str) -> None:
    """Write one line to standard error."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class Forgiving(io.TextIOBase):
    """Standard error for a library that writes there: a terminal that has been closed fails nothing."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.__stderr__.write(text)  # type: ignore[union-attr]  # None is forgiven, too
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.__stderr__.flush()  # type: ignore[union-attr]

    def isatty(self) -> bool:
        """Say that it is a terminal: it is only asked for where it is one."""
        return True


def note(text: str) -> None:
    """Write something that the user should know, and that failed nothing, to standard error."""
    say(f"note: {one_line(text)}")


def is_terminal() -> bool:
    """Return whether a person watches standard error on a terminal that can redraw a line."""
    return _is_terminal(sys.stderr) and can_redraw()


def output_is_terminal() -> bool:
    """Return whether a person watches standard output on a terminal."""
    return _is_terminal(sys.stdout)


def can_redraw() -> bool:
    """Return whether the terminal, if there is one, can move its cursor."""
    return os.environ.get("TERM") not in ("dumb", "", None)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def can_ask() -> bool:
    """Return whether there is a person at a terminal who can answer a question."""
    try:
        return sys.stdin.isatty() and sys.stderr.isatty()
    except (AttributeError, ValueError):  # closed
        return False


def ask(question: str) -> str:
    """Return what a person answers on the terminal, in one line."""
    with contextlib.suppress(OSError):
        sys.stderr.write(question)
        sys.stderr.flush()
    return sys.stdin.readline().strip()
