"""A lock that threads get in the order in which they asked for it.

``threading.Lock`` goes to whoever happens to run when it is free: mostly to the one that has just given it back, while
others wait for hundreds of its turns. Here it is handed on. It does no I/O; to wait is all it does.
"""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["FairLock"]


class FairLock:
    """A lock for threads of one process, as ``threading.Lock`` is.

    Example:
        >>> lock = FairLock()
        >>> lock.acquire(timeout=1), lock.acquire(timeout=0)
        (True, False)
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, *, timeout: float) -> bool:
        """Take the lock; return False where it was not free within so many seconds."""
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            if turn.acquire(timeout=timeout):
                return True
        except BaseException:  # Ctrl-C while it waits: nobody must hand it the lock any more
            if not self._withdrawn(turn):
                self.release()
            raise
        return not self._withdrawn(turn)

    def _withdrawn(self, turn: threading.Lock) -> bool:
        """Take a place out of the line; return False where it was handed the lock meanwhile."""
        with self._mutex:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True

    def release(self) -> None:
        """Hand the lock to the thread that has waited longest, if there is one."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False
