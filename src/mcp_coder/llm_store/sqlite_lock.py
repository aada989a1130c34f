"""Who writes next: one writer at a time to a file, among the threads of this process and among processes.

SQLite excludes writers by itself, but lets those who wait sleep for up to 100 ms at a time: with eight writers the
last one waits for more than a second. Here each looks again after a millisecond, the more often the longer it has
waited, and who has just written among others lets them go first. It is a courtesy, never needed to be right: after
``WAIT_SECONDS``, or where no lock file can be had, the caller goes on and SQLite's own locks decide.

``fcntl`` itself, not ``filelock``: that takes 60 ms to import and 130 µs a time, more than a whole write. The lock
is the kernel's and goes with its holder. The lock file is never removed: that would split those who wait.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from mcp_coder.llm_store.fair_lock import FairLock

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows: SQLite's own locks decide
    fcntl = None  # type: ignore[assignment]

__all__ = ["WAIT_SECONDS", "WriteLock", "poll_after"]

WAIT_SECONDS = 30.0
_POLLS = ((0.005, 0.001), (0.015, 0.0005), (0.03, 0.0002), (1.0, 0.00005))
"""Seconds waited, and how long to sleep before looking again until then. Who waits longest is thereby served first: the
longest wait is then some twenty times a writer's own time, where all looking alike makes it hundreds."""
_POLL_AFTER_ALL = 0.005
_COURTESY = 0.3
"""Who had to wait, and so is not alone, pauses for this part of its own time before it writes again."""
_LONGEST_COURTESY = 0.002


class WriteLock:
    """The turn to write to one file.

    After a ``fork()`` the child calls ``forget``: what it inherited is the parent's.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None
        self._pause = 0.0
        self.thread_lock = FairLock()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the turn, for ``WAIT_SECONDS`` at most, and have it for the block."""
        until = time.monotonic() + WAIT_SECONDS
        thread_lock = self.thread_lock
        if not thread_lock.acquire(timeout=WAIT_SECONDS):
            yield
            return
        try:
            taken, waited = self._take(until)
            began = time.monotonic()
            try:
                yield
            finally:
                if taken:
                    self._give_back()
                own = time.monotonic() - began
                self._pause = min(own * _COURTESY, _LONGEST_COURTESY) if waited else 0.0
        finally:
            thread_lock.release()

    def _take(self, until: float) -> tuple[bool, bool]:
        """Return whether the lock was taken, and whether that needed waiting."""
        if self._pause:
            time.sleep(self._pause)
        began = now = time.monotonic()
        while (taken := self._try()) is False and now < until:
            time.sleep(poll_after(now - began))
            now = time.monotonic()
        return bool(taken), now > began

    def _try(self) -> bool | None:
        """Return whether the lock could be taken; None where there is none to be had."""
        try:
            if self._file is None:
                self._file = _opened(self._path)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except (
            OSError,
            AttributeError,
        ):  # a read-only or full disk, a file system or a system without such locks
            return None
        return True

    def _give_back(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file, when it is nobody's turn any more. The next use opens it again."""
        if self.thread_lock.acquire(timeout=WAIT_SECONDS):
            self._close_file()
            self.thread_lock.release()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)

    def __del__(self) -> None:
        self._close_file()

    def forget(self) -> None:
        """Begin anew in a forked child. Closing what it shares with the parent leaves the parent's lock alone."""
        self.thread_lock = FairLock()
        self._close_file()


def poll_after(waited: float) -> float:
    """Return how long to sleep before looking again, after so many seconds."""
    return next((poll for until, poll in _POLLS if waited < until), _POLL_AFTER_ALL)


def _opened(path: str) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    with contextlib.suppress(OSError):
        os.fchmod(file, 0o600)  # an odd umask takes bits away from the owner as well
    return file
