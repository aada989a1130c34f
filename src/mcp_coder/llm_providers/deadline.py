"""One time limit, made once and handed down.

A number of seconds comes in; what is left of them comes out. Monotonic: a clock that is set does not move it.
"""

from __future__ import annotations

import math
import time

__all__ = ["Deadline"]


class Deadline:
    """A moment in the future, or never.

    Example::

        deadline = Deadline.after(30)
        while not done() and deadline.left() > 0: ...
    """

    __slots__ = ("_at", "seconds")

    def __init__(self, seconds: float | None, at: float) -> None:
        self.seconds = seconds
        """The limit as it was given, in seconds; None: no limit."""
        self._at = at

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """Return the deadline that many seconds from now; None: one that never comes."""
        return cls(seconds, math.inf if seconds is None else time.monotonic() + seconds)

    def left(self) -> float:
        """Return the seconds that are left; negative once it has passed, infinite without a limit."""
        return self._at - time.monotonic()
