"""A session that is kept warm: one agent, started ahead of the first prompt and kept from turn to turn.

Each turn is the whole turn of ``record_turn``, with an agent from ``WarmAgent`` instead of one of its own. The lease
of the session is held for a turn only: in between other processes may go on in it, which is noticed, and the agent
started anew. So is one that died, or was idle for too long; but for the time nobody is told.
"""

from __future__ import annotations

import dataclasses
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from mcp_coder.llm_errors import InvalidRequestError, LLMError, SessionError
from mcp_coder.llm_providers import provider_named
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_providers.run import prepared
from mcp_coder.llm_providers.sessions import fork_ahead, named_session_id
from mcp_coder.llm_providers.warm import WarmAgent
from mcp_coder.llm_requests import DEFAULT_METHOD, DEFAULT_TIMEOUT, TurnOptions, new_request
from mcp_coder.llm_sessions.defaults import turn_arguments
from mcp_coder.llm_sessions.forking import record_fork
from mcp_coder.llm_sessions.idle import end_when_idle, look_again
from mcp_coder.llm_sessions.stores import chosen_store
from mcp_coder.llm_sessions.streaming import TurnStream
from mcp_coder.llm_sessions.turn import record_turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from mcp_coder.llm_events import TurnEvent
    from mcp_coder.llm_providers.base import Agent, Provider
    from mcp_coder.llm_requests import TurnRequest
    from mcp_coder.llm_store.base import Store, TurnRecord, UsageRow
    from mcp_coder.llm_types import LLMResponseDict

__all__ = [
    "DEFAULT_IDLE_SECONDS",
    "OneTurn",
    "Session",
    "SessionSettings",
    "check_idle_seconds",
    "open_session",
    "opened",
]

DEFAULT_IDLE_SECONDS = 600.0


class OneTurn(TurnOptions, total=False):
    """What one turn of a session may have for itself."""

    timeout: float | None
    """Seconds for the turn; None: no limit."""
    cwd: str | None
    """The directory that it runs in; None: the session's own."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SessionSettings:
    """What all turns of a session have in common.

    Attributes:
        arguments: the arguments of ``new_request`` but the question and the session.
        store, redact: as ``record_turn``.
        idle_seconds: how long its agent is kept in no turn; None: for as long as the session is open.
    """

    arguments: Mapping[str, object]
    store: Store | str | None = None
    redact: bool | Sequence[str] = True
    idle_seconds: float | None = DEFAULT_IDLE_SECONDS


class Session:
    """An open session of an agent.

    Make it with ``open_session`` or ``SessionPool.open_session``; close it, or use ``with``. Safe from any thread:
    turns of one session run one after another.

    Attributes:
        id: the session's first id, known before the first turn. A turn that found the session busy and forked it
            (``on_busy="fork"``) leads this object on in the fork: then it is the fork's.

    Example::

        with open_session(timeout=300) as session:
            session.prompt("My favorite color is blue")
            print(session.prompt("What is my favorite color?")["text"])
    """

    def __init__(
        self,
        settings: SessionSettings,
        *,
        session_id: str | None = None,
        name: str | None = None,
        fork_of: str | None = None,
        warm_agent: Callable[[Session], WarmAgent] | None = None,
    ) -> None:
        self._closed = False
        self._settings, self._name, self._fork_of = settings, name, fork_of
        named = None if name is None else named_session_id(str(settings.arguments["provider"]), name)
        self.id = session_id or named or str(uuid.uuid4())
        self._known = session_id is not None
        """Whether the session exists, so that a turn goes on with it."""
        self._warm_agent = warm_agent or _own_agent
        self._warm = self._warm_agent(self)
        self._stops: set[threading.Event] = set()
        end_when_idle(self._warm, settings.idle_seconds)

    # --- turns

    def prompt(self, question: str, **options: Unpack[OneTurn]) -> LLMResponseDict:
        """Send a prompt and return everything that was answered.

        Args:
            question: the prompt.
            options: what is to hold for this turn instead of what holds for the session: ``timeout``, ``on_busy``,
                ``after_failure``, ... For one that the agent's program takes (``model``, ...) it is started anew.

        Raises:
            LLMError: as ``prompt_llm``; afterwards the session can be gone on with.
            SessionError: it was closed.
        """
        return self.run(self.request_for(question, options))

    def stream(self, question: str, **options: Unpack[OneTurn]) -> TurnStream:
        """Send a prompt and return the turn's events as they come; arguments and errors as ``prompt``.

        Leaving the loop early stops the turn; the session can be gone on with.

        Example::

            for event in session.stream("Tell me a story"):
                if isinstance(event, TextDelta):
                    print(event.text, end="", flush=True)
        """
        request = self.request_for(question, options)
        return TurnStream(lambda observe, stop: self.run(request, observe=observe, stop=stop))

    def request_for(self, question: str, options: Mapping[str, object]) -> TurnRequest:
        """Return the checked request of a turn in this session; ``run`` runs it.

        Raises:
            InvalidRequestError: an argument is wrong.
            SessionError: the session was closed.
        """
        self._check_open()
        for name in (*_WAYS_IN, "provider", "method"):
            if name in options:
                raise InvalidRequestError(f"{name} is said when a session is opened, not for one turn")
        return new_request(question, **{**self._settings.arguments, **options, **self._way_in()})

    def _way_in(self) -> dict[str, object]:
        if self._fork_of is not None and not self._known:
            return {"session_id": self._fork_of, "fork": True}
        if self._name is not None:
            return {"session": self._name}
        return {"session_id": self.id} if self._known else {}

    def run(
        self,
        request: TurnRequest,
        *,
        observe: Callable[[TurnEvent], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> LLMResponseDict:
        """Run a turn that ``request_for`` made; ``observe`` and ``stop`` as ``record_turn``."""
        asked = self.id if request.fork else request.session_id or self.id
        stopped = threading.Event()
        self._stops.add(stopped)
        try:
            response = record_turn(
                request,
                store=self._settings.store,
                redact=self._settings.redact,
                observe=observe,
                stop=lambda: stopped.is_set() or (stop is not None and stop()),
                agents=self._warm,
                new_id=None if self._known or self._name else self.id,
            )
        except LLMError as error:
            self._known = self._known or (error.turn_id is not None and error.session_id == self.id)
            raise
        finally:
            self._stops.discard(stopped)
            if self._closed:  # while this turn was about to begin
                self._warm.end_resting()
            look_again()
        self._follow(asked, response)
        return response

    def _follow(self, asked: str, response: LLMResponseDict) -> None:
        """Go on in the session in which the turn was: a busy one may have been forked.

        ``asked`` is the one that was meant: a turn that was under way then does not lead back.
        """
        self._known = True
        if response["session_id"] not in (None, asked):
            self.id, self._name = str(response["session_id"]), None

    def interrupt(self) -> bool:
        """Stop the turn that is under way, from another thread; return whether there was one.

        It raises ``InterruptedTurnError`` where it was waited for, what it cost is recorded, and the session can be
        gone on with: its prompt is kept in the history, or dropped with ``after_failure="drop"``.
        """
        under_way = list(self._stops)
        for each in under_way:
            each.set()
        return bool(under_way)

    # --- beside turns

    def fork(self) -> Session:
        """Return a new session, open as this one is, that shares the past up to the last finished turn.

        The fork begins where this session stands now, whatever is prompted here before its first turn.

        Raises:
            SessionError: no finished turn is known that it could begin at.
        """
        self._check_open()
        if not self._known and self._name is None:
            raise SessionError("nothing was asked in this session yet: nothing to fork", session_id=self.id)
        fork_id = str(uuid.uuid4())
        # Its card says where it begins; where there is no such point, its first turn must fork.
        settled = self._fork_now(fork_id)
        fork = Session(
            self._settings,
            session_id=fork_id if settled else None,
            fork_of=None if settled else self.id,
            warm_agent=self._warm_agent,
        )
        fork.start_ahead()
        return fork

    def _fork_now(self, fork_id: str) -> bool:
        """Let the fork begin at the last finished turn of now; return whether that is known."""
        provider, request, agent = self._prepared({"session_id": self.id, "fork": True})
        deadline = Deadline.after(request.timeout)
        point = fork_ahead(provider, request, agent, deadline, new_id=fork_id)
        if point is not None:
            with chosen_store(self._settings.store) as recording:
                record_fork(recording, self.id, fork_id, point)
        return point is not None

    def _prepared(self, way_in: Mapping[str, object]) -> tuple[Provider, TurnRequest, Agent]:
        request = new_request("-", **{**self._settings.arguments, **way_in})
        provider = provider_named(request.provider)
        request = prepared(provider, request)
        return provider, request, provider.locate(request, Deadline.after(request.timeout))

    def start_ahead(self) -> None:
        """Start the agent now, before it is needed, unless it is up: the first turn then does not wait for its start.

        Raises:
            AgentNotFoundError: it cannot be started.
        """
        provider, request, agent = self._prepared(self._way_in())
        self._warm.start_ahead(provider, request, agent, new_id=self.id)
        look_again()

    def turns(self) -> Iterator[TurnRecord]:
        """Return the session's recorded turns in their order, whoever ran them; none where nothing is recorded.

        Raises:
            StoreError: the store cannot be used.
        """
        with chosen_store(self._settings.store) as recording:
            if recording.store is not None:
                yield from recording.store.turns(self.id)

    def usage(self) -> UsageRow:
        """Return what the session's recorded turns used, summed; unknown dollars are counted, never guessed.

        Raises:
            StoreError: the store cannot be used.
        """
        from mcp_coder.llm_sessions.ledger import usage_of_session

        with chosen_store(self._settings.store) as recording:
            return usage_of_session(recording.store, self.id)

    # --- its end

    def close(self) -> None:
        """Stop a turn that is under way, and end the agent; the session's id goes on with it. Twice is fine."""
        self._closed = True
        self.interrupt()
        self._warm.end()

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError(
                "this session was closed; open_session(session_id=...) goes on with it", session_id=self.id
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        warm = getattr(self, "_warm", None)
        # A pool's agent is the pool's: others may go on in it.
        if warm is not None and not self._closed and warm.rests and self._warm_agent is _own_agent:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            # Not here: whoever collects garbage must not wait for an agent.
            threading.Thread(target=warm.end_resting, name="mcp_coder-close", daemon=True).start()

    def __repr__(self) -> str:
        return f"<Session {self.id}{' closed' if self._closed else ''}>"


_WAYS_IN = ("session_id", "session", "fork")


def _own_agent(_session: Session) -> WarmAgent:
    return WarmAgent()


def open_session(
    *,
    provider: str = "claude",
    method: str = DEFAULT_METHOD,
    session_id: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    cwd: str | None = None,
    store: Store | str | None = None,
    redact: bool | Sequence[str] = True,
    idle_seconds: float | None = DEFAULT_IDLE_SECONDS,
    **options: Unpack[TurnOptions],
) -> Session:
    """Open a session whose agent is started now and kept from turn to turn.

    The first prompt does not wait for the agent's start as far as you do other things meanwhile; the others do not at
    all: a turn takes hundredths of a second more than the model, instead of a second. The agent takes some
    250 MB while it lives.

    Args:
        provider: which agent: ``"claude"``.
        method: ``"cli"`` (its program) or ``"api"`` (its Python SDK).
        session_id: the session to go on with; None begins a new one. ``session`` among the options names one.
        timeout: seconds for each turn, unless that says otherwise; None: no limit.
        cwd: the directory to run in; None: the session's own, for a new one the current.
        store, redact: as ``ask_llm``.
        idle_seconds: how long the agent is kept in no turn (the next one then starts it anew); None: until ``close``.
        options: ``model``, ``system_prompt``, ``session`` (a name), ... see ``TurnRequest``. ``fork=True`` opens a new
            session with the past of that one.

    Raises:
        InvalidRequestError: an argument is wrong; nothing was started.
        AgentNotFoundError: the agent cannot be started.

    Example::

        with open_session(method="api", timeout=300) as session:
            first = session.prompt("My favorite color is blue")
            for event in session.stream("What is my favorite color?"):
                ...
    """
    arguments = turn_arguments(provider, method, session_id, timeout, cwd, options)
    settings = SessionSettings(arguments=arguments, store=store, redact=redact, idle_seconds=idle_seconds)
    return opened(settings)


def opened(settings: SessionSettings, warm_agent: Callable[[Session], WarmAgent] | None = None) -> Session:
    """Open the session that the settings' arguments name, or a new one, or a fork of it, and start its agent."""
    check_idle_seconds(settings.idle_seconds)
    request = new_request("-", **settings.arguments)
    common = {name: value for name, value in settings.arguments.items() if name not in _WAYS_IN}
    session = Session(
        dataclasses.replace(settings, arguments=common),
        session_id=request.session_id,
        name=request.session,
        warm_agent=warm_agent,
    )
    if request.fork:
        return session.fork()
    session.start_ahead()
    return session


def check_idle_seconds(seconds: float | None) -> None:
    """Refuse what is no number of seconds.

    Raises:
        InvalidRequestError: it says what it must be.
    """
    if seconds is not None and (type(seconds) not in (int, float) or seconds < 0):  # True is no number
        raise InvalidRequestError(f"idle_seconds must be a number of seconds or None, not {seconds!r}")
