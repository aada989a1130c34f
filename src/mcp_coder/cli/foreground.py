"""Runs a command in the foreground, as a shell would: on our terminal, with our signals, its exit code passed on.

An argument list and an environment come in, an exit code goes out. Nothing is captured. What is POSIX-only says so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

__all__ = ["CANNOT_EXECUTE", "NOT_FOUND", "run_in_foreground"]

CANNOT_EXECUTE = 126
"""What shells exit with for a command that is there and cannot be run."""
NOT_FOUND = 127
"""What shells exit with for a command that is not there."""

_FORWARDED = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_BY_KEY = ("SIGINT", "SIGQUIT")


def run_in_foreground(command: Sequence[str], env: Mapping[str, str], cwd: str | None = None) -> int:
    """Run ``command``, in ``cwd`` or here, and return its exit code; for a signal 128 and its number.

    Raises:
        OSError: it could not be started.
    """
    with _signals_forwarded() as relay:
        relay.child = subprocess.Popen(command, env=dict(env), cwd=cwd)
        relay.catch_up()
        code = relay.child.wait()
    return code if code >= 0 else 128 - code


class _Relay:
    """Hands signals on to the command; those that came before it was there, as soon as it is."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.child is None:
            self._early.append(number)
        elif not _came_by_key(number):
            self.child.send_signal(number)

    def catch_up(self) -> None:
        """Hand on what came early."""
        for number in self._early:
            self(number, None)


def _came_by_key(number: int) -> bool:
    """Return whether a terminal sent the signal, and so to the command as well, which is in our process group."""
    if signal.Signals(number).name not in _BY_KEY or not hasattr(os, "tcgetpgrp"):  # POSIX
        return False
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno()) == os.getpgrp() if sys.__stdin__ else False
    except (OSError, ValueError):  # no terminal
        return False


@contextlib.contextmanager
def _signals_forwarded() -> Iterator[_Relay]:
    relay = _Relay()
    numbers = [getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)]
    wanted = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, relay) for number in wanted}
    try:
        yield relay
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
