"""Waiting until a program prints something or exits, where what it prints goes to a file.

A file cannot be waited for as a pipe can. On Linux the kernel is asked to tell of writes (inotify) and of the exit (a
pidfd), and ``wake`` ends a wait from outside; elsewhere, and where the kernel has no more of these to give, the wait is
a poll. Both may return with nothing to show for it: whoever waits looks for himself, and waits again.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
import weakref
from typing import Protocol

from mcp_coder.llm_providers.kernel_calls import checked, libc

__all__ = ["OutputWatch", "Polled", "watch_output"]

_LONGEST_SECONDS = 0.1
"""The longest that the kernel is believed to have nothing to tell: not every file system tells of every write."""
_SHORTEST_POLL, _LONGEST_POLL, _POLLED_SHARE = 0.001, 0.02, 0.15


class OutputWatch(Protocol):
    """One program's output file and exit. May be used from any thread, and by several at a time."""

    def wait(self, seconds: float, *, waited: float = 0.0, writable: int | None = None) -> bool:
        """Wait until something may have happened, at most so long; perhaps not at all. Return whether it was woken.

        Args:
            seconds: how long at most.
            waited: how long was waited for the same thing already.
            writable: a descriptor that more can be written to then; None: nothing is left to be written.
        """

    def wait_for_exit(self, seconds: float, *, waited: float = 0.0) -> None:
        """Wait until it may have exited, as ``wait``; whatever it prints meanwhile."""

    def leave_output(self) -> None:
        """Say that its output need not be waited for any more."""

    def wake(self) -> None:
        """End the wait of one who waits now, or of the next. Also from a signal handler."""

    def close(self) -> None:
        """Let go of it; nobody may wait any more. Twice is fine."""

    def leave_to_parent(self) -> None:
        """Let go of it in a forked child, of whose parent's threads one may have been using it just then."""


def watch_output(path: str, pid: int) -> OutputWatch:
    """Return the watch of a program that was started and not waited for, and of the file that it prints to."""
    if sys.platform == "linux":
        # The last two: a Python that was built without these calls, or without ctypes.
        with contextlib.suppress(OSError, AttributeError, ImportError):
            return _Told(path, pid)
    return Polled()


class Polled:
    """Looks again and again: each time a little later, so that what it finds is not old beside what it waited."""

    def __init__(self) -> None:
        self._woken = False

    def wait(self, seconds: float, *, waited: float = 0.0, writable: int | None = None) -> bool:  # noqa: ARG002  # it looks for all
        """Sleep a little."""
        self.wait_for_exit(seconds, waited=waited)
        woken, self._woken = self._woken, False
        return woken

    def wait_for_exit(self, seconds: float, *, waited: float = 0.0) -> None:
        """Sleep a little."""
        pause = min(max(waited * _POLLED_SHARE, _SHORTEST_POLL), _LONGEST_POLL)
        time.sleep(min(pause, max(seconds, 0.0)))

    def leave_output(self) -> None:
        """Do nothing: it holds nothing."""

    def wake(self) -> None:
        """Note it: whoever sleeps looks soon."""
        self._woken = True

    def close(self) -> None:
        """Do nothing: it holds nothing."""

    def leave_to_parent(self) -> None:
        """Do nothing: it holds nothing."""


class _Told:
    """Is told by the kernel. Raises OSError where the kernel has no such thing, or no more of them."""

    def __init__(self, path: str, pid: int) -> None:
        with contextlib.ExitStack() as undo:
            self._exit = os.pidfd_open(pid)
            undo.callback(os.close, self._exit)
            self._wakes = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            undo.callback(os.close, self._wakes)
            self._writes, self._watched = _inotify(path)
            undo.callback(os.close, self._writes)
            # Also for one that nobody closes, on whatever path: there are few of these to be had.
            self._give_back = weakref.finalize(self, undo.pop_all().close)
            self._give_back.atexit = False
        # Reentrant: a signal handler may wake in the middle of a close.
        self._closing, self._closed = threading.RLock(), False

    def wait(self, seconds: float, *, waited: float = 0.0, writable: int | None = None) -> bool:  # noqa: ARG002  # it is told
        """Wait for the kernel's word."""
        told = _poll({self._exit, self._wakes, self._writes}, seconds, writable)
        for descriptor in told & {self._wakes, self._writes}:
            with contextlib.suppress(BlockingIOError):  # another thread was faster
                os.read(descriptor, 4096)
        return self._wakes in told

    def wait_for_exit(self, seconds: float, *, waited: float = 0.0) -> None:  # noqa: ARG002  # it is told
        """Wait for the kernel's word."""
        _poll({self._exit}, seconds)

    def leave_output(self) -> None:
        """Take the watch back ahead of ``close``, which would have to wait for the kernel until it is gone."""
        with self._closing, contextlib.suppress(OSError):
            if not self._closed:
                checked(libc().inotify_rm_watch(self._writes, self._watched))

    def wake(self) -> None:
        """Say so in a descriptor that is waited for, too; not once it is given back, and may be somebody else's."""
        with self._closing:
            if not self._closed:
                os.eventfd_write(self._wakes, 1)

    def close(self) -> None:
        """Give the descriptors back."""
        with self._closing:
            self._closed = True
            self._give_back()

    def leave_to_parent(self) -> None:
        """Give this process's copies of the descriptors back; the watch itself is the parent's."""
        self._closing = threading.RLock()
        self.close()


def _poll(readable: set[int], seconds: float, writable: int | None = None) -> set[int]:
    waiting = select.poll()  # one for each wait: several threads may wait
    for descriptor in readable:
        waiting.register(descriptor, select.POLLIN)
    if writable is not None:
        waiting.register(writable, select.POLLOUT)
    milliseconds = min(max(seconds, 0.0), _LONGEST_SECONDS) * 1000
    return {descriptor for descriptor, _ in waiting.poll(milliseconds)}


_IN_MODIFY = 0x2


def _inotify(path: str) -> tuple[int, int]:
    """Return a descriptor that can be read from once this file was written to, and the number of the watch in it.

    By hand, not by a library: those there are look the C library up by starting ``ldconfig``, a process for each of
    ours, or gather events for tenths of a second.
    """
    descriptor = checked(libc().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    try:
        watched = checked(libc().inotify_add_watch(descriptor, os.fsencode(path), _IN_MODIFY))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, watched
