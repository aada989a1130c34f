"""The progress line: how long a turn takes and what the agent is doing, on a terminal only, gone when it ends.

Events come in through ``Watch.observe``; on standard error appears one line that is redrawn, and what the user should
know as ``note: ...``. Without a terminal only the notes. ``rich`` is imported only where the line is drawn.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from mcp_coder.cli import console
from mcp_coder.cli.render import activity_after, one_line, progress_line
from mcp_coder.llm_events import Notice, SessionStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.text import Text

    from mcp_coder.llm_events import TurnEvent

__all__ = ["Watch", "watched"]


class Watch:
    """What is known of a turn under way, from its events.

    Attributes:
        session_id: the session as the agent calls it, once it has taken the prompt up.
    """

    def __init__(self, say_note: Callable[[str], None] | None) -> None:
        self.session_id: str | None = None
        self._say_note = say_note
        self._activity = "starting"
        self._since = time.monotonic()

    def observe(self, event: TurnEvent) -> None:
        """Take an event of the turn."""
        self._activity = activity_after(event, self._activity)
        if isinstance(event, SessionStarted):
            self.session_id = event.session_id
        elif isinstance(event, Notice) and self._say_note is not None:
            self._say_note(event.text)

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
        yield Watch(None if quiet else console.note)
        return
    with _drawn() as watch:
        yield watch


@contextlib.contextmanager
def _drawn() -> Iterator[Watch]:
    from rich.console import Console
    from rich.live import Live

    terminal = Console(stderr=True)
    watch = Watch(lambda text: _say_above(terminal, text))
    # Redirected output would be kept back and wrapped; standard output is the answer's alone.
    with Live(watch, console=terminal, transient=True, refresh_per_second=5, redirect_stdout=False):
        yield watch


def _say_above(terminal: Console, text: str) -> None:
    from rich.text import Text

    terminal.print(Text(f"note: {one_line(text)}"), soft_wrap=True)
