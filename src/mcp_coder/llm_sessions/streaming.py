"""A turn's events as they come, for whoever iterates over them while the turn runs in a thread of its own.

A function that runs the turn comes in; its events come out in order, the last ``TurnFinished``, or the turn's error is
raised. A slow consumer loses nothing and holds nobody up: what it has not taken yet waits here, not in the agent. One
that leaves early stops the turn, and nothing of it is left running.
"""

from __future__ import annotations

import atexit
import contextvars
import queue
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from mcp_coder.llm_events import TurnEvent, TurnFinished

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["RunTurn", "StreamEnd", "TurnStream", "run_to_end"]

RunTurn: TypeAlias = "Callable[[Callable[[TurnEvent], None], Callable[[], bool]], LLMResponseDict]"
"""Runs a turn: is handed an observer of its events, and what is asked whether it is to stop."""


class TurnStream:
    """The events of one turn that is under way: iterate over it, once.

    Attributes:
        response: the whole answer, once ``TurnFinished`` was taken; None before.

    Raises:
        LLMError: while iterating, the turn's error, behind the events that came before it.

    Example::

        with stream_llm("Tell me a story", timeout=300) as events:
            for event in events:
                if isinstance(event, TextDelta):
                    print(event.text, end="", flush=True)
        print(events.response["session_id"])
    """

    def __init__(self, run: RunTurn) -> None:
        self.response: LLMResponseDict | None = None
        self._events: queue.SimpleQueue[TurnEvent | StreamEnd] = queue.SimpleQueue()
        self._left = threading.Event()
        self._over = False
        # The thread must not hold this object: whoever drops it without a word has left, too.
        context = contextvars.copy_context()
        arguments = (run_to_end, run, self._events.put, self._left.is_set)
        self._thread = threading.Thread(
            target=context.run, args=arguments, name="mcp_coder-stream", daemon=True
        )
        self._thread.start()
        _open.add(self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> TurnEvent:
        if self._over:
            raise StopIteration
        event = self._events.get()
        if isinstance(event, StreamEnd):
            self._end()
            if event.error is not None:
                raise event.error
            raise StopIteration
        if isinstance(event, TurnFinished):
            self.response = event.response
        return event

    def close(self) -> None:
        """Stop the turn if it is still under way, and return when nothing of it is left. Twice does no harm."""
        self._left.set()
        self._end()

    def _end(self) -> None:
        self._over = True
        if self._thread is not threading.current_thread():  # which may collect garbage, too
            self._thread.join()
        _open.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Left without a word: `for event in session.stream(...): break`.
        if not getattr(self, "_over", True) and not sys.is_finalizing():
            self.close()


class StreamEnd:
    """Behind the last event: the error that the turn ended with, if it did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def run_to_end(run: RunTurn, tell: Callable[[TurnEvent | StreamEnd], None], stop: Callable[[], bool]) -> None:
    """Run a turn and tell its events, and behind them how it ended; it raises nothing."""
    try:
        run(tell, stop)
    except BaseException as error:  # noqa: BLE001  # raised where the events are taken
        tell(StreamEnd(error))
    else:
        tell(StreamEnd(None))


_open: weakref.WeakSet[TurnStream] = weakref.WeakSet()


@atexit.register
def _close_at_exit() -> None:
    """Stop what nobody listens to any more, before the interpreter goes."""
    for stream in list(_open):
        stream.close()
