"""The progress line: how long a turn takes and what the agent is doing, on a terminal only, gone when it ends.

Events come in through ``Watch.observe``; on standard error appears one line that is redrawn, and what the user should
know as ``note: ...``. Without a terminal only the notes. ``rich`` is imported only where the line is drawn.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from typing import IO, TYPE_CHECKING, cast

from mcp_coder.cli import console
from mcp_coder.cli.render import activity_after, one_line, progress_line
from mcp_coder.llm_events import Notice, SessionStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.text import Text

    from mcp_coder.llm_events import TurnEvent

__all__ = ["Watch", "note_or_nothing", "warnings_noted", "watched"]


class Watch:
    """What is known of a turn under way, from its events.

    Attributes:
        session_id: the session as the agent calls it, once it has taken the prompt up.
        note: tells the user something that failed nothing.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.session_id: str | None = None
        self.note = note
        self._activity = "starting"
        self._since = time.monotonic()

    def observe(self, event: TurnEvent) -> None:
        """Take an event of the turn."""
        self._activity = activity_after(event, self._activity)
        if isinstance(event, SessionStarted):
            self.session_id = event.session_id
        elif isinstance(event, Notice):
            self.note(event.text)

    def __rich__(self) -> Text:
        """Return the progress line of this moment."""
        from rich.text import Text

        line = progress_line(time.monotonic() - self._since, self._activity)
        return Text(line, style="dim", no_wrap=True, overflow="ellipsis")


@contextlib.contextmanager
def watched(*, quiet: bool, line: bool) -> Iterator[Watch]:
    """Watch a turn.

    Args:
        quiet: say nothing at all.
        line: draw the progress line, if standard error is a terminal.
    """
    if quiet or not line or not console.is_terminal():
        watching: contextlib.AbstractContextManager[Watch] = contextlib.nullcontext(
            Watch(note_or_nothing(quiet=quiet))
        )
    else:
        watching = _drawn()
    with watching as watch, warnings_noted(watch.note):
        yield watch


def note_or_nothing(*, quiet: bool) -> Callable[[str], None]:
    """Return what tells the user something."""
    return _say_nothing if quiet else console.note


def _say_nothing(text: str) -> None:
    del text


@contextlib.contextmanager
def warnings_noted(note: Callable[[str], None]) -> Iterator[None]:
    """Show the warnings of mcp_coder as notes, without the line of code that Python adds."""
    show = warnings.showwarning

    def show_as_note(message: Warning | str, category: type[Warning], *place: object) -> None:
        if category.__module__.startswith("mcp_coder."):
            note(str(message))
        else:
            show(message, category, *place)  # type: ignore[arg-type]  # as we were given them

    warnings.showwarning = show_as_note  # type: ignore[assignment]  # the same, without their names
    try:
        yield
    finally:
        warnings.showwarning = show


@contextlib.contextmanager
def _drawn() -> Iterator[Watch]:
    from mcp_coder.cli.redrawing import SharedTerminal, redrawn

    terminal = SharedTerminal(file=cast("IO[str]", console.Forgiving()))
    watch = Watch(lambda text: _say_above(terminal, text))
    with redrawn(watch, terminal, frames_a_second=5, redirect_stderr=True):
        yield watch


def _say_above(terminal: Console, text: str) -> None:
    from rich.text import Text

    terminal.print(Text(f"note: {one_line(text)}"), soft_wrap=True)
