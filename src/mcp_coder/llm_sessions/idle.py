"""Agents that were in no turn for a while are ended: one thread looks after all of them in this process.

It runs only while there is something to look after, and holds nothing alive.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_coder.llm_providers.warm import WarmAgent

__all__ = ["end_when_idle", "look_again"]

_watched: weakref.WeakKeyDictionary[WarmAgent, float] = weakref.WeakKeyDictionary()
_news = threading.Condition()
_thread: threading.Thread | None = None


def _begin_anew() -> None:
    """Forget, after ``fork()``, a thread and a lock that stayed with our parent."""
    global _news, _thread
    _news, _thread = threading.Condition(), None
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def end_when_idle(agent: WarmAgent, seconds: float | None) -> None:
    """End what rests in ``agent`` whenever it was in no turn for so many seconds; None: never."""
    if seconds is not None:
        with _news:
            _watched[agent] = seconds
        look_again()


def look_again() -> None:
    """Say that an agent may have come to rest: there is something to look after."""
    global _thread
    with _news:
        if _watched and (_thread is None or not _thread.is_alive()):
            _thread = threading.Thread(target=_look_after, name="mcp_coder-idle", daemon=True)
            _thread.start()
        _news.notify_all()


def _look_after() -> None:
    global _thread
    while True:
        with _news:
            soonest = min(_seconds_left().values(), default=None)
            if soonest is None:
                _thread = None
                return
            _news.wait(max(soonest, 0.0))
        _end_due()


def _end_due() -> None:
    with _news:
        due = [agent for agent, seconds in _seconds_left().items() if seconds <= 0]
    for agent in due:
        agent.end_resting()


def _seconds_left() -> dict[WarmAgent, float]:
    """Return for each agent that rests after how many seconds it is to be ended."""
    now = time.monotonic()
    return {agent: agent.used_at + seconds - now for agent, seconds in list(_watched.items()) if agent.rests}
