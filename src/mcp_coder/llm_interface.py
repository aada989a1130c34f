"""What most callers need: a prompt in, the answer out, the session's id to go on with.

``ask_llm`` gives the text, ``prompt_llm`` everything. Defaults come from the environment where the caller gives none:
``MCP_CODER_METHOD``, ``MCP_CODER_MODEL``, ``MCP_CODER_TIMEOUT`` (seconds, or ``none``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Unpack

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_requests import DEFAULT_METHOD, DEFAULT_TIMEOUT, TurnOptions, TurnRequest, new_request
from mcp_coder.llm_serialization import deserialize_llm_response, serialize_llm_response
from mcp_coder.llm_types import LLMResponseDict

if TYPE_CHECKING:
    from mcp_coder.llm_events import TurnEvent
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
        options: ``model``, ``system_prompt``, ``session`` (a name), ... see ``TurnRequest``.

    Raises:
        LLMError: one of its kinds, see ``mcp_coder.llm_errors``. ``StoreError``: a named store cannot be used; its
            ``response`` has the answer, if there was one by then.

    Example::

        ask_llm("What does this project do?", session="nightly", timeout=300)
    """
    response = prompt_llm(
        question, provider, method, session_id, timeout, cwd, store=store, redact=redact, **options
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
    **options: Unpack[TurnOptions],
) -> LLMResponseDict:
    """Ask an agent and return everything it answered; arguments and errors as ``ask_llm``.

    Returns:
        The response, to be stored by ``serialize_llm_response``; ``session_id`` in it goes on with the session.

    Example::

        first = prompt_llm("My favorite color is blue")
        second = prompt_llm("What is my favorite color?", session_id=first["session_id"], method="api")
    """
    arguments = {
        "provider": provider,
        "method": _method(method),
        "session_id": session_id,
        "timeout": _timeout(timeout),
        "cwd": cwd,
        "model": os.environ.get("MCP_CODER_MODEL") or None,
        **options,
    }
    return run_request(new_request(question, **arguments), store=store, redact=redact)


def run_request(
    request: TurnRequest,
    *,
    store: Store | str | None = None,
    redact: bool | Sequence[str] = True,
    observe: Callable[[TurnEvent], None] | None = None,
) -> LLMResponseDict:
    """Run a checked request and return the answer; ``observe`` is handed the turn's events as they come."""
    from mcp_coder.llm_sessions.turn import record_turn

    return record_turn(request, store=store, redact=redact, observe=observe)


def _method(method: str) -> str:
    named = os.environ.get("MCP_CODER_METHOD")
    return named if method is DEFAULT_METHOD and named else method


def _timeout(timeout: float | None) -> float | None:
    named = os.environ.get("MCP_CODER_TIMEOUT")
    if timeout is not DEFAULT_TIMEOUT or not named:
        return timeout
    if named.strip().lower() == "none":
        return None
    try:
        return float(named)
    except ValueError:
        raise InvalidRequestError(
            f"MCP_CODER_TIMEOUT must be a number of seconds or 'none', not {named!r}"
        ) from None
