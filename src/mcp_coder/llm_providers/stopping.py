"""Stopping turns from outside: all of this process at once, and those of worker threads at Ctrl-C.

Nothing is installed: no signal handler is touched. A turn that runs asks here whether it is to stop.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time

from mcp_coder.llm_providers.process import live_processes

__all__ = ["ctrl_c_under_way", "stop_all", "stops"]

_NOTICE_SECONDS = 0.5
"""How long ``stop_all`` gives the turns' own threads to begin the ladder, which they then climb side by side."""

_RESTING_SECONDS = 2.0
"""How long an agent in which no turn is under way is given to exit by itself."""

_stops = 0


def stop_all() -> None:
    """End every agent that this process runs, with all that they started; their turns raise ``InterruptedTurnError``.

    For services that are told to stop; may be called from a signal handler. Returns when all are gone, within about
    6 seconds.

    Example::

        signal.signal(signal.SIGTERM, lambda *_: (mcp_coder.stop_all(), sys.exit(143)))
    """
    global _stops
    _stops += 1
    for process in live_processes():
        process.interrupt()
        if process.resting:
            process.close_input()  # it exits by itself
    until = time.monotonic() + _NOTICE_SECONDS
    while time.monotonic() < until and not all(process.ending for process in live_processes()):
        time.sleep(0.01)
    for process in live_processes():
        # Its thread does not look any more, or is this very one; where it does, this waits for it.
        process.end(over=process.resting, grace=_RESTING_SECONDS)


def stops() -> int:
    """Return how often ``stop_all`` was called: a turn that began before the last one is to stop, wherever it is."""
    return _stops


@atexit.register
def _stop_at_exit() -> None:
    """End what daemon threads left running when the interpreter goes."""
    if live_processes():
        stop_all()


def ctrl_c_under_way() -> bool:
    """Return whether the main thread is on its way out after Ctrl-C, asked from another thread.

    Python gives KeyboardInterrupt to the main thread alone, which then joins its worker threads (``with
    ThreadPoolExecutor()``, the interpreter's own exit): each would sit out its agent's turn. So a worker looks at what
    the main thread is handling, or what ended it. A turn that a worker begins while the main thread is still in its
    ``except KeyboardInterrupt`` is therefore stopped, too.
    """
    main = threading.main_thread()
    if threading.current_thread() is main:
        return False
    handled = sys._current_exceptions().get(main.ident or 0)
    error = handled[1] if isinstance(handled, tuple) else handled  # a tuple before Python 3.12
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    # What ended the main thread; at an interactive prompt it only ended the last command.
    return isinstance(getattr(sys, "last_value", None), KeyboardInterrupt) and not hasattr(sys, "ps1")
