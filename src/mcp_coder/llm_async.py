"""The async forms of what is public: the same path, in threads of their own, so that an event loop is never held up.

``aask_llm``, ``aprompt_llm``, ``astream_llm`` and ``aopen_session`` take the arguments of ``ask_llm``, ``prompt_llm``,
``stream_llm`` and ``open_session``. Cancelling one stops its agent and records the turn, before the cancellation goes
on. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from mcp_coder.llm_events import TurnEvent, TurnFinished
from mcp_coder.llm_interface import run_request
from mcp_coder.llm_providers.own_thread import in_own_thread
from mcp_coder.llm_requests import DEFAULT_METHOD, DEFAULT_TIMEOUT, TurnOptions, new_request
from mcp_coder.llm_sessions.defaults import turn_arguments
from mcp_coder.llm_sessions.streaming import StreamEnd, run_to_end

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from mcp_coder.llm_sessions.pool import SessionPool
    from mcp_coder.llm_sessions.session import OneTurn, Session
    from mcp_coder.llm_sessions.streaming import RunTurn
    from mcp_coder.llm_store.base import Store, TurnRecord, UsageRow
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["AsyncSession", "AsyncTurnStream", "aask_llm", "aopen_session", "aprompt_llm", "astream_llm"]


async def aask_llm(
    question: str,
    provider: str = "claude",
    method: str = DEFAULT_METHOD,
    session_id: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    cwd: str | None = None,
    *,
    store: Store | str | None = None,
    redact: bool | Sequence[str] = True,
    pool: SessionPool | None = None,
    **options: Unpack[TurnOptions],
) -> str:
    """Ask an agent and return the text of its answer; arguments and errors as ``ask_llm``.

    Example::

        answers = await asyncio.gather(*(aask_llm(question, timeout=300) for question in questions))
    """
    response = await aprompt_llm(
        question,
        provider,
        method,
        session_id,
        timeout,
        cwd,
        store=store,
        redact=redact,
        pool=pool,
        **options,
    )
    return response["text"]


async def aprompt_llm(
    question: str,
    provider: str = "claude",
    method: str = DEFAULT_METHOD,
    session_id: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    cwd: str | None = None,
    *,
    store: Store | str | None = None,
    redact: bool | Sequence[str] = True,
    pool: SessionPool | None = None,
    **options: Unpack[TurnOptions],
) -> LLMResponseDict:
    """Ask an agent and return everything it answered; arguments and errors as ``prompt_llm``.

    Cancelled, it stops the agent, and waits until the turn is recorded and nothing of it is left.
    """
    request = new_request(question, **turn_arguments(provider, method, session_id, timeout, cwd, options))
    return await in_own_thread(
        lambda stop: run_request(request, store=store, redact=redact, pool=pool, stop=stop)
    )


def astream_llm(
    question: str,
    provider: str = "claude",
    method: str = DEFAULT_METHOD,
    session_id: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    cwd: str | None = None,
    *,
    store: Store | str | None = None,
    redact: bool | Sequence[str] = True,
    pool: SessionPool | None = None,
    **options: Unpack[TurnOptions],
) -> AsyncTurnStream:
    """Ask an agent and return the events of the turn as they come; arguments and errors as ``stream_llm``.

    Example::

        async with astream_llm("Tell me a story", timeout=300) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    print(event.text, end="", flush=True)
    """
    request = new_request(question, **turn_arguments(provider, method, session_id, timeout, cwd, options))
    return AsyncTurnStream(
        lambda observe, stop: run_request(
            request, store=store, redact=redact, observe=observe, stop=stop, pool=pool
        )
    )


def aopen_session(*, pool: SessionPool | None = None, **arguments: Any) -> _Opening:
    """Open a session whose agent is kept from turn to turn; arguments and errors as ``open_session``.

    Args:
        pool: open it in this pool; None: it has an agent of its own.
        arguments: as ``open_session``, or ``SessionPool.open_session``.

    Returns:
        What is awaited for an ``AsyncSession``, or entered by ``async with``.

    Example::

        async with aopen_session(timeout=300) as session:
            await session.prompt("My favorite color is blue")
            async for event in session.stream("What is my favorite color?"):
                ...
    """
    return _Opening(arguments, pool)


class _Opening:
    """A session that is about to be open."""

    def __init__(self, arguments: Mapping[str, Any], pool: SessionPool | None) -> None:
        self._arguments, self._pool = arguments, pool
        self._session: AsyncSession | None = None

    def __await__(self) -> Generator[Any, None, AsyncSession]:
        return self._open().__await__()

    async def _open(self) -> AsyncSession:
        from mcp_coder.llm_sessions.session import open_session

        open_it = open_session if self._pool is None else self._pool.open_session
        return AsyncSession(await in_own_thread(lambda _stop: open_it(**self._arguments)))

    async def __aenter__(self) -> AsyncSession:
        self._session = await self._open()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()


class AsyncSession:
    """A ``Session`` for an event loop: the same, awaited. Make it with ``aopen_session``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def id(self) -> str:
        """The session's first id; see ``Session``."""
        return self._session.id

    async def prompt(self, question: str, **options: Unpack[OneTurn]) -> LLMResponseDict:
        """Send a prompt and return everything that was answered; see ``Session.prompt``. Cancelled, it is stopped."""
        request = self._session.request_for(question, options)
        return await in_own_thread(lambda stop: self._session.run(request, stop=stop))

    def stream(self, question: str, **options: Unpack[OneTurn]) -> AsyncTurnStream:
        """Send a prompt and return the turn's events as they come; see ``Session.stream``."""
        request = self._session.request_for(question, options)
        return AsyncTurnStream(lambda observe, stop: self._session.run(request, observe=observe, stop=stop))

    async def fork(self) -> AsyncSession:
        """Return a new session that shares the past up to the last finished turn; see ``Session.fork``."""
        return AsyncSession(await in_own_thread(lambda _stop: self._session.fork()))

    def interrupt(self) -> bool:
        """Stop the turn that is under way; see ``Session.interrupt``."""
        return self._session.interrupt()

    async def turns(self) -> list[TurnRecord]:
        """Return the session's recorded turns; see ``Session.turns``."""
        return await in_own_thread(lambda _stop: list(self._session.turns()))

    async def usage(self) -> UsageRow:
        """Return what the session's recorded turns used; see ``Session.usage``."""
        return await in_own_thread(lambda _stop: self._session.usage())

    async def close(self) -> None:
        """Stop a turn that is under way, and end the agent; see ``Session.close``."""
        await in_own_thread(lambda _stop: self._session.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncTurnStream:
    """The events of one turn that is under way: iterate over it once, by ``async for``. It needs a running loop.

    A loop that is left early is noticed at once under ``async with``, and else when this object is dropped; cancelled
    while it waits, it stops the turn first.

    Attributes:
        response: the whole answer, once ``TurnFinished`` was taken; None before.

    Raises:
        LLMError: while iterating, the turn's error, behind the events that came before it.
    """

    def __init__(self, run: RunTurn) -> None:
        self.response: LLMResponseDict | None = None
        self._over = False
        self._left = threading.Event()
        loop, events = asyncio.get_running_loop(), asyncio.Queue[TurnEvent | StreamEnd]()
        self._events = events
        left = self._left.is_set

        def tell(event: TurnEvent | StreamEnd) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(events.put_nowait, event)

        # Neither must hold this object: whoever drops it without a word has left, too.
        self._turn = asyncio.ensure_future(in_own_thread(_told(run, tell, left)))

    def __aiter__(self) -> AsyncIterator[TurnEvent]:
        return self

    async def __anext__(self) -> TurnEvent:
        if self._over:
            raise StopAsyncIteration
        try:
            event = await self._events.get()
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if isinstance(event, StreamEnd):
            await self._end()
            if event.error is not None:
                raise event.error
            raise StopAsyncIteration
        if isinstance(event, TurnFinished):
            self.response = event.response
        return event

    async def aclose(self) -> None:
        """Stop the turn if it is still under way, and return when nothing of it is left. Twice does no harm."""
        self._left.set()
        await self._end()

    async def _end(self) -> None:
        self._over = True
        await asyncio.shield(self._turn)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        left = getattr(self, "_left", None)
        if left is not None:
            left.set()


def _told(
    run: RunTurn, tell: Callable[[TurnEvent | StreamEnd], None], left: Callable[[], bool]
) -> Callable[[Callable[[], bool]], None]:
    return lambda stop: run_to_end(run, tell, lambda: left() or stop())
