"""Many sessions over few live agents: who is used again soon keeps its agent, the others are resumed when they are.

An agent takes some 250 MB while it lives, so that their number is bounded: where a session needs one and all places are
taken, the agent that was in no turn for longest is ended; where all are in turns, the session waits.
"""

from __future__ import annotations

import os
import threading
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Unpack

from mcp_coder.llm_errors import InvalidRequestError, SessionError
from mcp_coder.llm_providers.sessions import named_session_id
from mcp_coder.llm_providers.warm import WarmAgent, end_all
from mcp_coder.llm_requests import DEFAULT_METHOD, DEFAULT_TIMEOUT, TurnOptions
from mcp_coder.llm_sessions.defaults import turn_arguments
from mcp_coder.llm_sessions.idle import end_when_idle, look_again
from mcp_coder.llm_sessions.session import Session, SessionSettings, check_idle_seconds, opened
from mcp_coder.llm_sessions.turn import record_turn

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from mcp_coder.llm_events import TurnEvent
    from mcp_coder.llm_requests import TurnRequest
    from mcp_coder.llm_store.base import Store
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["SessionPool"]

DEFAULT_MAX_LIVE = 4
DEFAULT_IDLE_SECONDS = 300.0
_LOOK_SECONDS = 0.05


class SessionPool:
    """Keeps the agents of many sessions, at most ``max_live`` at a time.

    Safe from any thread; close it, or use ``with``. Sessions are opened in it (``open_session``), or it is handed to
    ``ask_llm``, ``prompt_llm`` and ``stream_llm`` (``pool=``), whose agents then stay for the session's next turn.

    Args:
        max_live: the most agents that live at a time.
        idle_seconds: how long an agent is kept in no turn; None: until its place is needed, or ``close``.

    Raises:
        InvalidRequestError: ``max_live`` is no positive whole number, ``idle_seconds`` no number.

    Example::

        with SessionPool(max_live=4) as pool:
            first = prompt_llm("My favorite color is blue", pool=pool)
            prompt_llm("What is my favorite color?", session_id=first["session_id"], pool=pool)
    """

    def __init__(
        self, *, max_live: int = DEFAULT_MAX_LIVE, idle_seconds: float | None = DEFAULT_IDLE_SECONDS
    ) -> None:
        if type(max_live) is not int or max_live < 1:  # True is no number
            raise InvalidRequestError(f"max_live must be a whole number from 1 on, not {max_live!r}")
        check_idle_seconds(idle_seconds)
        self._idle_seconds = idle_seconds
        self._places = _Places(max_live)
        self._agents: weakref.WeakValueDictionary[str, WarmAgent] = weakref.WeakValueDictionary()
        """Those of sessions by their ids; what keeps one alive is its session, or its place."""
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._stops: set[threading.Event] = set()
        self._closed = False

    def open_session(
        self,
        *,
        provider: str = "claude",
        method: str = DEFAULT_METHOD,
        session_id: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        cwd: str | None = None,
        store: Store | str | None = None,
        redact: bool | Sequence[str] = True,
        **options: Unpack[TurnOptions],
    ) -> Session:
        """Open a session whose agent is one of this pool's; arguments and errors as ``mcp_coder.open_session``.

        Its agent is started now where a place is free, else with its first turn.
        """
        self._check_open()
        arguments = turn_arguments(provider, method, session_id, timeout, cwd, options)
        settings = SessionSettings(
            arguments=arguments, store=store, redact=redact, idle_seconds=self._idle_seconds
        )
        return opened(settings, self._agent_for)

    def run(
        self,
        request: TurnRequest,
        *,
        store: Store | str | None = None,
        redact: bool | Sequence[str] = True,
        observe: Callable[[TurnEvent], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> LLMResponseDict:
        """Run a turn as ``record_turn`` does, with an agent of this pool's.

        Raises:
            LLMError: as ``record_turn``; ``SessionBusyError`` too where all agents were in turns for too long.
        """
        self._check_open()
        known = None if request.fork else request.session_id or _named(request)
        new_id = None if known else str(uuid.uuid4())
        agent = self._agent_of(known or str(new_id))
        stopped = threading.Event()
        self._stops.add(stopped)
        try:
            response = record_turn(
                request,
                store=store,
                redact=redact,
                observe=observe,
                stop=lambda: stopped.is_set() or (stop is not None and stop()),
                agents=agent,
                new_id=new_id,
            )
        finally:
            self._stops.discard(stopped)
            if self._closed:  # while this turn was about to begin
                agent.end_resting()
            look_again()
        if response["session_id"] is not None:
            self._agents.setdefault(response["session_id"], agent)  # a busy session may have been forked
        return response

    @property
    def live(self) -> int:
        """How many agents live now."""
        return self._places.taken

    def close(self) -> None:
        """Stop the turns that are under way, end all agents, and close the sessions; their ids go on. Twice is fine."""
        self._closed = True
        sessions = list(self._sessions)
        for stopped in list(self._stops):
            stopped.set()
        for session in sessions:
            session.interrupt()
        holders = self._places.holders()
        end_all(holders)
        for agent in holders:
            agent.end()
        for session in sessions:
            session.close()

    def _agent_for(self, session: Session) -> WarmAgent:
        """Return the agent of a session that is opened, or forked, here."""
        self._check_open()
        self._sessions.add(session)
        return self._agent_of(session.id)

    def _agent_of(self, session_id: str) -> WarmAgent:
        with self._places.changed:
            agent = self._agents.get(session_id)
            if agent is None:
                agent = self._agents[session_id] = WarmAgent(self._places)
                end_when_idle(agent, self._idle_seconds)
            return agent

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("this pool was closed; open another")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _named(request: TurnRequest) -> str | None:
    return None if request.session is None else named_session_id(request.provider, request.session)


class _Places:
    """So many places for living agents; an idle agent makes way for one that is needed."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.changed = threading.Condition()
        self._holders: list[WarmAgent] = []
        """Who has a place; twice who has two agents, since a busy session was forked."""
        _all_places.add(self)

    @property
    def taken(self) -> int:
        return len(self.holders())

    def holders(self) -> list[WarmAgent]:
        """Return who has a place."""
        with self.changed:
            return list(self._holders)

    def take(self, agent: WarmAgent, stop: Callable[[], bool] | None) -> bool:
        """Take a place; see ``Places.take``. Without waiting, nobody is made to go either."""
        while not self._take_free(agent):
            if stop is None:
                return False
            if not self._make_way() and not self._wait(stop):
                return False
        return True

    def _take_free(self, agent: WarmAgent) -> bool:
        with self.changed:
            if len(self._holders) >= self._count:
                return False
            self._holders.append(agent)
            return True

    def _make_way(self) -> bool:
        """End the agent that rests for longest; return whether there was one."""
        resting = sorted((each for each in self.holders() if each.rests), key=lambda each: each.used_at)
        return any(each.end_resting() for each in resting)

    def _wait(self, stop: Callable[[], bool]) -> bool:
        if stop():
            return False
        with self.changed:
            self.changed.wait(_LOOK_SECONDS)
        return True

    def give_back(self, agent: WarmAgent) -> None:
        """Give a place back."""
        with self.changed:
            if agent in self._holders:
                self._holders.remove(agent)
            self.changed.notify_all()

    def begin_anew(self) -> None:
        """Forget, in a forked child, the agents of its parent, and a lock that another thread may have held."""
        self.changed, self._holders = threading.Condition(), []


_all_places: weakref.WeakSet[_Places] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for places in list(_all_places):
        places.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
