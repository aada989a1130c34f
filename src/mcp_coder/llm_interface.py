"""What most callers need: a prompt in, the answer out, the session's id to go on with.

``ask_llm`` gives the text, ``prompt_llm`` everything, ``stream_llm`` the events as they come. Defaults come from the
environment where the caller gives none (``llm_sessions.defaults``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Unpack

from mcp_coder.llm_requests import DEFAULT_METHOD, DEFAULT_TIMEOUT, TurnOptions, TurnRequest, new_request
from mcp_coder.llm_serialization import deserialize_llm_response, serialize_llm_response
from mcp_coder.llm_types import LLMResponseDict

if TYPE_CHECKING:
    from mcp_coder.llm_events import TurnEvent
    from mcp_coder.llm_sessions.pool import SessionPool
    from mcp_coder.llm_sessions.streaming import TurnStream
    from mcp_coder.llm_store.base import Store

__all__ = ["ask_llm", "deserialize_llm_response", "prompt_llm", "serialize_llm_response"]


def ask_llm(
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
    """Ask an agent and return the text of its answer.

    Args:
        question: the prompt.
        provider: which agent: ``"claude"``.
        method: ``"cli"`` (its program) or ``"api"`` (its Python SDK).
        session_id: the session to go on with; None begins a new one.
        timeout: seconds for the whole call; None: no limit.
        cwd: the directory to run in; None: the session's own, for a new one the current.
        store: where the turn is recorded: a URL (``sqlite:////home/me/turns.sqlite``), an open store, or ``"off"``;
            None: as ``MCP_CODER_STORE`` says, or one file in the user's data directory.
        redact: take keys, tokens and secret environment variables out of the record; a list adds regular
            expressions of your own. The answer itself is never altered.
        pool: keep the session's agent for its next turn, in this pool; None: the agent ends with the call.
        options: ``model``, ``system_prompt``, ``session`` (a name), ... see ``TurnRequest``.

    Raises:
        LLMError: one of its kinds, see ``mcp_coder.llm_errors``. ``StoreError``: a named store cannot be used; its
            ``response`` has the answer, if there was one by then.

    Example::

        ask_llm("What does this project do?", session="nightly", timeout=300)
    """
    response = prompt_llm(
        question, provider, method, session_id, timeout, cwd, store=store, redact=redact, pool=pool, **options
    )
    return response["text"]


def prompt_llm(
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
    """Ask an agent and return everything it answered; arguments and errors as ``ask_llm``.

    Returns:
        The response, to be stored by ``serialize_llm_response``; ``session_id`` in it goes on with the session.

    Example::

        first = prompt_llm("My favorite color is blue")
        second = prompt_llm("What is my favorite color?", session_id=first["session_id"], method="api")
    """
    from mcp_coder.llm_sessions.defaults import turn_arguments

    request = new_request(question, **turn_arguments(provider, method, session_id, timeout, cwd, options))
    return run_request(request, store=store, redact=redact, pool=pool)


def run_request(
    request: TurnRequest,
    *,
    store: Store | str | None = None,
    redact: bool | Sequence[str] = True,
    observe: Callable[[TurnEvent], None] | None = None,
    stop: Callable[[], bool] | None = None,
    pool: SessionPool | None = None,
) -> LLMResponseDict:
    """Run a checked request and return the answer.

    Args:
        request: what is asked.
        store, redact, pool: as ``ask_llm``.
        observe: is handed the turn's events as they come.
        stop: asked ten times a second; true: the turn is stopped.
    """
    from mcp_coder.llm_sessions.turn import record_turn

    run = record_turn if pool is None else pool.run
    return run(request, store=store, redact=redact, observe=observe, stop=stop)


def stream_llm(
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
) -> TurnStream:
    """Ask an agent and return the events of the turn as they come; arguments as ``ask_llm``.

    The turn begins with the call. Leaving the loop early stops it; nothing of it is left running then.

    Returns:
        The events, to be iterated over; the last one is ``TurnFinished``, with the whole response.

    Raises:
        InvalidRequestError: at the call, before anything is started.
        LLMError: as ``ask_llm``, while iterating.

    Example::

        for event in stream_llm("Tell me a story", timeout=300):
            if isinstance(event, TextDelta):
                print(event.text, end="", flush=True)
    """
    from mcp_coder.llm_sessions.defaults import turn_arguments
    from mcp_coder.llm_sessions.streaming import TurnStream

    request = new_request(question, **turn_arguments(provider, method, session_id, timeout, cwd, options))
    return TurnStream(
        lambda observe, stop: run_request(
            request, store=store, redact=redact, observe=observe, stop=stop, pool=pool
        )
    )
