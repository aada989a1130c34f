"""What is redrawn at the bottom of a terminal, while what stays is printed above it: one at a time.

``rich`` redraws from a thread of its own, and works out how far up the cursor goes before it writes. What another
thread prints in between moves what it is about to take back: lines then stand there twice, or are gone. Here whoever
draws has the terminal alone, from working it out to having written it.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from rich.console import RenderableType

__all__ = ["SharedTerminal", "redrawn"]

_LAST_FRAME_SECONDS = 1.0


class SharedTerminal(Console):
    """A terminal that one thread at a time draws on: ``rich`` enters its console for all that it writes."""

    def __init__(self, **options: Any) -> None:
        self._drawing = threading.RLock()
        super().__init__(**options)

    def __enter__(self) -> Self:
        self._drawing.acquire()
        try:
            super().__enter__()
        except BaseException:
            self._drawing.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._drawing.release()


@contextlib.contextmanager
def redrawn(
    content: RenderableType, terminal: SharedTerminal, *, frames_a_second: float, redirect_stderr: bool
) -> Iterator[None]:
    """Draw something again and again below all that is printed on a terminal; at the end nothing of it stands there.

    Args:
        content: it.
        terminal: where.
        frames_a_second: how often.
        redirect_stderr: print above it what is written to standard error meanwhile.
    """
    # Not redrawn by itself: that thread would take its lock before the terminal's, and those who print the other way
    # round. Standard output is the answer's alone: redirected, it would be kept back and wrapped.
    live = Live(
        content,
        console=terminal,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=redirect_stderr,
    )
    ended = threading.Event()

    def redraw() -> None:
        while not ended.wait(1 / frames_a_second):
            with terminal:
                live.refresh()

    thread = threading.Thread(target=redraw, name="mcp_coder-redraws", daemon=True)
    try:
        with terminal:
            live.start(refresh=True)
        thread.start()
        yield
    finally:
        ended.set()
        if thread.is_alive():
            thread.join(_LAST_FRAME_SECONDS)
        with terminal:
            live.stop()
