"""Turns signals into an exception in the main thread, so that every ``finally`` on the way out runs.

SIGTERM, SIGHUP and Ctrl-C come in, ``Stopped`` goes out: the library ends its agents on the way. More signals while
that happens change nothing, or a second Ctrl-C would leave an agent behind. A signal that was ignored when the command
began (``nohup``, a shell's background job) stays ignored.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["Interrupted", "Stopped", "stop_signals", "stopped_by_signals"]

# Longer than it takes to end an agent that ignores what it is asked. After that a signal counts again: an exception
# that was raised in a destructor is lost, and the user must not be.
_UNDISTURBED_SECONDS = 12.0


class Stopped(BaseException):
    """A signal ended the command.

    Attributes:
        number: the signal's number.
        session_id: the session that was in a turn, if known.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.session_id: str | None = None


class Interrupted(Stopped, KeyboardInterrupt):
    """Ctrl-C ended the command."""


def stop_signals() -> tuple[int, ...]:
    """Return the signals by which this system asks a program to stop, without those that are ignored now.

    Windows has no SIGHUP.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise ``Stopped`` in the main thread when one of these signals comes; before and after, all is as it was."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = _Handler()
    before = {number: signal.signal(number, handler) for number in stop_signals()}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


class _Handler:
    """Raises at the first signal, and leaves the way out undisturbed."""

    def __init__(self) -> None:
        self._deaf_until = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        if time.monotonic() < self._deaf_until:
            return
        self._deaf_until = time.monotonic() + _UNDISTURBED_SECONDS
        raise Interrupted(number) if number == signal.SIGINT else Stopped(number)
